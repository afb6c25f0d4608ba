//! Missing, empty, absurd and huge data: an answer within bounds, or an error that says what to do; never a panic.

use super::shop::{ENTRY, Noise, SECOND, Shop, Trouble};
use super::store::Store;
use crate::rank::rank;
use crate::settings::Settings;
use incident_contract::incident::Symptom;
use incident_contract::ranking::{RankArguments, Ranking};
use incident_contract::{Signal, Window, time};
use mandate_sdk::Error;

const NOW: u64 = 2_000_000 * SECOND;

fn arguments(service: &str, at: Option<u64>) -> RankArguments {
    RankArguments {
        symptom: Symptom {
            service: service.to_owned(),
            signal: None,
            at: at.map(time),
        },
        window: None,
        baseline: None,
        limit: None,
    }
}

fn ask(store: &Store, service: &str, at: Option<u64>) -> Result<Ranking, Error> {
    rank(&arguments(service, at), &Settings::default(), store, NOW)
}

#[test]
fn nothing_at_all_is_an_answer() {
    let ranking = ask(&Store::default(), "web", None).unwrap();
    assert!(!ranking.found && ranking.suspects.is_empty());
    assert!(ranking.reason.contains("no data"), "{}", ranking.reason);
    assert_eq!(ranking.missing, ["web"]);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let mut wrong = arguments("web", None);
    wrong.window = Some(Window {
        start: time(5),
        end: time(5),
    });
    let error = rank(&wrong, &Settings::default(), &Store::default(), NOW).unwrap_err();
    assert!(error.to_string().contains("window"), "{error}");
    assert!(ask(&Store::default(), "  ", None).is_err());
    // Before 1970, and far in the future.
    for at in [0, u64::MAX / 4] {
        assert!(!ask(&Store::default(), "web", Some(at)).unwrap().found);
    }
}

#[test]
fn without_a_topology_what_deviates_is_still_told() {
    let shop = Shop {
        interval: 5,
        before: 720,
        during: 12,
        seed: 3,
    };
    let mut store = shop.store("search", Some(Trouble::Slow(0.4)));
    store.hang_up();
    let ranking = rank(
        &arguments(ENTRY, Some(shop.onset())),
        &Settings::default(),
        &store,
        shop.end(),
    )
    .unwrap();
    let search = ranking
        .suspects
        .iter()
        .find(|suspect| suspect.component == "search")
        .unwrap();
    assert!(search.path.is_empty());
    assert_eq!(
        ranking.suspects[0].component, ENTRY,
        "without calls nothing leads away from the symptom"
    );
}

#[test]
fn a_component_without_any_data_on_the_way_is_named() {
    let shop = Shop {
        interval: 5,
        before: 720,
        during: 12,
        seed: 4,
    };
    let mut store = shop.store("ledger", Some(Trouble::Slow(0.4)));
    store.forget("payments", 0);
    let ranking = rank(
        &arguments(ENTRY, Some(shop.onset())),
        &Settings::default(),
        &store,
        shop.end(),
    )
    .unwrap();
    assert_eq!(ranking.missing, ["payments"]);
    assert!(
        ranking
            .suspects
            .iter()
            .take(3)
            .any(|suspect| suspect.component == "ledger"),
        "{ranking:#?}"
    );
}

#[test]
fn absurd_numbers_are_survived() {
    let mut noise = Noise::new(5);
    let absurd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e308,
        -1e308,
        0.0,
        -0.0,
        5e-324,
    ];
    for service in ["web", "a", "b"] {
        let mut store = Store::default();
        for (caller, callee) in [("web", "a"), ("a", "b"), ("b", "web"), ("web", "web")] {
            store.call(caller, callee);
        }
        for tick in 0..300 {
            for component in ["web", "a", "b"] {
                for (metric, statistic) in [
                    ("latency", "Average"),
                    ("requests", "Sum"),
                    ("availability", "Average"),
                ] {
                    let value = absurd[(noise.next() * absurd.len() as f64) as usize];
                    store.point(metric, component, statistic, NOW - tick * 5 * SECOND, value);
                }
            }
        }
        for signal in [None, Some(Signal::Latency), Some(Signal::Availability)] {
            let mut arguments = arguments(service, None);
            arguments.symptom.signal = signal;
            let ranking = rank(&arguments, &Settings::default(), &store, NOW).unwrap();
            for suspect in &ranking.suspects {
                assert!(
                    suspect.confidence.is_finite() && (0.0..=1.0).contains(&suspect.confidence),
                    "{suspect:#?}"
                );
                for evidence in &suspect.evidence {
                    let numbers = [evidence.usual, evidence.observed, evidence.deviation];
                    assert!(
                        numbers.into_iter().flatten().all(f64::is_finite),
                        "{evidence:#?}"
                    );
                }
            }
        }
    }
}

#[test]
fn huge_graphs_end() {
    let mut store = Store::default();
    let mut noise = Noise::new(6);
    let name = |n: u64| format!("c{n}");
    // Ten layers in which everybody calls a few of the next layer: more ways than could ever be walked one by one.
    for layer in 0..10 {
        for n in 0..300 {
            for _ in 0..8 {
                let callee = (noise.next() * 300.0) as u64;
                store.call(&name(layer * 300 + n), &name((layer + 1) * 300 + callee));
            }
        }
    }
    store.most_series.set(500);
    for n in 0..3_000 {
        for tick in 0..20 {
            let at = NOW - (20 - tick) * 60 * SECOND;
            let slow = if tick >= 18 { 3.0 } else { 1.0 };
            store.point(
                "latency",
                &name(n),
                "Average",
                at,
                slow * (1.0 + 0.1 * noise.next()),
            );
            store.point("requests", &name(n), "Sum", at, 100.0);
        }
    }
    let ranking = ask(&store, "c0", None).unwrap();
    assert!(!ranking.suspects.is_empty() && ranking.suspects.len() <= 10);
    assert!(ranking.missing.len() <= 100);
    let (steps, journal) = (store.steps.get(), store.journal.get());
    assert!(
        steps < 8_000 && journal < 8_000_000,
        "{steps} steps, {journal} bytes"
    );
}

#[test]
fn what_is_too_much_at_once_is_asked_one_by_one() {
    let shop = Shop {
        interval: 5,
        before: 720,
        during: 12,
        seed: 9,
    };
    let store = shop.store("ledger", Some(Trouble::Slow(0.4)));
    store.most_series.set(3);
    let at = Some(shop.onset());
    let ranking = rank(
        &arguments(ENTRY, at),
        &Settings::default(),
        &store,
        shop.end(),
    )
    .unwrap();
    assert_eq!(ranking.suspects[0].component, "ledger");
}

#[test]
fn the_limit_is_kept() {
    let shop = Shop {
        interval: 5,
        before: 720,
        during: 12,
        seed: 8,
    };
    let store = shop.store("db", Some(Trouble::Slow(0.2)));
    let mut arguments = arguments(ENTRY, Some(shop.onset()));
    arguments.limit = Some(2);
    let ranking = rank(&arguments, &Settings::default(), &store, shop.end()).unwrap();
    assert_eq!(ranking.suspects.len(), 2);
}
