//! What an operator writes: tariffs, thresholds, overrides, quiet hours, budgets, approvals and
//! rules. One schema, as TOML or as JSON; every unknown field is refused.

mod approvals;
mod check;
mod read;
mod spell;

pub use approvals::{Approvals, Route};
pub use read::Format;
pub use spell::{Span, TimeOfDay, Window};

use crate::Outcome;
use mandate_types::{MicroUsd, Risk, Timestamp, money::dollars};
use serde::{Deserialize, Serialize};

/// The most bytes of a document.
pub const MAX_BYTES: usize = 256 * 1024;

/// The most entries of each list in it.
pub const MAX_ENTRIES: usize = 256;

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is too long.
    #[error("the policy has {0} bytes; the most is {MAX_BYTES}")]
    TooLong(usize),
    /// It is no document of this schema.
    #[error("the policy cannot be read: {0}")]
    Syntax(String),
    /// One field says something that cannot be.
    #[error("{place}: {problem}")]
    Field {
        /// Which, as `override[2].level1`, counted from 1.
        place: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// Its rules do not compile, or do not answer as they must.
    #[error("rules.rego: {0}")]
    Rules(String),
}

/// A policy as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Document {
    /// Where the autonomy levels end, and what level 2 takes.
    pub thresholds: Limits,
    /// What calls of tools cost.
    #[serde(rename = "tariff", skip_serializing_if = "Vec::is_empty")]
    pub tariffs: Vec<Tariff>,
    /// Where something else holds than in `thresholds`.
    #[serde(rename = "override", skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// When nothing passes without a human, or at all.
    #[serde(rename = "freeze", skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
    /// How much money may be spent.
    #[serde(rename = "budget", skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// How humans are asked.
    pub approvals: Approvals,
    /// Rules instead of those of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
}

/// `[thresholds]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// What costs less is of level 1; dollars.
    #[serde(with = "dollars")]
    pub level1: MicroUsd,
    /// What costs less is of level 2, the rest of level 3; dollars.
    #[serde(with = "dollars")]
    pub level2: MicroUsd,
    /// How sure who asks must be at level 2.
    pub min_confidence: f64,
    /// The most risk at level 2.
    pub max_risk: Risk,
}

impl Default for Limits {
    fn default() -> Self {
        let thresholds = crate::Thresholds::default();
        Self {
            level1: thresholds.level1,
            level2: thresholds.level2,
            min_confidence: 0.8,
            max_risk: Risk::Medium,
        }
    }
}

/// `[[tariff]]`: what the operator says that calls of a tool cost. Of several that fit, the
/// largest counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// `plugin.tool`; may end in `*`.
    pub tool: String,
    /// For each call; dollars.
    #[serde(
        default,
        with = "dollars::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub fixed: Option<MicroUsd>,
    /// For each unit on top; dollars.
    #[serde(
        default,
        with = "dollars::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub per_unit: Option<MicroUsd>,
    /// How many units: JSON Pointer into the arguments, to a number, or to a list whose entries
    /// are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<String>,
    /// Whether what the tool itself estimates counts without a tariff beside it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trust_estimates: bool,
}

/// Which decisions something is for: those that fit everything named. Names may end in `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matcher {
    /// Who asks; the tool's own plugin when a client calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// `plugin.tool`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it is done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

impl Matcher {
    /// Whether it names nothing, and so fits everything.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// `[[override]]`: what holds for some decisions instead. It tightens or loosens. Where several
/// fit, those that name more win over those that name less, field by field; among equals the
/// tightest does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Its name, as verdicts give it: `override:<name>`.
    pub name: String,
    /// For which decisions.
    #[serde(rename = "for")]
    pub matcher: Matcher,
    /// Instead of `thresholds.level1`.
    #[serde(
        default,
        with = "dollars::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub level1: Option<MicroUsd>,
    /// Instead of `thresholds.level2`.
    #[serde(
        default,
        with = "dollars::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub level2: Option<MicroUsd>,
    /// Instead of `thresholds.min_confidence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_confidence: Option<f64>,
    /// Instead of `thresholds.max_risk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_risk: Option<Risk>,
    /// What always happens. The cap of a grant and the budgets hold nevertheless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// `[[freeze]]`: quiet hours, which come again, or a change freeze, which begins and ends once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Its name, as verdicts give it: `freeze:<name>`.
    pub name: String,
    /// For which decisions; all when absent.
    #[serde(rename = "for", default, skip_serializing_if = "Matcher::is_empty")]
    pub matcher: Matcher,
    /// Where the clock hangs: `Europe/Berlin`, `+02:00`; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// On which days quiet hours begin, `mon` to `sun`; all when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<String>,
    /// When quiet hours begin: `22:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<TimeOfDay>,
    /// When they end; on the next day if that is not after `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<TimeOfDay>,
    /// When a change freeze begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Timestamp>,
    /// When it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// What happens meanwhile: `escalate` or `deny`.
    #[serde(default = "escalate")]
    pub outcome: Outcome,
}

fn escalate() -> Outcome {
    Outcome::Escalate
}

/// Over what a budget is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// One sum for everything on the host.
    Host,
    /// A sum for each tenant.
    Tenant,
    /// A sum for each plugin, whoever it works for.
    Plugin,
    /// A sum for each plugin and tenant.
    Agent,
    /// A sum for each task, with all that it causes.
    Task,
    /// A sum for each target of a tenant.
    Target,
}

/// `[[budget]]`: the most that may be spent, on effects and model calls alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Its name, as verdicts give it: `budget:<name>`.
    pub name: String,
    /// Over what is summed.
    pub scope: BudgetScope,
    /// Only of this tenant; may end in `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only of this plugin; may end in `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Only on this target; may end in `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Since when: `24h` and the like roll, `day` and `month` are those of UTC's calendar, `ever`.
    pub window: Window,
    /// The most; dollars. Exactly as much is still within.
    #[serde(with = "dollars")]
    pub limit: MicroUsd,
}

/// `[rules]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Rego of the package `mandate`, whose `verdict` counts instead of the host's own, which can
    /// be asked as `data.mandate.shipped.verdict`.
    pub rego: String,
}

#[cfg(test)]
mod tests;
