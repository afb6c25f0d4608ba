//! Verdicts: the table of the levels, and what must hold of all of them.

use super::*;
use crate::cost::{Cost, Estimate};
use crate::facts::{Thresholds, Windows};
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

fn read(text: &str) -> Policy {
    Policy::read(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn judged(policy: &Policy, facts: &Facts) -> (Outcome, String) {
    let verdict = policy.judge(facts);
    (verdict.outcome, verdict.rule)
}

#[test]
fn level_2_wants_it_reversible_sure_and_of_little_risk() {
    let policy = shipped();
    let good = facts(2_500);
    assert_eq!(judged(&policy, &good), (Outcome::Approve, "level-2".into()));
    let unsure = |confidence| Facts {
        confidence,
        ..good.clone()
    };
    let bad = [
        unsure(Some(0.79)),
        unsure(None),
        unsure(Some(f64::NAN)),
        unsure(Some(7.0)),
        Facts {
            risk: Some(Risk::High),
            ..good.clone()
        },
        Facts {
            risk: None,
            ..good.clone()
        },
        Facts {
            reversible: false,
            ..good.clone()
        },
        // Who asks cannot make it reversible.
        Facts {
            effects: Effects::Irreversible,
            ..good.clone()
        },
    ];
    for facts in bad {
        let verdict = policy.judge(&facts);
        assert_eq!(verdict.outcome, Outcome::Escalate, "{facts:?}");
        assert!(
            verdict
                .reason
                .contains("$2,500.00 is of level 2; a human is asked"),
            "{}",
            verdict.reason
        );
        assert!(verdict.ceilings.is_empty());
    }
}

#[test]
fn the_sixth_time_needs_a_human() {
    let policy = shipped();
    for window in 0..4 {
        for before in 0..6_i64 {
            let mut facts = facts(1_900);
            facts.target = Some("db-1".to_owned());
            let spent = MicroUsd::dollars(1_900 * before);
            let windows = &mut facts.windows;
            *[
                &mut windows.plugin,
                &mut windows.task,
                &mut windows.tenant,
                &mut windows.target,
            ][window] = spent;
            let verdict = policy.judge(&facts);
            let level = match before {
                0 => 1,
                1..=4 => 2,
                _ => 3,
            };
            assert_eq!(verdict.level, level, "{window} {before}");
            assert_eq!(verdict.outcome == Outcome::Approve, before < 5);
        }
    }
    let mut sixth = facts(1_900);
    sixth.windows.tenant = MicroUsd::dollars(9_500);
    let reason = policy.judge(&sixth).reason;
    assert!(
        reason.contains("$11,400.00 in 24 hours for the tenant"),
        "{reason}"
    );
}

#[test]
fn a_verdict_says_what_must_hold_when_the_money_is_reserved() {
    let policy = shipped();
    let mut facts = facts(1_900);
    facts.target = Some("db-1".to_owned());
    for (spent, most) in [(0, 1_999_999_999), (1_900, 9_999_999_999)] {
        facts.windows.target = MicroUsd::dollars(spent);
        let ceilings = policy.judge(&facts).ceilings;
        let names: Vec<&str> = ceilings.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "autonomy:plugin",
                "autonomy:task",
                "autonomy:tenant",
                "autonomy:target"
            ]
        );
        for ceiling in &ceilings {
            assert_eq!(ceiling.most, MicroUsd(most));
            assert_eq!(ceiling.since, at("2026-11-20T12:00:00Z"));
        }
        let scopes = Spender::from(&facts).scopes();
        assert!(
            ceilings.iter().all(|c| scopes.contains(&c.scope)),
            "{scopes:?}"
        );
    }
    facts.root_task = None;
    facts.target = None;
    facts.windows = Windows::default();
    assert_eq!(policy.judge(&facts).ceilings.len(), 2);
}

