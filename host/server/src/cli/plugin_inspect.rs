//! `mandate plugin inspect`: a plugin's authority in plain words, without running anything.

use anyhow::Context;
use mandate_plugin::package::MAX_PACKAGE_BYTES;
use mandate_plugin::{Authority, Package};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Says what a plugin is and what it asks for, from the file alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin's .wasm file.
    pub file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Inspects.
///
/// # Errors
/// When the file cannot be read or is not a plugin.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let authority = Authority::of(&read(&args.file)?);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&authority)?);
    } else {
        print!("{authority}");
    }
    Ok(())
}

/// Reads a plugin file; of one that is too large, no more than is needed to know that.
///
/// # Errors
/// When the file cannot be read or is not a plugin; the text names the file.
pub fn read(file: &Path) -> anyhow::Result<Package> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| {
            opened
                .take(MAX_PACKAGE_BYTES as u64 + 1)
                .read_to_end(&mut bytes)
        })
        .with_context(|| format!("cannot read {}", file.display()))?;
    Package::read(bytes).with_context(|| format!("{} is not a plugin", file.display()))
}
