//! `mandate policy explain`: which rule gave a verdict, on which facts.

use super::client::Connection;
use reqwest::Method;
use serde_json::Value;

/// `mandate policy explain`
#[derive(clap::Args)]
pub struct Args {
    /// The decision
    decision: String,
    #[command(flatten)]
    host: Connection,
}

/// Prints the verdict, its rule and its facts.
///
/// # Errors
/// When the host does not answer, or knows no such decision.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let path = format!("/decisions/{}", args.decision);
    let decision = args
        .host
        .send(args.host.request(Method::GET, &path)?)
        .await?;
    let text = |name: &str| decision.get(name).and_then(Value::as_str).unwrap_or("?");
    println!("{}", text("sentence"));
    println!(
        "verdict  {} at level {}",
        text("verdict"),
        decision.get("level").unwrap_or(&Value::Null)
    );
    println!("rule     {}", text("rule"));
    println!("because  {}", text("reason"));
    println!("asked    {}", text("requested_at"));
    println!("status   {}", text("status"));
    println!("facts");
    let facts = decision.get("facts").unwrap_or(&Value::Null);
    for line in serde_json::to_string_pretty(facts)?.lines() {
        println!("  {line}");
    }
    Ok(())
}
