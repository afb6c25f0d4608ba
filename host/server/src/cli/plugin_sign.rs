//! `mandate plugin sign`: puts the publisher's signature into a plugin's file.

use super::plugin_inspect;
use anyhow::{Context, bail};
use mandate_plugin::signature::{public_key, sign};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Signs a plugin, in place.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin's .wasm file
    pub file: PathBuf,
    /// The file with the secret key, 32 bytes in hex
    #[arg(long)]
    pub key: PathBuf,
    /// Make the key if there is none
    #[arg(long)]
    pub new_key: bool,
}

/// Signs, and prints the line that lets a host trust the key.
///
/// # Errors
/// When the file is not a plugin, or the key is none.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let package = plugin_inspect::read(&args.file)?;
    let secret = secret(&args.key, args.new_key)?;
    let publisher = package.manifest.plugin.publisher.clone();
    let signed = sign(package.bytes, &secret)?;
    // Whole or not at all: the file may be in use.
    let folder = args.file.parent().filter(|p| !p.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(&signed)?;
    file.persist(&args.file)
        .with_context(|| format!("cannot write {}", args.file.display()))?;
    println!(
        "signed {}; a host trusts it with this in its configuration:\n",
        args.file.display()
    );
    println!("[trust.keys]\n{publisher} = [\"{}\"]", public_key(&secret));
    Ok(())
}

fn secret(path: &Path, make: bool) -> anyhow::Result<[u8; 32]> {
    if !path.exists() {
        if !make {
            bail!("{} is not there; --new-key makes it", path.display());
        }
        let mut key = [0_u8; 32];
        getrandom::fill(&mut key).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(file, "{}", hex::encode(key))?;
        file.sync_all()?;
        return Ok(key);
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut key = [0_u8; 32];
    hex::decode_to_slice(text.trim(), &mut key)
        .with_context(|| format!("{} does not hold a key of 32 bytes in hex", path.display()))?;
    Ok(key)
}
