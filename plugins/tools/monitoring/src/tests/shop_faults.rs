//! Faults of all kinds at all components of an invented shop, measured often and seldom: the cause comes first.

use super::shop::{COMPONENTS, ENTRY, SECOND, Shop, Trouble};
use super::store::Store;
use crate::rank::rank;
use crate::settings::Settings;
use incident_contract::incident::Symptom;
use incident_contract::ranking::{RankArguments, Ranking};
use incident_contract::{Signal, time};
use mandate_sdk::telemetry::Severity;

/// Every five seconds for an hour, the fault in the last minute; and every five minutes for a day, the fault in the
/// last ten.
fn shops() -> [Shop; 2] {
    [
        Shop {
            interval: 5,
            before: 720,
            during: 12,
            seed: 7,
        },
        Shop {
            interval: 300,
            before: 288,
            during: 2,
            seed: 11,
        },
    ]
}

fn ask(shop: &Shop, store: &Store, service: &str, signal: Option<Signal>) -> Ranking {
    let arguments = RankArguments {
        symptom: Symptom {
            service: service.to_owned(),
            signal,
            at: Some(time(shop.onset() + shop.interval * SECOND)),
        },
        window: None,
        baseline: None,
        limit: None,
    };
    rank(&arguments, &Settings::default(), store, shop.end()).unwrap()
}

fn names(ranking: &Ranking) -> Vec<&str> {
    ranking
        .suspects
        .iter()
        .map(|suspect| suspect.component.as_str())
        .collect()
}

#[test]
fn slow_and_failing_components_come_first_wherever_they_are() {
    for shop in shops() {
        for (component, own) in COMPONENTS {
            let slow = Trouble::Slow((own * 8.0).max(0.05));
            for (trouble, signal) in [
                (slow, Signal::Latency),
                (Trouble::Failing(0.2), Signal::Availability),
            ] {
                let store = shop.store(component, Some(trouble));
                for asked in [Some(signal), None] {
                    let ranking = ask(&shop, &store, ENTRY, asked);
                    let case = format!(
                        "{component} {trouble:?} every {} s: {ranking:#?}",
                        shop.interval
                    );
                    assert_eq!(names(&ranking).first(), Some(&component), "{case}");
                    assert!(ranking.found, "{case}");
                    let first = &ranking.suspects[0];
                    assert!(
                        first.confidence > 0.4 && !first.evidence.is_empty(),
                        "{case}"
                    );
                    assert_eq!(
                        first.path.first().map(String::as_str),
                        Some(ENTRY),
                        "{case}"
                    );
                    assert_eq!(
                        first.path.last().map(String::as_str),
                        Some(component),
                        "{case}"
                    );
                    let all: f64 = ranking
                        .suspects
                        .iter()
                        .map(|suspect| suspect.confidence)
                        .sum();
                    assert!(all <= 1.0 + 1e-9, "{case}");
                }
            }
        }
    }
}

#[test]
fn too_many_requests_are_blamed_on_where_they_come_in() {
    for shop in shops() {
        for component in ["catalogue", "payments", "search"] {
            let store = shop.store(component, Some(Trouble::Flooded(4.0)));
            let ranking = ask(&shop, &store, ENTRY, Some(Signal::Latency));
            assert_eq!(names(&ranking).first(), Some(&component), "{ranking:#?}");
            let texts: Vec<&str> = ranking.suspects[0]
                .evidence
                .iter()
                .map(|evidence| evidence.what.as_str())
                .collect();
            assert!(texts.contains(&"requests"), "{texts:?}");
        }
    }
}

#[test]
fn a_flood_at_the_entry_is_no_fault_of_who_drowns_in_it() {
    for shop in shops() {
        let store = shop.store("db", Some(Trouble::Surge(3.0)));
        let ranking = ask(&shop, &store, ENTRY, Some(Signal::Latency));
        assert_eq!(names(&ranking).first(), Some(&ENTRY), "{ranking:#?}");
        assert!(names(&ranking).iter().take(3).any(|name| *name == "db"));
        assert!(
            ranking.reason.contains("times as many requests"),
            "{}",
            ranking.reason
        );
        let texts = ranking.suspects[0].evidence.iter();
        assert!(
            texts
                .clone()
                .any(|evidence| evidence.text.contains("`db` suffers"))
        );
    }
}

#[test]
fn what_is_gone_is_missing_and_among_the_first() {
    for shop in shops() {
        for component in ["payments", "ledger", "cache"] {
            let store = shop.store(component, Some(Trouble::Gone));
            let ranking = ask(&shop, &store, ENTRY, Some(Signal::Availability));
            assert!(
                names(&ranking)
                    .iter()
                    .take(3)
                    .any(|name| *name == component),
                "{ranking:#?}"
            );
            assert_eq!(ranking.missing, [component]);
        }
    }
}

#[test]
fn without_a_fault_nothing_is_found() {
    for shop in shops() {
        for signal in [None, Some(Signal::Latency), Some(Signal::Availability)] {
            let ranking = ask(&shop, &shop.store("", None), ENTRY, signal);
            assert!(!ranking.found, "{ranking:#?}");
            assert!(
                ranking
                    .suspects
                    .iter()
                    .all(|suspect| suspect.confidence < 0.9)
            );
        }
    }
}

