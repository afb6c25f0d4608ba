//! What became of an incident, as anybody can read it.

use super::desk::Desk;
use anyhow::bail;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How often is looked.
const PAUSE: Duration = Duration::from_millis(200);

/// An incident that nobody works on any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// `resolved`, `awaiting`, …
    pub status: String,
    /// Suspects, the most likely first.
    pub ranking: Vec<String>,
    /// Whether the agents say that they found the cause.
    pub found: bool,
    /// What ails the first suspect, as the agents see it.
    pub kind: Option<String>,
    /// What went wrong with the work on it, if something did.
    pub trouble: Option<String>,
}

impl Outcome {
    /// Reads the body of an incident record.
    pub fn of(incident: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let cause = &incident["cause"];
        let ranking = cause["ranking"].as_array().into_iter().flatten();
        Self {
            status: text(&incident["status"]).unwrap_or_default(),
            ranking: ranking
                .filter_map(|suspect| text(&suspect["component"]))
                .collect(),
            found: cause["found"] == true,
            kind: text(&cause["kind"]),
            trouble: None,
        }
    }

    /// The place of a component in the ranking, from 1. Its name must be this one exactly.
    pub fn rank(&self, component: &str) -> Option<usize> {
        self.ranking
            .iter()
            .position(|name| name == component)
            .map(|place| place + 1)
    }
}

/// The incident once nobody works on it any more.
///
/// # Errors
/// When that takes longer than `patience`, or the host is gone.
pub async fn settled(desk: &Desk, id: &str, patience: Duration) -> anyhow::Result<Outcome> {
    let until = Instant::now() + patience;
    loop {
        if let Some(outcome) = ended(desk, id).await? {
            return Ok(outcome);
        }
        if Instant::now() > until {
            bail!("{id} is still worked on after {patience:?}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What an incident became, if nobody works on it any more.
///
/// # Errors
/// When the host is gone.
pub async fn ended(desk: &Desk, id: &str) -> anyhow::Result<Option<Outcome>> {
    let tasks = desk
        .items(&format!("tasks?kind=incident&subject=incidents/{id}"))
        .await?;
    if tasks.is_empty() || !tasks.iter().all(crate::client::is_final) {
        return Ok(None);
    }
    let record = desk.get(&format!("records/incidents/{id}")).await?;
    let mut outcome = Outcome::of(&record["body"]);
    let failed = tasks.iter().find(|task| task["status"] != "succeeded");
    outcome.trouble = failed.map(|task| format!("the commander: {}", task["error"]["message"]));
    Ok(Some(outcome))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_rank_is_that_of_the_exact_name() {
        let outcome = Outcome::of(&json!({
            "status": "awaiting",
            "cause": {"found": true, "kind": "leak", "ranking": [{"component": "a::b"}, {"component": "a"}]},
        }));
        assert_eq!(
            (outcome.rank("a"), outcome.rank("A"), outcome.found),
            (Some(2), None, true)
        );
        assert_eq!(outcome.kind.as_deref(), Some("leak"));
        assert_eq!(Outcome::of(&json!({"status": "new"})).ranking, [""; 0]);
    }
}
