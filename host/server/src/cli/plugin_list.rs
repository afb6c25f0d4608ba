//! `mandate plugin list`: what is installed on a running host.

use super::client::Connection;
use super::listing::{self, text};

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
    let none = "nothing is installed: mandate plugin install FILE";
    listing::print(&args.host, "/plugins", args.json, none, |item| {
        let [name, kind, version] = ["name", "kind", "version"].map(|name| text(item, name));
        let [status, digest] = ["status", "digest"].map(|name| text(item, name));
        format!("{name:<24} {kind:<6} {version:<10} {status:<12} {digest:.12}")
    })
    .await
}