#[test]
fn what_nobody_knows_the_cost_of_needs_a_human() {
    let policy = shipped();
    let mut facts = facts(0);
    for (cost, says) in [
        (Cost::default(), "nobody but who asks"),
        (
            Cost {
                claimed: Some(MicroUsd::dollars(1)),
                ..Cost::default()
            },
            "nobody but who asks",
        ),
        (
            Cost {
                estimate: Estimate::Known(MicroUsd::dollars(1)),
                ..Cost::default()
            },
            "no tariff confirms",
        ),
        (
            Cost {
                estimate: Estimate::Failed("it trapped".to_owned()),
                tariff: Some(MicroUsd::dollars(1)),
                claimed: None,
            },
            "it trapped",
        ),
        (
            Cost {
                claimed: Some(MicroUsd(-1)),
                tariff: Some(MicroUsd::dollars(1)),
                estimate: Estimate::None,
            },
            "below zero",
        ),
    ] {
        facts.cost = cost;
        let verdict = policy.judge(&facts);
        assert_eq!((verdict.level, verdict.outcome), (3, Outcome::Escalate));
        assert_eq!(verdict.cost, None);
        assert!(verdict.reason.contains(says), "{}", verdict.reason);
    }
}

#[test]
fn tariffs_confirm_estimates_and_count_units() {
    let policy = read(
        r#"
        [[tariff]]
        tool = "actions.scale"
        fixed = 10
        per_unit = "2.50"
        units = "/replicas"
        [[tariff]]
        tool = "actions.*"
        fixed = 1
        [[tariff]]
        tool = "trusted.*"
        trust_estimates = true
        "#,
    );
    let mut facts = facts(0);
    facts.cost = Cost {
        estimate: Estimate::Known(MicroUsd::dollars(12)),
        ..Cost::default()
    };
    for (arguments, cost) in [
        (json!({"replicas": 3}), Some(17_500_000)),
        (json!({"replicas": 0}), Some(12_000_000)),
        (json!({"replicas": ["a", "b"]}), Some(15_000_000)),
        (json!({"replicas": 1.5}), Some(13_750_000)),
        (json!({"replicas": u64::MAX}), Some(i64::MAX)),
        (json!({"replicas": 1e300}), Some(i64::MAX)),
        (json!({"replicas": -5}), None),
        (json!({"replicas": -0.5}), None),
        (json!({"replicas": "3"}), None),
        (json!({}), None),
    ] {
        facts.arguments = arguments.clone();
        assert_eq!(policy.judge(&facts).cost, cost.map(MicroUsd), "{arguments}");
    }
    facts.tool = "trusted.scale".to_owned();
    assert_eq!(policy.judge(&facts).cost, Some(MicroUsd::dollars(12)));
    facts.tool = "other.scale".to_owned();
    assert_eq!(policy.judge(&facts).cost, None);
}

#[test]
fn a_grant_caps_what_policy_would_allow() {
    let policy = read(
        r#"
        [[override]]
        name = "go"
        for = { tool = "actions.*" }
        outcome = "approve"
        "#,
    );
    for (dollars, cap, rule) in [
        (1, Some(0), "autonomy-cap"),
        (1, Some(1), "override:go"),
        (2_000, Some(1), "autonomy-cap"),
        (2_000, Some(2), "override:go"),
        (10_000, Some(2), "autonomy-cap"),
        (10_000, Some(3), "override:go"),
        (10_000, None, "override:go"),
    ] {
        let mut facts = facts(dollars);
        facts.autonomy_cap = cap;
        assert_eq!(policy.judge(&facts).rule, rule, "{dollars} {cap:?}");
    }
    let mut unknown = facts(0);
    unknown.cost = Cost::default();
    unknown.autonomy_cap = Some(2);
    assert_eq!(policy.judge(&unknown).rule, "autonomy-cap");
}

