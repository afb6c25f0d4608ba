//! `mandate plugin install`: puts a plugin on a running host, once its authority is accepted.

use super::client::Connection;
use anyhow::{Context, bail};
use mandate_plugin::{Authority, Package};
use reqwest::Method;
use serde_json::Value;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// `mandate plugin install`
#[derive(clap::Args)]
pub struct Args {
    /// The plugin's file
    file: PathBuf,
    /// Install it under another name
    #[arg(long)]
    name: Option<String>,
    /// Accept all that it asks for, without being asked
    #[arg(long, conflicts_with = "deny")]
    accept: bool,
    /// Install it with nothing granted
    #[arg(long)]
    deny: bool,
    #[command(flatten)]
    host: Connection,
}

/// Shows the authority, asks, and installs.
///
/// # Errors
/// When the file is not a plugin, or the host refuses it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let bytes = std::fs::read(&args.file)
        .with_context(|| format!("{} cannot be read", args.file.display()))?;
    let package =
        Package::read(bytes).with_context(|| format!("{} is not a plugin", args.file.display()))?;
    let accept = args.accept || (!args.deny && ask(&package)?);
    let name = args.name.as_deref().unwrap_or(&package.manifest.plugin.id);
    let request = args
        .host
        .request(Method::POST, "/plugins")?
        .query(&[
            ("name", name),
            ("accept", if accept { "true" } else { "false" }),
        ])
        .header("content-type", "application/wasm")
        .body(package.bytes.clone());
    let answer = args.host.send(request).await?;
    let text = |field: &str| {
        answer
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    let missing = answer.get("not_granted").and_then(Value::as_array);
    let missing = missing.map_or(&[] as &[Value], Vec::as_slice);
    let missing: Vec<&str> = missing.iter().filter_map(Value::as_str).collect();
    let granted = if missing.is_empty() {
        " with all that it asks for".to_owned()
    } else {
        format!("; not granted: {}", missing.join("; "))
    };
    println!("installed {} {}{granted}", text("name"), text("version"));
    Ok(())
}

fn ask(package: &Package) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "pass --accept to grant what the plugin asks for (`mandate plugin inspect` shows it), or --deny to grant nothing"
        );
    }
    println!("{}", Authority::of(package));
    print!("Grant all of this? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
