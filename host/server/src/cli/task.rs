//! `mandate task`: what was asked for, how far it is, and what it waits for.

use super::listing::{ListArgs, ShowArgs, all, text};
use serde_json::Value;

/// `mandate task …`
#[derive(clap::Subcommand)]
pub enum Command {
    /// List tasks, the newest first; those that have not ended, unless --all
    #[command(mut_arg("all", |all| all.help("Also those that have ended")))]
    List(ListArgs),
    /// Show one task, and while it waits, for what
    Show(ShowArgs),
}

/// Lists or shows tasks.
///
/// # Errors
/// When the host does not answer, or does not know the task.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(args) => {
            let unended = "pending,running,waiting,diverged,blocked";
            args.print("/tasks", unended, "nothing is to be done", listed)
                .await
        }
        Command::Show(args) => args.print("/tasks", shown).await,
    }
}

fn listed(task: &Value) -> String {
    let (status, waits) = (text(task, "status"), text(task, "waiting_for"));
    let status = if waits.is_empty() {
        status
    } else {
        format!("{status} for {waits}")
    };
    let (id, title) = (text(task, "id"), text(task, "title"));
    format!("{id} {status:<20} {:<20} {title}", text(task, "kind"))
}

/// A task for people: what it waits for last, where the eye stays.
fn shown(task: &Value) -> String {
    let mut lines = Vec::new();
    let facts = [
        ("id", "id"),
        ("title", "title"),
        ("kind", "kind"),
        ("status", "status"),
        ("tenant", "tenant"),
        ("asked by", "created_by"),
        ("target", "target"),
        ("subject", "subject"),
        ("said last", "progress_message"),
        ("summary", "summary"),
        ("created", "created_at"),
        ("ended", "completed_at"),
        ("execution", "execution"),
    ];
    for (label, name) in facts {
        let value = text(task, name);
        if !value.is_empty() {
            lines.push(format!("{label:<12} {value}"));
        }
    }
    if let Some(error) = task.get("error").filter(|error| !error.is_null()) {
        lines.push(format!("{:<12} {}", "error", text(error, "message")));
    }
    for wait in all(task, "waits") {
        lines.push(String::new());
        lines.extend(waits(wait));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// What is waited for, until when, and what answers it.
fn waits(wait: &Value) -> Vec<String> {
    let (kind, until) = (text(wait, "kind"), text(wait, "until"));
    let (head, answer) = match kind.as_str() {
        "decision" => (
            "waits for a decision",
            format!("mandate decision approve {}", text(wait, "decision")),
        ),
        "question" => (
            "waits for an answer",
            format!("mandate question answer {} ANSWER", text(wait, "question")),
        ),
        "halt" => (
            "waits for the end of a halt",
            "mandate halt list".to_owned(),
        ),
        _ => ("waits for a time", String::new()),
    };
    let head = if until.is_empty() {
        head.to_owned()
    } else {
        format!("{head}, until {until} at most")
    };
    let said = text(wait, "text");
    [head, said, answer]
        .into_iter()
        .filter(|line| !line.is_empty())
        .enumerate()
        .map(|(number, line)| {
            if number == 0 {
                line
            } else {
                format!("    {line}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_task_says_what_it_waits_for_and_what_answers_that() {
        let told = shown(&json!({
            "id": "task-1", "status": "waiting", "target": null,
            "waits": [
                {"kind": "decision", "decision": "dec-1", "text": "`a` wants \u{1b}[2Jit.", "until": "2026-11-21T03:30:00Z"},
                {"kind": "question", "question": "que-1", "text": "Which?"},
                {"kind": "sleep", "until": "2026-11-21T03:30:00Z"},
            ],
        }));
        assert!(
            !told.contains("target") && !told.contains('\u{1b}'),
            "{told}"
        );
        for line in [
            "waits for a decision, until 2026-11-21T03:30:00Z at most\n    `a` wants  [2Jit.\n    mandate decision approve dec-1\n",
            "waits for an answer\n    Which?\n    mandate question answer que-1 ANSWER\n",
            "waits for a time, until 2026-11-21T03:30:00Z at most\n",
        ] {
            assert!(told.contains(line), "{told}");
        }
    }

    #[test]
    fn a_list_says_for_what_its_tasks_wait() {
        let line = listed(&json!({
            "id": "task-1", "status": "waiting", "waiting_for": "approval", "kind": "k", "title": "t",
        }));
        assert!(line.starts_with("task-1 waiting for approval "), "{line}");
    }
}
