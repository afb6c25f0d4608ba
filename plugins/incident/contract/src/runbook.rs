//! Runbooks: `runbooks/…`, which `knowledge` owns and remediation follows.

use crate::incident::Risk;
use crate::{Arguments, FaultKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The collection.
pub const COLLECTION: &str = "runbooks";

/// What helps against something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Runbook {
    /// One line.
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// When it applies and what to look out for; people read this.
    #[schemars(length(min = 1, max = 20_000))]
    pub text: String,
    /// What it helps against.
    pub kinds: Vec<FaultKind>,
    /// Only for components whose name contains one of these; all when empty.
    #[serde(default)]
    pub components: Vec<String>,
    /// What to do, in order: the next one only when the one before did not help.
    pub steps: Vec<RunbookStep>,
}

/// A step of a runbook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunbookStep {
    /// The tool, as `actions.restart`.
    pub tool: String,
    /// What it is called with; the text `{component}` stands for the cause.
    pub arguments: Arguments,
    /// What it is good for.
    pub why: String,
    /// Millionths of a US dollar; none when it is not known.
    #[serde(default)]
    pub cost_micro_usd: Option<i64>,
    /// How much can go wrong.
    pub risk: Risk,
    /// How it is undone; none when it cannot be.
    #[serde(default)]
    pub undo: Option<String>,
}
