//! `mandate plugin list`: what is installed on a running host.

use super::client::Connection;
use reqwest::Method;
use serde_json::Value;

/// `mandate plugin list`
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    host: Connection,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints a line per plugin.
///
/// # Errors
/// When the host does not answer.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let request = args.host.request(Method::GET, "/plugins")?;
    let answer = args.host.send(request).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let items = answer
        .get("items")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if items.is_empty() {
        println!("nothing is installed: mandate plugin install FILE");
    }
    for item in items {
        let field = |name: &str| {
            item.get(name)
                .and_then(Value::as_str)
                .unwrap_or("?")
                .to_owned()
        };
        let digest: String = field("digest").chars().take(12).collect();
        println!(
            "{:<24} {:<6} {:<10} {:<12} {digest}",
            field("name"),
            field("kind"),
            field("version"),
            field("status"),
        );
    }
    Ok(())
}
