//! `mandate decision`: what agents may not decide alone.

use super::client::Connection;
use super::decision_answer;
use super::listing::{ListArgs, ShowArgs, text};
use reqwest::Method;
use serde_json::Value;

/// `mandate decision …`
#[derive(clap::Subcommand)]
pub enum Command {
    /// List decisions, the newest first; those that wait for a human, unless --all
    List(ListArgs),
    /// Show one decision
    Show(ShowArgs),
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
        Command::List(args) => {
            let none = "nothing waits for a human";
            args.print("/decisions", "pending", none, listed).await
        }
        Command::Show(args) => args.print("/decisions", told).await,
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

fn listed(decision: &Value) -> String {
    let [id, status, sentence] = ["id", "status", "sentence"].map(|name| text(decision, name));
    format!("{id} {status:<9} {sentence}")
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
