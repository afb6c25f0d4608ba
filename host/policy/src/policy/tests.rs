//! Verdicts: the table of the levels, and what must hold of all of them.

use super::*;
use crate::cost::{Cost, Estimate};
use crate::facts::Windows;
use mandate_types::{Effects, PluginName, PrincipalName, Risk, TaskId, TenantId};

/// A decision that level 2 takes, for so many dollars.
pub(crate) fn facts(dollars: i64) -> Facts {
    let remediation = PluginName::parse("remediation").unwrap();
    Facts {
        tenant: TenantId::default(),
        requester: Some(remediation.clone()),
        chain: vec![PluginName::parse("commander").unwrap(), remediation],
        root_task: Some(TaskId::fresh()),
        principal: PrincipalName::parse("robot").unwrap(),
        tool: "actions.scale".to_owned(),
        tool_plugin: PluginName::parse("actions").unwrap(),
        target: None,
        effects: Effects::Reversible,
        idempotent: true,
        cost: Cost {
            claimed: None,
            estimate: Estimate::None,
            tariff: Some(MicroUsd::dollars(dollars)),
        },
        gain: None,
        risk: Some(Risk::Medium),
        reversible: true,
        confidence: Some(0.8),
        arguments: json!({"replicas": 3}),
        windows: Windows::default(),
        autonomy_cap: None,
        thresholds: None,
        dry_run: false,
        now: Timestamp::parse("2026-11-21T12:00:00Z").unwrap(),
    }
}

fn shipped() -> Policy {
    Policy::compile(Document::default()).unwrap()
}

#[test]
fn levels_end_where_the_design_says() {
    let policy = shipped();
    for (micros, level, outcome) in [
        (0, 1, Outcome::Approve),
        (1_999_990_000, 1, Outcome::Approve),
        (1_999_999_999, 1, Outcome::Approve),
        (2_000_000_000, 2, Outcome::Approve),
        (9_999_990_000, 2, Outcome::Approve),
        (9_999_999_999, 2, Outcome::Approve),
        (10_000_000_000, 3, Outcome::Escalate),
        (i64::MAX, 3, Outcome::Escalate),
    ] {
        let mut facts = facts(0);
        facts.cost.tariff = Some(MicroUsd(micros));
        let verdict = policy.judge(&facts);
        assert_eq!(
            (verdict.level, verdict.outcome),
            (level, outcome),
            "{micros}"
        );
    }
}
