//! Facts of every kind, on which an operator's rules are tried before they count.

use super::Policy;
use crate::cost::{Cost, Estimate};
use crate::document::PolicyError;
use crate::facts::{Facts, Windows};
use mandate_types::ids::IdError;
use mandate_types::{
    Effects, MicroUsd, PluginName, PrincipalName, Risk, TaskId, TenantId, Timestamp,
};
use serde_json::json;

/// What a probe differs in.
struct Kind {
    cost: Option<i64>,
    effects: Effects,
    risk: Option<Risk>,
    confidence: Option<f64>,
    by_client: bool,
}

const KINDS: [Kind; 6] = [
    kind(
        Some(5),
        Effects::Reversible,
        Some(Risk::Low),
        Some(0.95),
        false,
    ),
    kind(
        Some(5),
        Effects::Irreversible,
        Some(Risk::High),
        None,
        false,
    ),
    kind(
        Some(5_000),
        Effects::Reversible,
        Some(Risk::Medium),
        Some(0.9),
        false,
    ),
    kind(Some(5_000), Effects::Irreversible, None, Some(0.1), false),
    kind(
        Some(50_000),
        Effects::Reversible,
        Some(Risk::High),
        Some(1.0),
        false,
    ),
    kind(None, Effects::Irreversible, None, None, true),
];

const fn kind(
    cost: Option<i64>,
    effects: Effects,
    risk: Option<Risk>,
    confidence: Option<f64>,
    by_client: bool,
) -> Kind {
    Kind {
        cost,
        effects,
        risk,
        confidence,
        by_client,
    }
}

impl Policy {
    /// Whether the rules answer in the form that counts.
    pub(super) fn probe(&self) -> Result<(), PolicyError> {
        for (at, kind) in KINDS.iter().enumerate() {
            let facts = facts(kind).map_err(|error| PolicyError::Rules(error.to_string()))?;
            let verdict = self.judge(&facts);
            if verdict.rule == super::POLICY_ERROR {
                let asked = match kind.cost {
                    Some(cost) => format!("a call for {}", MicroUsd::dollars(cost)),
                    None => "a client's call at an unknown cost".to_owned(),
                };
                return Err(PolicyError::Rules(format!(
                    "tried on {asked} (trial {}): {}",
                    at + 1,
                    verdict.reason
                )));
            }
        }
        Ok(())
    }
}

fn facts(kind: &Kind) -> Result<Facts, IdError> {
    let plugin = PluginName::parse("probe")?;
    let asks = (!kind.by_client).then(|| plugin.clone());
    Ok(Facts {
        tenant: TenantId::default(),
        chain: asks.clone().into_iter().collect(),
        root_task: (!kind.by_client).then(TaskId::fresh),
        requester: asks,
        principal: PrincipalName::parse("probe")?,
        tool: "probe.probe".to_owned(),
        tool_plugin: plugin,
        target: (!kind.by_client).then(|| "probe".to_owned()),
        effects: kind.effects,
        idempotent: kind.by_client,
        cost: Cost {
            claimed: None,
            estimate: Estimate::None,
            tariff: kind.cost.map(MicroUsd::dollars),
        },
        gain: kind.cost.map(|cost| MicroUsd::dollars(cost * 2)),
        risk: kind.risk,
        reversible: kind.effects == Effects::Reversible,
        confidence: kind.confidence,
        arguments: json!({}),
        windows: Windows::default(),
        autonomy_cap: None,
        thresholds: None,
        dry_run: false,
        now: Timestamp::from_micros(1_790_000_000_000_000),
    })
}
