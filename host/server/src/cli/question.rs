//! `mandate question`: what agents, and the host, ask people.

use super::client::Connection;
use super::listing::{ListArgs, text};
use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

/// `mandate question …`
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the questions that nobody answered yet, the newest first
    List(ListArgs),
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
        Command::List(args) => {
            let none = "nobody asks anything";
            args.print("/questions", "open", none, listed).await
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

fn listed(question: &Value) -> String {
    let [id, status, plugin] = ["id", "status", "plugin"].map(|name| text(question, name));
    let [asked, schema] = ["text", "schema"].map(|name| text(question, name));
    format!("{id} {status:<9} {plugin}: {asked}\n    answer by {schema}")
}
