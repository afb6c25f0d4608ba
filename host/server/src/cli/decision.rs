//! `mandate decision`: what agents may not decide alone.

use super::client::Connection;
use super::decision_answer;
use super::listing::{self, text};
use reqwest::Method;
use serde_json::Value;

/// `mandate decision …`
#[derive(clap::Subcommand)]
pub enum Command {
    /// List decisions, the newest first; those that wait for a human, unless --all
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
    /// Show one decision
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        host: Connection,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let it happen, once, exactly as it is described
    Approve(decision_answer::Args),
    /// Do not let it happen
    Deny(decision_answer::Args),
    /// Ask again what nobody answered in time
    AskAgain {
        /// Its id
        id: String,
        #[command(flatten)]
        host: Connection,
    },
}

/// Lists, shows or answers decisions.
///
/// # Errors
/// When the host does not answer, or does not take the answer.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { host, all, json } => {
            let path = if all {
                "/decisions?limit=1000"
            } else {
                "/decisions?status=pending&limit=1000"
            };
            listing::print(&host, path, json, "nothing waits for a human", |item| {
                let [id, status, sentence] =
                    ["id", "status", "sentence"].map(|name| text(item, name));
                format!("{id} {status:<9} {sentence}")
            })
            .await
        }
        Command::Show { id, host, json } => {
            let found = get(&host, &id).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&found)?);
            } else {
                print!("{}", told(&found));
            }
            Ok(())
        }
        Command::Approve(args) => decision_answer::run(args, "approve").await,
        Command::Deny(args) => decision_answer::run(args, "deny").await,
        Command::AskAgain { id, host } => {
            let request = host.request(Method::POST, &format!("/decisions/{id}/ask-again"))?;
            host.send(request).await?;
            println!("it is judged anew when its execution goes on");
            Ok(())
        }
    }
}

/// One decision.
///
/// # Errors
/// When the host does not answer, or does not know it.
pub async fn get(host: &Connection, id: &str) -> anyhow::Result<Value> {
    let request = host.request(Method::GET, &format!("/decisions/{id}"))?;
    host.send(request).await
}

/// A decision for people: the sentence first.
pub fn told(decision: &Value) -> String {
    let mut lines = vec![text(decision, "sentence"), String::new()];
    let facts = [
        ("id", "id"),
        ("status", "status"),
        ("why", "why"),
        ("tenant", "tenant"),
        ("asked by", "plugin"),
        ("for", "principal"),
        ("tool", "tool"),
        ("target", "target"),
        ("cost", "cost"),
        ("gain", "gain"),
        ("ROI", "roi"),
        ("risk", "risk"),
        ("confidence", "confidence"),
        ("undo", "undo"),
        ("level", "level"),
        ("rule", "rule"),
        ("reason", "reason"),
        ("expires", "expires_at"),
        ("answered by", "resolved_by"),
        ("comment", "comment"),
        ("arguments", "arguments"),
        ("result", "result"),
    ];
    for (label, name) in facts {
        let money = matches!(name, "cost" | "gain");
        let value = match decision.get(name).and_then(Value::as_i64) {
            Some(micros) if money => mandate_types::MicroUsd(micros).to_string(),
            _ => text(decision, name),
        };
        if !value.is_empty() {
            lines.push(format!("{label:<12} {value}"));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_opens_with_the_sentence_and_shows_money_as_people_write_it() {
        let shown = told(&json!({
            "id": "dec-1", "sentence": "`a` wants \u{1b}[2Jit.", "cost": 2_000_000_000_i64,
            "target": null, "arguments": {"service": "cart"},
        }));
        assert!(shown.starts_with("`a` wants  [2Jit.\n"), "{shown}");
        assert!(shown.contains("cost         $2,000.00\n") && !shown.contains("target"));
        assert!(shown.contains("{\"service\":\"cart\"}"));
    }
}
