//! The incident record: `incidents/INC-12345678`.

use crate::ranking::Suspect;
use crate::{Arguments, FaultKind, Signal, Time, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The collection.
pub const COLLECTION: &str = "incidents";

/// How bad it is for the business.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// SEV-4: nobody notices yet.
    Low,
    /// SEV-3: some users are hindered.
    Medium,
    /// SEV-2: many users, or something important.
    High,
    /// SEV-1: a human is told at once.
    Critical,
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody looked at it yet.
    #[default]
    New,
    /// It is being worked on.
    Active,
    /// It was escalated, and waits for a human.
    Awaiting,
    /// It is over, and that was verified; or a human says so.
    Resolved,
    /// Nothing is left to do about it.
    Closed,
}

/// An incident. Only the title must be given; whoever detects it says what he knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// One line.
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// What is known.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub description: String,
    /// As whoever detected it sees it; triage says what it is worth. Unsure means higher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Components that show it, the first one first.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub affected_services: Vec<String>,
    /// Who or what noticed it.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub detected_by: String,
    /// Where it stands.
    #[serde(default)]
    pub status: Status,
    /// What was seen, where and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symptom: Option<Symptom>,
    /// A time without faults, to compare with; otherwise what came before the symptom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Window>,
    /// Ids in `alerts` that belong to it.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    pub alerts: Vec<String>,
    /// What triage found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triage: Option<Triage>,
    /// What the search for the cause found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What is, or was, to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<Remediation>,
    /// Whether it helped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// Why and when a human was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Escalation>,
    /// One line about how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
    /// When it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Time>,
}

/// What was seen, where and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Symptom {
    /// The component that shows it.
    pub service: String,
    /// What is wrong; both are looked at when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// When it was seen; when the record was made, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// How far something reaches, or how soon it must be looked at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A little.
    Low,
    /// Between.
    Medium,
    /// A lot.
    High,
}

/// What triage found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Triage {
    /// From impact and urgency.
    pub severity: Severity,
    /// How much of the business it touches.
    pub impact: Level,
    /// How quickly it gets worse.
    pub urgency: Level,
    /// Who has to look at it, such as `on-call` or `database`.
    pub route: String,
    /// True when a human has to be told before anything else.
    pub escalate: bool,
    /// What that rests on, one fact per line; also what was not known.
    pub reasons: Vec<String>,
    /// 0–1: less where facts were missing.
    pub confidence: f64,
}

/// What the search for the cause found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// False: what was looked at does not tell; the ranking is empty or weak then.
    pub found: bool,
    /// The most likely first. Empty only when there was nothing to look at.
    pub ranking: Vec<Suspect>,
    /// What the first one suffers from, when the evidence tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FaultKind>,
    /// One or two sentences for people.
    pub summary: String,
    /// What was done and what it told, step by step: reason, action, observation.
    pub steps: Vec<Investigation>,
    /// Who chose the steps and wrote the summary: `rules`, or a model's name.
    pub author: String,
}

/// One turn of the search for the cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Investigation {
    /// Why.
    pub reason: String,
    /// The tool that was called.
    pub action: String,
    /// What it told.
    pub observation: String,
}

/// How much can go wrong.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Users do not notice.
    Low,
    /// Some users may notice for a moment.
    Medium,
    /// It can make things worse.
    High,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// To be done, after those before it.
    Proposed,
    /// Not harmless: a human has to say yes.
    Waiting,
    /// Done.
    Done,
    /// Tried, and failed.
    Failed,
}

/// A step of a remediation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The tool, as `actions.restart`.
    pub tool: String,
    /// What it is called with.
    pub arguments: Arguments,
    /// What it is good for.
    pub why: String,
    /// Millionths of a US dollar; none when it is not known.
    pub cost_micro_usd: Option<i64>,
    /// How much can go wrong.
    pub risk: Risk,
    /// How it is undone; none when it cannot be.
    pub undo: Option<String>,
    /// What became of it.
    pub status: StepStatus,
    /// What the tool said, or why it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// What is, or was, to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remediation {
    /// Ids in `runbooks` that it follows; the best first.
    pub runbooks: Vec<String>,
    /// In order.
    pub steps: Vec<Step>,
    /// One or two sentences for people.
    pub summary: String,
    /// When the last step was done; none if none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted_at: Option<Time>,
}

/// How a verification ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The symptom is gone and the cause is healthy.
    Resolved,
    /// The symptom is still there.
    NotResolved,
    /// There is too little data to say. Missing data is never success.
    Inconclusive,
}

/// Whether it helped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// How it ended.
    pub verdict: Verdict,
    /// What was looked at, one fact per line.
    pub checks: Vec<String>,
    /// When.
    pub at: Time,
}

/// Why and when a human was called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// Who, as triage routed it.
    pub to: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Time,
}
