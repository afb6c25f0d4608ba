//! `mandate plugin build`: from a folder to one file that is the plugin.

use super::guest_target;
use anyhow::{Context, bail};
use mandate_kernel::Guest;
use mandate_plugin::encode;
use mandate_plugin::{
    AgentDescription, Authority, Description, Manifest, Package, ToolDescription,
};
use mandate_runtime::{Runtime, Settings};
use mandate_types::Digest;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Compiles a plugin, embeds its manifest and description, and prints what it asks for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin's folder, with plugin.toml and Cargo.toml.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// The file to write [default: <id>.wasm in the plugin's folder].
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Where cargo keeps what it builds; share it between plugins to build what they share once.
    #[arg(long, value_name = "DIR")]
    pub target_dir: Option<PathBuf>,
    /// Take this core module or component instead of compiling a crate: for other languages.
    #[arg(long, value_name = "FILE", conflicts_with = "target_dir")]
    pub wasm: Option<PathBuf>,
}

/// Builds.
///
/// # Errors
/// Whatever is wrong with manifest, code or machine, in words for the author.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let started = Instant::now();
    let manifest = read_manifest(&args.dir)?;
    let wasm = match &args.wasm {
        Some(file) => {
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        None => guest_target::compile(&args.dir, args.target_dir.as_deref())?,
    };
    let package = package(wasm, manifest).await?;
    let output = match args.output {
        Some(output) => output,
        None => args
            .dir
            .join(format!("{}.wasm", package.manifest.plugin.id)),
    };
    write(&output, &package.bytes)?;
    print!("{}", Authority::of(&package));
    let size = mandate_plugin::inspect::bytes_shown(package.bytes.len() as u64);
    println!(
        "\n{} ({size}, built in {:.1} s)",
        output.display(),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn read_manifest(dir: &Path) -> anyhow::Result<Manifest> {
    let file = dir.join("plugin.toml");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "there is no plugin.toml in {}; `mandate plugin new NAME` makes a plugin to begin with",
            dir.display()
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    Manifest::parse(&text, dir)
        .map_err(|errors| anyhow::anyhow!("the manifest in {} is wrong:\n{errors}", dir.display()))
}

/// Encodes, checks, asks the code to describe itself, and embeds. A guest is described without
/// imports: nothing of the kernel's side is called.
async fn package(wasm: Vec<u8>, manifest: Manifest) -> anyhow::Result<Package> {
    let component = encode::component(wasm)?;
    let kind = encode::check(&component, &manifest)?;
    let runtime = Runtime::<Guest>::new(Settings {
        max_instances: 4,
        ..Settings::default()
    })?;
    let compiled = runtime
        .compile(&Digest::of(&component), kind, &component)
        .await?;
    let described = runtime
        .describe(&compiled)
        .await
        .context("the code could not describe itself; `describe` runs without any import")?;
    let package = encode::embed(&component, manifest, convert(described)?)?;
    Ok(package)
}

fn convert(described: mandate_runtime::Description) -> anyhow::Result<Description> {
    let schema = |of: &str, text: &str| -> anyhow::Result<Value> {
        serde_json::from_str(text)
            .with_context(|| format!("the code describes {of} with something that is not JSON"))
    };
    Ok(match described {
        mandate_runtime::Description::Agent(agent) => Description::Agent(AgentDescription {
            summary: agent.summary,
            input: schema("the agent's input", &agent.input)?,
            output: schema("the agent's output", &agent.output)?,
        }),
        mandate_runtime::Description::Tools(tools) => Description::Tools(
            tools
                .into_iter()
                .map(|tool| {
                    Ok(ToolDescription {
                        arguments: schema(
                            &format!("the arguments of `{}`", tool.name),
                            &tool.arguments,
                        )?,
                        result: schema(&format!("the result of `{}`", tool.name), &tool.result)?,
                        name: tool.name,
                        summary: tool.summary,
                    })
                })
                .collect::<anyhow::Result<_>>()?,
        ),
    })
}

/// Whole or not at all: a host that watches the folder never sees half a plugin.
fn write(output: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| {
            tempfile::Builder::new()
                .prefix(".mandate-")
                .permissions(readable())
                .tempfile_in(folder)
        })
        .and_then(|mut file| file.write_all(bytes).map(|()| file))
        .and_then(|file| file.persist(output).map_err(|error| error.error));
    written
        .map(drop)
        .with_context(|| format!("cannot write {}", output.display()))
}

fn readable() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(0o644)
}
