//! What was tried for one call, and why it went on from there: kept with the answer.

use crate::fault::Kind;
use mandate_types::MicroUsd;
use serde::{Deserialize, Serialize};

/// One attempt, or why there was none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// At whom.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// `answered`, what failed as [`Kind::as_str`] says it, `cancelled` or `passed_over`.
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
    pub fn answered(provider: &str, model: &str) -> Self {
        Self {
            outcome: "answered".to_owned(),
            reason: None,
            ..Self::passed_over(provider, model, String::new())
        }
    }

    /// It failed.
    pub fn failed(provider: &str, model: &str, kind: Kind, reason: String) -> Self {
        Self {
            outcome: kind.as_str().to_owned(),
            ..Self::passed_over(provider, model, reason)
        }
    }

    /// Nobody waited for its answer any more.
    pub fn cancelled(provider: &str, model: &str) -> Self {
        let why = "nobody waits for its answer any more".to_owned();
        Self {
            outcome: "cancelled".to_owned(),
            ..Self::passed_over(provider, model, why)
        }
    }

    /// It was answered, but not in the form that was asked for.
    pub fn unfit(&mut self, wrong: String) {
        Kind::Unfit.as_str().clone_into(&mut self.outcome);
        self.reason = Some(wrong);
    }
}