#[test]
fn names_and_the_order_of_the_graph_do_not_matter() {
    let [shop, _] = shops();
    for (component, _) in COMPONENTS {
        let mut store = shop.store(component, Some(Trouble::Slow(0.2)));
        let before = ask(&shop, &store, ENTRY, None);
        let new = |name: &str| -> String {
            name.chars()
                .rev()
                .map(|c| (c as u8 ^ 0x15) as char)
                .collect()
        };
        store.rename(new);
        let after = ask(&shop, &store, &new(ENTRY), None);
        let renamed: Vec<String> = names(&before).into_iter().map(new).collect();
        assert_eq!(renamed, names(&after));
    }
}

#[test]
fn a_repaired_earlier_fault_does_not_accuse() {
    let [shop, _] = shops();
    let mut store = shop.store("search", Some(Trouble::Slow(0.3)));
    // Two minutes before, the cart was slow for half a minute.
    for tick in 0..6 {
        let at = shop.onset() - (120 - tick * 5) * SECOND;
        store.replace("latency", "cart", "Average", at, 0.5);
        store.replace("latency", "checkout", "Average", at, 0.6);
        store.replace("latency", "web", "Average", at, 0.5);
    }
    let ranking = ask(&shop, &store, ENTRY, Some(Signal::Latency));
    assert_eq!(names(&ranking).first(), Some(&"search"), "{ranking:#?}");
}

#[test]
fn circumstances_are_told_and_weigh() {
    let [shop, _] = shops();
    let mut store = shop.store("ledger", Some(Trouble::Slow(0.2)));
    let before = ask(&shop, &store, ENTRY, Some(Signal::Latency));
    store.line(
        "ledger",
        shop.onset() - 20 * SECOND,
        Severity::Info,
        "version 2.1 is live",
        &[("event", "deployment")],
    );
    store.line(
        "ledger",
        shop.onset() - 3_000 * SECOND,
        Severity::Info,
        "version 2.0 is live",
        &[("event", "deployment")],
    );
    for tick in 0..shop.before + shop.during {
        let at = shop.onset() - shop.before * 5 * SECOND + tick * 5 * SECOND;
        let busy = if at >= shop.onset() {
            0.95
        } else {
            0.40 + 0.01 * (tick % 5) as f64
        };
        store.labelled("cpu", &[("service", "ledger")], at, busy);
        store.labelled(
            "cpu",
            &[("service", "payments")],
            at,
            0.30 + 0.01 * (tick % 3) as f64,
        );
        if at >= shop.onset() {
            store.line("ledger", at, Severity::Error, "deadline exceeded", &[]);
        }
    }
    let after = ask(&shop, &store, ENTRY, Some(Signal::Latency));
    assert!(after.suspects[0].confidence > before.suspects[0].confidence);
    let evidence = &after.suspects[0].evidence;
    let find = |what: &str| {
        evidence
            .iter()
            .find(|evidence| evidence.what == what)
            .unwrap_or_else(|| panic!("{what}: {evidence:#?}"))
    };
    assert!(
        find("deployment").text.contains("version 2.1"),
        "{evidence:#?}"
    );
    assert!(find("cpu").observed.unwrap() > 0.8);
    assert!(find("log lines of severity error").observed.unwrap() > 1.0);
    let other = after
        .suspects
        .iter()
        .find(|suspect| suspect.component == "payments");
    assert!(other.is_none_or(|other| other.evidence.iter().all(|evidence| evidence.what != "cpu")));
}

#[test]
fn a_change_that_was_undone_since_does_not_accuse() {
    let [shop, _] = shops();
    let mut store = shop.store("ledger", Some(Trouble::Slow(0.2)));
    let line = |store: &mut _, seconds: u64, label: (&str, &str)| {
        let at = shop.onset() - seconds * SECOND;
        Store::line(store, "payments", at, Severity::Info, "changed", &[label]);
    };
    let accused = |store: &_| {
        let ranking = ask(&shop, store, ENTRY, Some(Signal::Latency));
        let evidence = ranking
            .suspects
            .into_iter()
            .flat_map(|suspect| suspect.evidence);
        evidence
            .filter(|evidence| evidence.what == "deployment")
            .count()
    };
    line(&mut store, 200, ("event", "deployment"));
    assert_eq!(accused(&store), 1);
    line(&mut store, 150, ("action", "roll-back"));
    assert_eq!(accused(&store), 0);
    line(&mut store, 100, ("event", "deployment"));
    assert_eq!(accused(&store), 1, "it came again");
}

#[test]
fn a_new_callee_speaks_about_its_caller() {
    let [shop, _] = shops();
    let mut store = shop.store("payments", Some(Trouble::Failing(0.3)));
    store.call("payments", "typo-table");
    for tick in 0..shop.during {
        let at = shop.onset() + tick * 5 * SECOND;
        store.point("requests", "typo-table", "Sum", at, 15.0);
        store.point("availability", "typo-table", "Average", at, 0.0);
        store.point("latency", "typo-table", "Average", at, 0.003);
    }
    let ranking = ask(&shop, &store, ENTRY, Some(Signal::Availability));
    assert_eq!(
        names(&ranking)[..2],
        ["payments", "typo-table"],
        "{ranking:#?}"
    );
}
