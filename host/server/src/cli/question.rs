//! `mandate question`: what agents, and the host, ask people.

use super::client::Connection;
use super::decision::text;
use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

/// `mandate question …`
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the questions that nobody answered yet, the newest first
    List {
        #[command(flatten)]
        host: Connection,
        /// Also those that are answered
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Answer a question
    Answer {
        /// Its id
        id: String,
        /// JSON by the question's schema: `true`, `"tonight"`, `{"window": "sunday"}`
        answer: String,
        #[command(flatten)]
        host: Connection,
    },
}

/// Lists or answers questions.
///
/// # Errors
/// When the host does not answer, or does not take the answer.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { host, all, json } => list(&host, all, json).await,
        Command::Answer { id, answer, host } => {
            let answer: Value = serde_json::from_str(&answer)
                .context("the answer is not JSON; texts need quotes: '\"tonight\"'")?;
            let request = host.request(Method::POST, &format!("/questions/{id}/answer"))?;
            let request = request.json(&json!({ "answer": answer }));
            let answered = host.send(request).await?;
            println!("{}", text(&answered, "status"));
            Ok(())
        }
    }
}

async fn list(host: &Connection, all: bool, json: bool) -> anyhow::Result<()> {
    let path = if all {
        "/questions?limit=1000"
    } else {
        "/questions?status=open&limit=1000"
    };
    let answer = host.send(host.request(Method::GET, path)?).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let items = answer.get("items").and_then(Value::as_array);
    let items = items.map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        println!("nobody asks anything");
    }
    for item in items {
        println!(
            "{} {:<9} {}: {}",
            text(item, "id"),
            text(item, "status"),
            text(item, "plugin"),
            text(item, "text")
        );
        println!("    answer by {}", text(item, "schema"));
    }
    Ok(())
}
