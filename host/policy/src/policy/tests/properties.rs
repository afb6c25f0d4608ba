//! What must hold of every verdict, whatever the facts.

use super::*;
use proptest::prelude::*;

fn some_facts() -> impl Strategy<Value = Facts> {
    let money = prop_oneof![
        0_i64..20_000_000_000,
        Just(1_999_999_999_i64),
        Just(2_000_000_000_i64),
        Just(10_000_000_000_i64),
    ];
    let maybe = || prop::option::of(0_i64..20_000_000_000);
    (
        money,
        (maybe(), maybe()),
        prop::array::uniform4(0_i64..12_000_000_000),
        prop::option::of(0.0_f64..1.0),
        prop::option::of(prop::sample::select(Risk::ALL)),
        any::<(bool, bool)>(),
        prop::option::of(0_u8..4),
    )
        .prop_map(|(tariff, said, windows, confidence, risk, is, cap)| {
            let mut facts = facts(0);
            facts.cost = Cost {
                claimed: said.0.map(MicroUsd),
                estimate: said
                    .1
                    .map_or(Estimate::None, |it| Estimate::Known(MicroUsd(it))),
                tariff: Some(MicroUsd(tariff)),
            };
            facts.windows = Windows {
                plugin: MicroUsd(windows[0]),
                task: MicroUsd(windows[1]),
                tenant: MicroUsd(windows[2]),
                target: MicroUsd(windows[3]),
            };
            facts.target = is.1.then(|| "db-1".to_owned());
            facts.confidence = confidence;
            facts.risk = risk;
            facts.reversible = is.0;
            facts.autonomy_cap = cap;
            facts
        })
}

fn a_policy() -> Policy {
    read(
        r#"
        [[override]]
        name = "db"
        for = { target = "db-*" }
        level1 = 500
        min_confidence = 0.9
        [[tariff]]
        tool = "actions.*"
        fixed = 20
        [[freeze]]
        name = "nights"
        from = "22:00"
        until = "06:00"
        "#,
    )
}

proptest! {
    #[test]
    fn more_money_never_loosens(facts in some_facts(), more in 0_i64..20_000_000_000, which in 0_usize..7) {
        for policy in [shipped(), a_policy()] {
            let before = policy.judge(&facts);
            let mut dearer = facts.clone();
            let add = |sum: &mut MicroUsd| *sum = sum.plus(MicroUsd(more));
            let said = |it: Option<MicroUsd>| Some(it.unwrap_or_default().plus(MicroUsd(more)));
            match which {
                0 => dearer.cost.claimed = said(dearer.cost.claimed),
                1 => dearer.cost.tariff = said(dearer.cost.tariff),
                2 => dearer.cost.estimate = Estimate::Known(
                    dearer.cost.estimate.known().unwrap_or_default().plus(MicroUsd(more)),
                ),
                3 => add(&mut dearer.windows.plugin),
                4 => add(&mut dearer.windows.task),
                5 => add(&mut dearer.windows.tenant),
                _ => add(&mut dearer.windows.target),
            }
            let after = policy.judge(&dearer);
            prop_assert!(after.outcome >= before.outcome);
            prop_assert!(after.level >= before.level);
        }
    }

    #[test]
    fn what_is_claimed_only_tightens(facts in some_facts(), claim in any::<i64>()) {
        let policy = a_policy();
        let silent = Facts { cost: Cost { claimed: None, ..facts.cost.clone() }, ..facts.clone() };
        let claims = Facts {
            cost: Cost { claimed: Some(MicroUsd(claim)), ..facts.cost.clone() },
            ..facts
        };
        prop_assert!(policy.judge(&claims).outcome >= policy.judge(&silent).outcome);
    }

    #[test]
    fn a_verdict_stands_as_long_as_its_ceilings_hold(facts in some_facts(), more in 0_i64..12_000_000_000) {
        let policy = a_policy();
        let verdict = policy.judge(&facts);
        if verdict.outcome == Outcome::Approve {
            let most = verdict.ceilings.iter().map(|c| c.most.0).min().unwrap_or(i64::MAX);
            let cost = verdict.cost.unwrap_or_default();
            let mut later = facts.clone();
            later.windows.tenant = MicroUsd(later.windows.tenant.0.saturating_add(more));
            let holds = later.windows.tenant.plus(cost).0 <= most;
            let again = policy.judge(&later);
            prop_assert_eq!(again.level == verdict.level, holds);
        }
    }

    #[test]
    fn whatever_is_written_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = Policy::read(&text);
    }
}
