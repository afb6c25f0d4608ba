//! The tools as they are called: over the fake host with its grants, and over the store for what they answer.

use super::shop::{ENTRY, SECOND, Shop, Trouble};
use crate::health::{HealthArguments, Verdict, judge_all};
use crate::metrics::{MetricsArguments, find};
use crate::settings::Settings;
use crate::{Health, Logs, Metrics, Rank, Topology, Traces};
use incident_contract::{Window, time};
use mandate_sdk::prelude::*;
use mandate_sdk::telemetry::{Edge, Label, LogLine, Point, Series, Severity, Span};
use serde_json::json;

fn label(name: &str, value: &str) -> Label {
    Label {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn fake() -> FakeHost {
    let fake = FakeHost::for_plugin(include_str!("../../plugin.toml"));
    fake.set_time(1_000 * SECOND);
    fake.telemetry(
        vec![Series {
            metric: "latency".to_owned(),
            labels: vec![label("service", "web"), label("statistic", "Average")],
            points: vec![
                Point {
                    time: 900 * SECOND,
                    value: 0.5,
                },
                Point {
                    time: 905 * SECOND,
                    value: f64::NAN,
                },
            ],
        }],
        vec![LogLine {
            time: 900 * SECOND,
            service: "web".to_owned(),
            severity: Severity::Error,
            message: "x".repeat(5_000),
            labels: vec![label("event", "deployment")],
        }],
        vec![Span {
            trace_id: "t".to_owned(),
            span_id: "s".to_owned(),
            parent_id: None,
            service: "web".to_owned(),
            operation: "GET /".to_owned(),
            start: 900 * SECOND,
            duration_us: 12,
            error: true,
            labels: Vec::new(),
        }],
        vec![Edge {
            caller: "web".to_owned(),
            callee: "db".to_owned(),
        }],
    );
    fake
}

#[test]
fn every_tool_answers_within_its_grant() {
    let fake = fake();
    let metrics = fake
        .call_json::<Metrics>(&json!({"metric": "latency", "service": "web"}))
        .unwrap();
    assert_eq!(
        metrics["series"][0]["points"],
        json!([{"time": "1970-01-01T00:15:00Z", "value": 0.5}])
    );
    let logs = fake
        .call_json::<Logs>(&json!({"service": "web", "at_least": "error", "limit": 1}))
        .unwrap();
    assert_eq!(logs["lines"][0]["severity"], "error");
    assert_eq!(logs["lines"][0]["labels"]["event"], "deployment");
    assert_eq!(logs["lines"][0]["message"].as_str().unwrap().len(), 1_000);
    assert_eq!(logs["truncated"], true);
    let traces = fake
        .call_json::<Traces>(&json!({"service": "web"}))
        .unwrap();
    assert_eq!(traces["spans"][0]["duration_us"], 12);
    let topology = fake.call_json::<Topology>(&json!({})).unwrap();
    assert_eq!(
        topology["edges"],
        json!([{"caller": "web", "callee": "db"}])
    );
    let health = fake
        .call_json::<Health>(&json!({"services": ["web", "db"]}))
        .unwrap();
    assert_eq!(health["services"][1]["verdict"], "no_data");
    let ranking = fake
        .call_json::<Rank>(&json!({"symptom": {"service": "web"}}))
        .unwrap();
    assert_eq!(ranking["found"], false);
}

#[test]
fn nobody_reads_without_a_grant() {
    let fake = FakeHost::denying();
    let denied = fake
        .call_json::<Rank>(&json!({"symptom": {"service": "web"}}))
        .unwrap_err();
    assert!(matches!(denied, Error::Denied { .. }), "{denied}");
}

#[test]
fn unknown_arguments_are_refused() {
    let fake = fake();
    assert!(
        fake.call_json::<Metrics>(&json!({"metric": "latency", "servce": "web"}))
            .is_err()
    );
    assert!(fake.call_json::<Logs>(&json!({"at_least": "bad"})).is_err());
}

#[test]
fn long_answers_are_cut_and_say_so() {
    let shop = Shop {
        interval: 5,
        before: 2_000,
        during: 0,
        seed: 1,
    };
    let store = shop.store("", None);
    let arguments = |aggregation: &str| -> MetricsArguments {
        let window = json!({"start": time(0), "end": time(shop.end())});
        serde_json::from_value(
            json!({"metric": "latency", "window": window, "aggregation": aggregation}),
        )
        .unwrap()
    };
    let settings = Settings::default();
    let raw = find(&arguments("raw"), &settings, &store, shop.end()).unwrap();
    assert!(raw.truncated);
    assert_eq!(
        raw.series
            .iter()
            .map(|series| series.points.len())
            .sum::<usize>(),
        5_000
    );
    let mean = find(&arguments("mean"), &settings, &store, shop.end()).unwrap();
    assert!(!mean.truncated && mean.series.len() == 27);
}

fn verdicts(shop: &Shop, store: &super::store::Store, window: Option<Window>) -> Vec<Verdict> {
    let arguments = HealthArguments {
        services: vec![ENTRY.to_owned(), "ledger".to_owned(), "nobody".to_owned()],
        window,
        baseline: Some(Window {
            start: time(0),
            end: time(shop.onset()),
        }),
    };
    let found = judge_all(&arguments, &Settings::default(), store, shop.end()).unwrap();
    assert!(
        found
            .services
            .iter()
            .all(|judged| !judged.checks.is_empty())
    );
    found.services.iter().map(|judged| judged.verdict).collect()
}

#[test]
fn missing_is_not_healthy_and_slow_is_degraded() {
    use Verdict::{Degraded, Healthy, NoData};
    let shop = Shop {
        interval: 5,
        before: 720,
        during: 36,
        seed: 2,
    };
    let during = Some(Window {
        start: time(shop.onset()),
        end: time(shop.end()),
    });
    assert_eq!(
        verdicts(&shop, &shop.store("", None), during),
        [Healthy, Healthy, NoData]
    );
    let slow = shop.store("ledger", Some(Trouble::Slow(0.3)));
    assert_eq!(verdicts(&shop, &slow, during), [Degraded, Degraded, NoData]);
    let failing = shop.store("ledger", Some(Trouble::Failing(0.3)));
    assert_eq!(
        verdicts(&shop, &failing, during),
        [Degraded, Degraded, NoData]
    );
    let gone = shop.store("ledger", Some(Trouble::Gone));
    assert_eq!(verdicts(&shop, &gone, during)[1], NoData);
    // Repaired: the fault is over when the window begins.
    let mut repaired = shop.store("", None);
    repaired.replace(
        "latency",
        "ledger",
        "Average",
        shop.onset() - 10 * SECOND,
        9.0,
    );
    assert_eq!(verdicts(&shop, &repaired, during)[1], Healthy);
}

#[test]
fn nothing_to_compare_with_is_no_health() {
    let shop = Shop {
        interval: 5,
        before: 0,
        during: 36,
        seed: 2,
    };
    let during = Some(Window {
        start: time(shop.onset()),
        end: time(shop.end()),
    });
    assert_eq!(
        verdicts(&shop, &shop.store("", None), during)[0],
        Verdict::NoData
    );
}
