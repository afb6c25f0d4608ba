//! The ranking of suspects: what `monitoring.rank` is asked and answers.

use crate::incident::Symptom;
use crate::{Signal, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The tool.
pub const TOOL: &str = "monitoring.rank";

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RankArguments {
    /// What was seen, where and when; `at` is now, if not said.
    pub symptom: Symptom,
    /// The time to explain; around the symptom, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// A time without faults; what came before the window, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Window>,
    /// At most so many suspects, 1–100; 10 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// The most likely first.
    pub suspects: Vec<Suspect>,
    /// Whether the first suspect's deviation explains the symptom. False is an answer: the cause is not in the data.
    pub found: bool,
    /// Why it was, or was not, found; one sentence.
    pub reason: String,
    /// The time that was explained.
    pub window: Window,
    /// What it was compared with.
    pub baseline: Window,
    /// What was missing: components on the symptom's paths without data. Missing is not healthy.
    pub missing: Vec<String>,
}

/// A component that may be the cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suspect {
    /// Its name in the topology and in the label `service`.
    pub component: String,
    /// 0–1; those of all suspects sum up to at most 1.
    pub confidence: f64,
    /// What speaks for it, the strongest first.
    pub evidence: Vec<Evidence>,
    /// How the symptom leads to it: the symptom's component first, this one last. Empty if there is no way.
    pub path: Vec<String>,
}

/// A measured deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What it speaks about; none for logs, deployments and resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// What was measured: `latency p99`, `memory`, `log lines of severity error`.
    pub what: String,
    /// Median without faults, in the metric's own unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<f64>,
    /// In the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<f64>,
    /// How far outside of the usual, in robust standard deviations; capped at 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// One sentence for people.
    pub text: String,
}
