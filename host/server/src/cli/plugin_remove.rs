//! `mandate plugin remove`: takes a plugin from a running host.

use super::client::Connection;
use reqwest::Method;

/// `mandate plugin remove`
#[derive(clap::Args)]
pub struct Args {
    /// The name that it is installed under
    name: String,
    #[command(flatten)]
    host: Connection,
}

/// Removes it.
///
/// # Errors
/// When the host does not answer or does not know it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let request = args
        .host
        .request(Method::DELETE, &format!("/plugins/{}", args.name))?;
    args.host.send(request).await?;
    println!("removed {}; its records stay", args.name);
    Ok(())
}
