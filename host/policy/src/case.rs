//! Cases: what an operator expects of a policy, tried without a host.

use crate::cost::{Cost, Estimate};
use crate::facts::{Facts, Windows};
use crate::policy::Policy;
use crate::verdict::{Outcome, Verdict};
use mandate_types::{
    Effects, MicroUsd, PluginName, PrincipalName, Risk, TaskId, TenantId, Timestamp, money::dollars,
};
use serde::Deserialize;
use serde_json::Value;

/// A file of cases, TOML or JSON.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// One after the other.
    #[serde(rename = "case", default)]
    pub cases: Vec<Case>,
}

/// Facts, as far as they matter, and what is expected of them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is about, for people.
    pub name: String,
    /// What must happen.
    pub expect: Outcome,
    /// The rule that must give it.
    #[serde(default)]
    pub rule: Option<String>,
    /// The level that it must have.
    #[serde(default)]
    pub level: Option<u8>,
    /// `plugin.tool`.
    pub tool: String,
    /// Who asks; a client when absent.
    #[serde(default)]
    pub plugin: Option<PluginName>,
    /// For whom.
    #[serde(default)]
    pub tenant: TenantId,
    /// What it is done to.
    #[serde(default)]
    pub target: Option<String>,
    /// What was accepted.
    #[serde(default = "reversible")]
    pub effects: Effects,
    /// The fixed cost that was accepted; dollars.
    #[serde(default, with = "dollars::option")]
    pub cost: Option<MicroUsd>,
    /// What who asks says that it costs; dollars.
    #[serde(default, with = "dollars::option")]
    pub claimed: Option<MicroUsd>,
    /// What the tool estimates; dollars.
    #[serde(default, with = "dollars::option")]
    pub estimate: Option<MicroUsd>,
    /// What who asks expects to gain; dollars.
    #[serde(default, with = "dollars::option")]
    pub gain: Option<MicroUsd>,
    /// What who asks says of the risk.
    #[serde(default)]
    pub risk: Option<Risk>,
    /// How sure who asks is.
    #[serde(default)]
    pub confidence: Option<f64>,
    /// The arguments of the call.
    #[serde(default)]
    pub arguments: Value,
    /// What was spent in the 24 hours before, by window; dollars.
    #[serde(default)]
    pub spent: Spent,
    /// The highest level that the grant lets pass.
    #[serde(default)]
    pub autonomy: Option<u8>,
    /// When; noon of a Monday (2026-01-05, UTC) when absent.
    #[serde(default = "a_monday")]
    pub at: Timestamp,
}

/// What was spent before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spent {
    /// By the plugin that asks; by the tool's own when a client calls it.
    #[serde(with = "dollars")]
    pub plugin: MicroUsd,
    /// By the task at the root of the causes, and all below it.
    #[serde(with = "dollars")]
    pub task: MicroUsd,
    /// By the tenant.
    #[serde(with = "dollars")]
    pub tenant: MicroUsd,
    /// On the target.
    #[serde(with = "dollars")]
    pub target: MicroUsd,
}

fn reversible() -> Effects {
    Effects::Reversible
}

fn a_monday() -> Timestamp {
    Timestamp::from_micros(1_767_614_400_000_000)
}

impl Cases {
    /// Reads cases.
    ///
    /// # Errors
    /// For people, with the place.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())
        } else {
            toml::from_str(text).map_err(|error| error.to_string())
        }
    }
}

impl Case {
    /// The facts of this case.
    ///
    /// # Errors
    /// When the tool's name is not `plugin.tool`.
    pub fn facts(&self) -> Result<Facts, String> {
        let of = self.tool.split_once('.').map(|(plugin, _)| plugin);
        let tool_plugin = of
            .and_then(|plugin| PluginName::parse(plugin).ok())
            .ok_or_else(|| format!("`{}` is no tool such as actions.scale", self.tool))?;
        let principal = PrincipalName::parse("case").map_err(|error| error.to_string())?;
        Ok(Facts {
            tenant: self.tenant.clone(),
            requester: self.plugin.clone(),
            chain: self.plugin.clone().into_iter().collect(),
            root_task: self.plugin.is_some().then(TaskId::fresh),
            principal,
            tool: self.tool.clone(),
            tool_plugin,
            target: self.target.clone(),
            effects: self.effects,
            idempotent: false,
            cost: Cost {
                claimed: self.claimed,
                estimate: self.estimate.map_or(Estimate::None, Estimate::Known),
                tariff: self.cost,
            },
            gain: self.gain,
            risk: self.risk,
            reversible: self.effects < Effects::Irreversible,
            confidence: self.confidence,
            arguments: self.arguments.clone(),
            windows: Windows {
                plugin: self.spent.plugin,
                task: self.spent.task,
                tenant: self.spent.tenant,
                target: self.spent.target,
            },
            autonomy_cap: self.autonomy,
            thresholds: None,
            dry_run: false,
            now: self.at,
        })
    }

    /// Whether `verdict` is what was expected.
    pub fn is_met(&self, verdict: &Verdict) -> bool {
        verdict.outcome == self.expect
            && self.rule.as_ref().is_none_or(|rule| *rule == verdict.rule)
            && self.level.is_none_or(|level| level == verdict.level)
    }

    /// The verdict of `policy` on this case.
    ///
    /// # Errors
    /// As [`Case::facts`].
    pub fn judge(&self, policy: &Policy) -> Result<Verdict, String> {
        Ok(policy.judge(&self.facts()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_say_what_they_expect() {
        let text = r#"
            [[case]]
            name = "cheap"
            tool = "actions.scale"
            plugin = "remediation"
            cost = "1999.99"
            expect = "approve"
            rule = "level-1"
            level = 1
            [[case]]
            name = "the sixth"
            tool = "actions.scale"
            cost = 1900
            spent = { target = 9500 }
            target = "db-1"
            expect = "escalate"
            [[case]]
            name = "wrong"
            tool = "actions.scale"
            cost = 1
            expect = "deny"
        "#;
        let policy = Policy::read("").unwrap();
        let met: Vec<bool> = Cases::read(text)
            .unwrap()
            .cases
            .iter()
            .map(|case| case.is_met(&case.judge(&policy).unwrap()))
            .collect();
        assert_eq!(met, [true, true, false]);
        assert_eq!(a_monday().to_string(), "2026-01-05T12:00:00.000000Z");
        assert!(
            Cases::read("[[case]]\nnam = 1")
                .unwrap_err()
                .contains("nam")
        );
    }
}
