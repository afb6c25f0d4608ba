//! Agents made for measuring, from a few lines of WAT each: what they cost is not what is measured.

use crate::host::binary;
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const TEMPLATE: &str = include_str!("guests/guest.template");
const WORLD: &str = "package mandate:bench;
    world guest {
        import mandate:llm/llm@1.0.0;
        import mandate:invoke/invoke@1.1.0;
        import mandate:system/sleep@1.0.0;
        export mandate:agent/agent@1.0.0;
    }";

/// Builds the agent `bench-NAME` of `guests/NAME` into `dir`, with the command that authors use.
///
/// # Errors
/// When it cannot be built; the message is the command's.
pub fn build(name: &str, dir: &Path) -> anyhow::Result<PathBuf> {
    let folder = crate::root().join("tests/bench/guests").join(name);
    let module = module(&folder).with_context(|| format!("the agent {name} has an error"))?;
    let core = dir.join(format!("{name}.core.wasm"));
    let plugin = dir.join(format!("bench-{name}.wasm"));
    std::fs::write(&core, module)?;
    let output = Command::new(binary()?)
        .args(["plugin", "build"])
        .arg(&folder)
        .arg("--wasm")
        .arg(&core)
        .arg("-o")
        .arg(&plugin)
        .output()?;
    ensure!(
        output.status.success(),
        "the agent {name} was not built: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(plugin)
}

/// The core module, with the contract's types inside.
fn module(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let read = |file: &str| std::fs::read_to_string(folder.join(file));
    let text = TEMPLATE
        .replace(";; IMPORTS", &read("imports.wat")?)
        .replace(";; BODY", &read("guest.wat")?);
    let mut module = wat::parse_str(text)?;
    let mut resolve = Resolve::default();
    for package in ["types", "agent", "invoke", "llm", "system"] {
        resolve.push_dir(crate::root().join("wit").join(package))?;
    }
    let package = resolve.push_str("bench.wit", WORLD)?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(module)
}