#[test]
fn a_plugin_tightens_its_own_thresholds_and_never_loosens_them() {
    let policy = shipped();
    let mut facts = facts(600);
    let asks = |level1, level2| {
        Some(Thresholds {
            level1: MicroUsd::dollars(level1),
            level2: MicroUsd::dollars(level2),
        })
    };
    facts.thresholds = asks(100, 500);
    assert_eq!(policy.judge(&facts).level, 3);
    facts.thresholds = asks(500, 100);
    assert_eq!(policy.judge(&facts).level, 3);
    facts.thresholds = asks(1_000_000, 2_000_000);
    facts.cost.tariff = Some(MicroUsd::dollars(2_000));
    assert_eq!(policy.judge(&facts).level, 2);
}

#[test]
fn the_narrowest_override_wins_in_whatever_order_they_stand() {
    let mut overrides = [
        r#"name = "tools"
           for = { tool = "actions.*" }
           level1 = 100
           level2 = 200"#,
        r#"name = "tool"
           for = { tool = "actions.scale" }
           level1 = 50"#,
        r#"name = "acme"
           for = { tool = "actions.scale", tenant = "acme" }
           level1 = 5000
           level2 = 50000
           max_risk = "high"
           min_confidence = 0.5"#,
        r#"name = "other-tenant"
           for = { tenant = "umbrella" }
           outcome = "deny""#,
        r#"name = "same-rank"
           for = { plugin = "remediation" }
           level1 = 60
           outcome = "approve""#,
        r#"name = "no-target"
           for = { target = "*" }
           outcome = "deny""#,
    ];
    for _ in 0..overrides.len() {
        overrides.rotate_left(1);
        let text: String = overrides
            .iter()
            .map(|it| format!("[[override]]\n{it}\n"))
            .collect();
        let policy = read(&text);
        let plain = facts(1);
        let terms = overrides::terms(
            &policy.document.thresholds,
            &policy.document.overrides,
            &plain,
        );
        assert_eq!(terms.thresholds.level1, MicroUsd::dollars(50));
        assert_eq!(terms.thresholds.level2, MicroUsd::dollars(200));
        assert_eq!(terms.outcome, Some((Outcome::Approve, "same-rank")));
        let acme = Facts {
            tenant: TenantId::parse("acme").unwrap(),
            ..plain.clone()
        };
        let terms = overrides::terms(
            &policy.document.thresholds,
            &policy.document.overrides,
            &acme,
        );
        assert_eq!(terms.thresholds.level1, MicroUsd::dollars(5_000));
        assert_eq!(terms.max_risk, Risk::High);
        let targeted = Facts {
            target: Some("db-1".to_owned()),
            ..plain
        };
        assert_eq!(judged(&policy, &targeted).0, Outcome::Approve);
        let by_other = Facts {
            requester: PluginName::parse("other").ok(),
            ..targeted
        };
        assert_eq!(
            judged(&policy, &by_other),
            (Outcome::Deny, "override:no-target".into())
        );
    }
}

#[test]
fn humans_are_asked_as_the_policy_says() {
    let policy = read(
        r#"
        [approvals]
        expires_after = "5m"
        repeat_after = "1m"
        four_eyes = true
        [[approvals.route]]
        channels = ["ops"]
        "#,
    );
    let terms = policy.judge(&facts(20_000)).approvals;
    assert_eq!(terms.expires_after.as_secs(), 300);
    assert_eq!(terms.repeat_after.as_secs(), 60);
    assert!(terms.four_eyes);
    assert_eq!(terms.channels, ["ops"]);
    let terms = shipped().judge(&facts(20_000)).approvals;
    assert_eq!(terms.expires_after.as_secs(), 1_800);
    assert!(!terms.four_eyes && terms.channels.is_empty());
}

#[test]
fn facts_read_back_as_they_were_judged() {
    let facts = facts(2_500);
    let stored = serde_json::to_value(&facts).unwrap();
    let back: Facts = serde_json::from_value(stored).unwrap();
    assert_eq!(back, facts);
    assert_eq!(shipped().judge(&back), shipped().judge(&facts));
}

mod properties;
