//! What is known of an effect that somebody wants to have: all that a verdict may depend on. A
//! decision keeps its facts, so that it can be explained, and judged again under another policy.

use crate::cost::Cost;
use mandate_types::{
    Effects, MicroUsd, PluginName, PrincipalName, Risk, TaskId, TenantId, Timestamp, money::dollars,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The facts of one decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// For whom.
    pub tenant: TenantId,
    /// Who asks; none when a client calls the tool.
    pub requester: Option<PluginName>,
    /// The plugins from the root of the causes to who asks.
    #[serde(default)]
    pub chain: Vec<PluginName>,
    /// The task at the root of the causes; none when a client calls the tool.
    pub root_task: Option<TaskId>,
    /// Who is at the root of the causes.
    pub principal: PrincipalName,
    /// `plugin.tool`.
    pub tool: String,
    /// The plugin that provides the tool.
    pub tool_plugin: PluginName,
    /// What it is done to.
    pub target: Option<String>,
    /// As the operator accepted it.
    pub effects: Effects,
    /// Whether calling twice with the same key has one effect, as the operator accepted it.
    pub idempotent: bool,
    /// What is known of its cost.
    pub cost: Cost,
    /// What who asks expects to gain.
    pub gain: Option<MicroUsd>,
    /// What who asks says of the risk.
    pub risk: Option<Risk>,
    /// Whether it can be undone: accepted so, and who asks does not say otherwise.
    pub reversible: bool,
    /// How sure who asks is, 0–1.
    pub confidence: Option<f64>,
    /// The exact arguments.
    #[serde(default)]
    pub arguments: Value,
    /// What was committed and reserved before this.
    #[serde(default)]
    pub windows: Windows,
    /// The highest level that the grant lets pass without a human.
    pub autonomy_cap: Option<u8>,
    /// What the plugin that asks wants to be held to; it can only tighten.
    pub thresholds: Option<Thresholds>,
    /// Whether the effect is not had anyway.
    #[serde(default)]
    pub dry_run: bool,
    /// When it is judged.
    pub now: Timestamp,
}

/// Gross committed and reserved money of the last rolling 24 hours, without the decision that is
/// judged. Refunds do not lower it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Windows {
    /// Of the plugin that asks; of the tool's own when a client calls it.
    pub plugin: MicroUsd,
    /// Of the task at the root of the causes, and all below it.
    pub task: MicroUsd,
    /// Of the tenant.
    pub tenant: MicroUsd,
    /// Of the target.
    pub target: MicroUsd,
}

/// Where the autonomy levels end. An amount exactly at a threshold is above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// What costs less is of level 1; dollars.
    #[serde(with = "dollars")]
    #[schema(value_type = String, example = "2000")]
    pub level1: MicroUsd,
    /// What costs less is of level 2, the rest of level 3; dollars.
    #[serde(with = "dollars")]
    #[schema(value_type = String, example = "10000")]
    pub level2: MicroUsd,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            level1: MicroUsd::dollars(2_000),
            level2: MicroUsd::dollars(10_000),
        }
    }
}

impl Thresholds {
    /// The lower of each.
    #[must_use]
    pub fn tightest(self, other: Self) -> Self {
        Self {
            level1: self.level1.min(other.level1),
            level2: self.level2.min(other.level2),
        }
    }
}

impl Facts {
    /// The plugin whose window counts: the one that asks, or the tool's own for a client.
    pub fn plugin(&self) -> &PluginName {
        self.requester.as_ref().unwrap_or(&self.tool_plugin)
    }

    /// How sure who asks is, if that is a number from 0 to 1.
    pub fn sure(&self) -> Option<f64> {
        self.confidence.filter(|sure| (0.0..=1.0).contains(sure))
    }

    /// Whether it can be undone. What was accepted as irreversible never can, whatever is said.
    pub fn is_reversible(&self) -> bool {
        self.reversible && self.effects < Effects::Irreversible
    }
}
