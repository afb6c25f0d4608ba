//! `mandate policy show`: the policy that counts on a running host.

use super::client::Connection;
use reqwest::Method;
use serde_json::Value;

/// `mandate policy show`
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    host: Connection,
    /// Print JSON: everything, with what was left out
    #[arg(long)]
    json: bool,
    /// Print the rules that the host ships, in Rego, and ask no host
    #[arg(long)]
    rules: bool,
}

/// Prints the policy as it was written.
///
/// # Errors
/// When the host does not answer.
pub async fn run(args: Args) -> anyhow::Result<()> {
    if args.rules {
        print!("{}", mandate_policy::SHIPPED_RULES);
        return Ok(());
    }
    let request = args.host.request(Method::GET, "/policy")?;
    let answer = args.host.send(request).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    match answer.get("generation").and_then(Value::as_u64) {
        Some(0) | None => println!("# nobody has put a policy: that of the host counts"),
        Some(generation) => println!(
            "# version {generation}, put by {} at {}",
            text("put_by"),
            text("put_at")
        ),
    }
    print!("{}", text("text"));
    Ok(())
}
