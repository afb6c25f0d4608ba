//! Whether a replay went as what is recorded, and where it did not, with both sides.

use super::recall::Asked;
use crate::invocation::ReportResult;
use mandate_store::{Invocation, TaskError};
use mandate_types::{InvocationStatus, LimitName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The most differences that are told of one pair of values.
const MOST_CHANGES: usize = 50;

/// Whether a replay went as what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It asked the same and ended the same.
    Same,
    /// It asked the same, up to where the recording ends.
    SameSoFar,
    /// It did not.
    Differs,
    /// It cannot be replayed here.
    NotReplayed,
}

/// The first difference between a replay and what is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Difference {
    /// The number of the call; none when the ends differ.
    pub sequence: Option<u64>,
    /// The place within an `invoke-many`; 0 elsewhere.
    pub index: u32,
    /// What is recorded.
    pub recorded: Side,
    /// What the replay did.
    pub replayed: Side,
    /// Where within arguments or ends; the first fifty.
    pub changes: Vec<Change>,
}

/// One side of a difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It asked this.
    Asked(Asked),
    /// It ended so: `{"status", "result"}` or `{"status", "error"}`.
    Ended(Value),
}

/// Two values at the same place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// A JSON Pointer.
    pub path: String,
    /// None where only the replay has a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Value>,
    /// None where only the recording has a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<Value>,
}

impl Difference {
    /// Two sides at a call, or at the end.
    pub fn new(at: Option<(u64, u32)>, recorded: Side, replayed: Side) -> Self {
        let mut changes = Vec::new();
        match (&recorded, &replayed) {
            (Side::Asked(before), Side::Asked(now))
                if (&before.interface, &before.function) == (&now.interface, &now.function) =>
            {
                compare("", &before.arguments, &now.arguments, &mut changes);
            }
            (Side::Ended(before), Side::Ended(now)) => compare("", before, now, &mut changes),
            // One glance tells them apart.
            _ => {}
        }
        Self {
            sequence: at.map(|(sequence, _)| sequence),
            index: at.map_or(0, |(_, index)| index),
            recorded,
            replayed,
            changes,
        }
    }
}

fn compare(path: &str, recorded: &Value, replayed: &Value, changes: &mut Vec<Change>) {
    if recorded == replayed || changes.len() >= MOST_CHANGES {
        return;
    }
    match (recorded, replayed) {
        (Value::Object(before), Value::Object(now)) => members(path, before, now, changes),
        (Value::Array(before), Value::Array(now)) => {
            for n in 0..before.len().max(now.len()) {
                pair(format!("{path}/{n}"), before.get(n), now.get(n), changes);
            }
        }
        _ => pair_of_leaves(path.to_owned(), Some(recorded), Some(replayed), changes),
    }
}

fn members(
    path: &str,
    before: &Map<String, Value>,
    now: &Map<String, Value>,
    changes: &mut Vec<Change>,
) {
    let added = now.keys().filter(|name| !before.contains_key(*name));
    for name in before.keys().chain(added) {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        let place = format!("{path}/{escaped}");
        pair(place, before.get(name), now.get(name), changes);
    }
}

fn pair(path: String, before: Option<&Value>, now: Option<&Value>, changes: &mut Vec<Change>) {
    match (before, now) {
        (Some(before), Some(now)) => compare(&path, before, now, changes),
        _ => pair_of_leaves(path, before, now, changes),
    }
}

fn pair_of_leaves(
    path: String,
    before: Option<&Value>,
    now: Option<&Value>,
    changes: &mut Vec<Change>,
) {
    if changes.len() < MOST_CHANGES {
        changes.push(Change {
            path,
            recorded: before.cloned(),
            replayed: now.cloned(),
        });
    }
}

/// How an invocation ended, as both sides are shown.
pub fn ended(status: InvocationStatus, result: Option<&Value>, error: Option<&TaskError>) -> Value {
    match error {
        Some(error) => json!({"status": status, "error": error}),
        None => json!({"status": status, "result": result}),
    }
}

/// How a replay ended.
pub fn ended_now(status: InvocationStatus, report: &ReportResult) -> Value {
    let result = report.as_ref().ok();
    let result = result.and_then(|report| serde_json::to_value(report).ok());
    ended(status, result.as_ref(), report.as_ref().err())
}

/// Why the recording of an invocation ends where the guest did not end by itself: what the
/// guest would have done next nobody knows.
pub fn cut_off(invocation: &Invocation) -> Option<String> {
    let error = invocation.error.as_ref();
    match invocation.status {
        InvocationStatus::Running | InvocationStatus::Waiting => {
            Some("it had not ended when it was recorded".to_owned())
        }
        InvocationStatus::Cancelled => {
            let reason = error.map_or("it was cancelled", |error| error.message.as_str());
            Some(reason.to_owned())
        }
        _ => error
            .filter(|error| came_from_outside(error))
            .map(|error| error.message.clone()),
    }
}

/// Limits on what a replay does not use up as the run did: time, and what answers brought.
fn came_from_outside(error: &TaskError) -> bool {
    let limits = [
        LimitName::TimeMs,
        LimitName::JournalBytes,
        LimitName::Children,
        LimitName::Depth,
    ];
    error.kind == "limit"
        && limits
            .iter()
            .any(|limit| error.message.contains(&format!("`{}`", limit.as_str())))
}

/// Whether an invocation was refused before its guest did anything: there was no room for it.
pub fn never_ran(invocation: &Invocation) -> bool {
    let full = |error: &TaskError| error.kind == "unavailable" && error.retryable;
    invocation.steps == 0
        && invocation.peak_memory_bytes == 0
        && invocation.error.as_ref().is_some_and(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(recorded: Value, replayed: Value) -> Vec<(String, Option<Value>, Option<Value>)> {
        let mut found = Vec::new();
        compare("", &recorded, &replayed, &mut found);
        found
            .into_iter()
            .map(|change| (change.path, change.recorded, change.replayed))
            .collect()
    }

    #[test]
    fn only_what_differs_is_told_and_where() {
        let before = json!({"a": [1, {"b/c": "x"}], "gone": null, "same": {"deep": true}});
        let now = json!({"a": [1, {"b/c": "y"}, 3], "new": 7, "same": {"deep": true}});
        assert_eq!(
            changes(before, now),
            [
                ("/a/1/b~1c".to_owned(), Some(json!("x")), Some(json!("y"))),
                ("/a/2".to_owned(), None, Some(json!(3))),
                ("/gone".to_owned(), Some(Value::Null), None),
                ("/new".to_owned(), None, Some(json!(7))),
            ]
        );
        assert_eq!(changes(json!(1), json!("1")).len(), 1);
        assert!(changes(json!([0.1, "x"]), json!([0.1, "x"])).is_empty());
    }

    #[test]
    fn a_flood_of_differences_is_cut() {
        let before: Vec<u32> = (0..1000).collect();
        let now: Vec<u32> = (1..1001).collect();
        assert_eq!(changes(json!(before), json!(now)).len(), MOST_CHANGES);
    }
}
