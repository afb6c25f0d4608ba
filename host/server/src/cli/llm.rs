//! `mandate llm`: who answers model calls.

use super::client::Connection;
use super::listing::{self, text};
use serde_json::Value;

/// `mandate llm …`
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the providers in the order in which they are asked, and how each does
    Providers {
        #[command(flatten)]
        host: Connection,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Lists the providers.
///
/// # Errors
/// When the host does not answer.
pub async fn run(command: Command) -> anyhow::Result<()> {
    let Command::Providers { host, json } = command;
    let none = "no provider is configured: nobody answers model calls";
    listing::print(&host, "/llm/providers", json, none, line).await
}

/// A provider, and its models below it.
fn line(provider: &Value) -> String {
    let [id, answered, failed] = ["id", "answered", "failed"].map(|name| text(provider, name));
    let mut line = format!("{id:<12} {answered} answered, {failed} failed");
    let error = text(provider, "last_error");
    if !error.is_empty() {
        line.push_str(&format!("; at last: {error}"));
    }
    let models = provider.get("models").and_then(Value::as_array);
    for model in models.into_iter().flatten() {
        let [class, name, state] = ["class", "model", "state"].map(|name| text(model, name));
        let why = text(model, "why");
        let priced = model.get("priced") == Some(&Value::Bool(true));
        let unpriced = if priced {
            ""
        } else {
            " (nobody knows its price: not asked)"
        };
        line.push_str(format!("\n    {class:<6} {name}  {state}{unpriced} {why}").trim_end());
    }
    line
}
