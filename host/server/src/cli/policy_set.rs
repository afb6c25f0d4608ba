//! `mandate policy set`: puts another policy on a running host.

use super::client::Connection;
use super::policy_test::read_policy;
use anyhow::{Context, bail};
use reqwest::Method;
use reqwest::header::IF_MATCH;
use serde_json::{Value, json};
use std::path::PathBuf;

/// `mandate policy set`
#[derive(clap::Args)]
pub struct Args {
    /// The policy, in TOML or JSON
    file: PathBuf,
    /// Only if this version counts now; without it, whichever does
    #[arg(long)]
    replaces: Option<u64>,
    #[command(flatten)]
    host: Connection,
}

/// Checks the file here, and puts it.
///
/// # Errors
/// When it is broken, or the host refuses it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let (text, _) = read_policy(&args.file)?;
    let replaces = match args.replaces {
        Some(generation) => generation,
        None => {
            let request = args.host.request(Method::GET, "/policy")?;
            generation(&args.host.send(request).await?)?
        }
    };
    let request = args
        .host
        .request(Method::PUT, "/policy")?
        .header(IF_MATCH, format!("\"{replaces}\""))
        .json(&json!({"text": text}));
    let put = generation(&args.host.send(request).await?)?;
    if put <= replaces {
        bail!("the host answered with version {put}, which is not newer");
    }
    println!("version {put} counts now");
    Ok(())
}

fn generation(answer: &Value) -> anyhow::Result<u64> {
    answer
        .get("generation")
        .and_then(Value::as_u64)
        .context("the host's answer names no version")
}
