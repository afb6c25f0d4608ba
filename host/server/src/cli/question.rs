//! `mandate question`: what agents, and the host, ask people.

use super::client::Connection;
use super::listing::{self, text};
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
        Command::List { host, all, json } => {
            let path = if all {
                "/questions?limit=1000"
            } else {
                "/questions?status=open&limit=1000"
            };
            listing::print(&host, path, json, "nobody asks anything", |item| {
                let [id, status, plugin] = ["id", "status", "plugin"].map(|name| text(item, name));
                let [asked, schema] = ["text", "schema"].map(|name| text(item, name));
                format!("{id} {status:<9} {plugin}: {asked}\n    answer by {schema}")
            })
            .await
        }
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
