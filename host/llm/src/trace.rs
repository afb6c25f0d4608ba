//! What was tried for one call, and why it went on from there: kept with the answer.

use crate::fault::Kind;
use mandate_types::MicroUsd;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One attempt, or why there was none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// At whom.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// `answered`, what failed as [`Kind::as_str`] says it, or `passed_over`.
    pub outcome: String,
    /// What the provider said, or why it was passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What it cost.
    pub cost: MicroUsd,
    /// Nobody knows what it cost: it counts as the most that it can have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncertain: bool,
}

impl Attempt {
    /// Nobody was asked.
    pub fn passed_over(provider: &str, model: &str, reason: String) -> Self {
        Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            outcome: "passed_over".to_owned(),
            reason: Some(reason),
            took_ms: 0,
            cost: MicroUsd::ZERO,
            uncertain: false,
        }
    }

    /// It was answered.
    pub fn answered(provider: &str, model: &str, took: Duration, cost: MicroUsd) -> Self {
        Self {
            outcome: "answered".to_owned(),
            reason: None,
            took_ms: milliseconds(took),
            cost,
            ..Self::passed_over(provider, model, String::new())
        }
    }

    /// It failed.
    pub fn failed(provider: &str, model: &str, took: Duration, kind: Kind, reason: String) -> Self {
        Self {
            outcome: kind.as_str().to_owned(),
            took_ms: milliseconds(took),
            ..Self::passed_over(provider, model, reason)
        }
    }

    /// It was answered, but not in the form that was asked for.
    pub fn unfit(&mut self, wrong: String) {
        Kind::Unfit.as_str().clone_into(&mut self.outcome);
        self.reason = Some(wrong);
    }
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
