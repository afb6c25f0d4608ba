//! `mandate decision approve | deny`: a human's answer.

use super::client::Connection;
use super::decision::told;
use super::listing::{get, text};
use anyhow::bail;
use reqwest::Method;
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// `mandate decision approve | deny`
#[derive(clap::Args)]
pub struct Args {
    /// The decision
    id: String,
    /// For those who look at it later
    #[arg(long)]
    comment: Option<String>,
    /// Do not ask once more
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    host: Connection,
}

/// Shows what is decided, asks once more, and answers.
///
/// # Errors
/// When nobody says yes, or the host does not take the answer.
pub async fn run(args: Args, verb: &str) -> anyhow::Result<()> {
    let decision = get(&args.host, "/decisions", &args.id).await?;
    print!("{}", told(&decision));
    if !args.yes && !confirmed(verb)? {
        bail!("nothing was decided");
    }
    let path = format!("/decisions/{}/{verb}", args.id);
    let request = args.host.request(Method::POST, &path)?;
    let request = request.json(&json!({ "comment": args.comment }));
    let answered = args.host.send(request).await?;
    println!("{}", text(&answered, "status"));
    Ok(())
}

fn confirmed(verb: &str) -> anyhow::Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!("this is no terminal: say --yes to {verb} it unasked");
    }
    print!("{verb} this? [y/N] ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
