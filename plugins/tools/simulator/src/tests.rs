//! The tools as the host calls them, and that the schemas are those of the code.

use crate::model::environment::Environment;
use crate::records::{ENVIRONMENTS, FAULTS, FaultRecord};
use crate::{Advance, Apply, Generate, Inject, Look, Start, Stop};
use mandate_sdk::prelude::*;
use mandate_sdk::schemars::schema_for;
use mandate_sdk::serde_json::{self, Value, json};
use mandate_sdk::telemetry::{MetricQuery, Range};
use std::cell::RefCell;
use std::rc::Rc;

const MANIFEST: &str = include_str!("../plugin.toml");
const SECOND: u64 = 1_000_000;
/// 2026-01-01, in the afternoon.
const NOW: u64 = 1_767_279_600_000_000;

/// A host with somebody who takes alerts, and what was taken.
fn host() -> (FakeHost, Rc<RefCell<Vec<Value>>>) {
    let fake = FakeHost::for_plugin(MANIFEST);
    fake.set_time(NOW);
    let taken = Rc::new(RefCell::new(Vec::new()));
    let notes = taken.clone();
    fake.tool("incidents.take-alertmanager", move |payload| {
        notes.borrow_mut().push(payload);
        Ok(json!({"taken": 1}))
    });
    (fake, taken)
}

fn start(fake: &FakeHost, arguments: &Value) -> Value {
    fake.call_json::<Start>(arguments).unwrap()
}

/// Calls `advance` every five seconds.
fn advance(fake: &FakeHost, from: u64, calls: u64) -> Value {
    let mut last = Value::Null;
    for call in 1..=calls {
        fake.set_time(from + call * 5 * SECOND);
        last = fake.call_json::<Advance>(&json!({})).unwrap();
    }
    last
}

fn environment(fake: &FakeHost) -> Environment {
    fake.records::<Environment>(ENVIRONMENTS).remove(0).1
}

fn faults(fake: &FakeHost) -> Vec<FaultRecord> {
    let records = fake.records::<FaultRecord>(FAULTS).into_iter();
    records.map(|(_, fault)| fault).collect()
}

/// The points that were written of a metric: the manifest asks for writing only, so a second look needs another host.
fn bytes_written(fake: &FakeHost, function: &str) -> Vec<usize> {
    let calls = fake.calls_of("telemetry").into_iter();
    calls
        .filter(|call| call.function == function)
        .map(|call| call.arguments.len())
        .collect()
}

/// The schema files are derived from the types: `UPDATE=1 cargo test` writes them.
#[test]
fn the_schemas_are_those_of_the_code() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas");
    for (file, schema) in [
        ("environment.json", schema_for!(Environment)),
        ("fault.json", schema_for!(FaultRecord)),
    ] {
        let path = format!("{folder}/{file}");
        let wanted = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            wanted,
            "{file} differs: run the tests with UPDATE=1"
        );
    }
}

#[test]
fn a_start_brings_an_hour_of_history_in_bounded_portions() {
    let fake = FakeHost::new();
    fake.set_time(NOW);
    let started = start(&fake, &json!({"seed": 7}));
    assert_eq!(started["started"], true);
    assert_eq!(started["simulated"], true);
    assert_eq!(started["history_from"], "2026-01-01T13:59:59.001Z");
    let written = bytes_written(&fake, "ingest-metrics");
    assert_eq!(written.len(), 4);
    assert!(written.iter().sum::<usize>() < 2_000_000, "{written:?}");
    let range = Range::before(NOW, 2 * 3_600 * SECOND);
    let host = fake.host();
    let telemetry = host.telemetry();
    let all = telemetry
        .metrics(&MetricQuery::raw("latency", range))
        .unwrap();
    let of_web = all.iter().filter(|series| {
        series.metric == "latency"
            && series.labels.iter().any(|label| label.value == "web")
            && series.labels.iter().any(|label| label.value == "p95")
    });
    let points: Vec<_> = of_web.flat_map(|series| &series.points).collect();
    assert_eq!(points.len(), 120);
    assert!(
        points
            .windows(2)
            .all(|two| two[1].time - two[0].time == 30 * SECOND)
    );
    assert!(points.iter().all(|point| point.time < NOW));
    assert_eq!(telemetry.topology().unwrap().len(), 24);
}

#[test]
fn a_second_start_changes_only_what_it_says() {
    let (fake, _) = host();
    start(&fake, &json!({"seed": 7}));
    let again = start(&fake, &json!({"trouble": true, "every_seconds": [10, 20]}));
    assert_eq!(
        (again["started"].clone(), again["seed"].clone()),
        (json!(false), json!(7))
    );
    let environment = environment(&fake);
    assert!(environment.trouble && environment.every_seconds == (10, 20));
    assert_eq!(bytes_written(&fake, "ingest-metrics").len(), 4);
    let refused = fake.call_json::<Start>(&json!({"every_seconds": [60, 30]}));
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("the smaller first")
    );
}

#[test]
fn an_even_clock_makes_a_tick_each_time_and_a_tick_is_small() {
    let (fake, _) = host();
    start(&fake, &json!({"seed": 7}));
    for call in 1..=5 {
        let advanced = advance(&fake, NOW + (call - 1) * 5 * SECOND, 1);
        assert_eq!(
            (&advanced["state"], &advanced["ticks"]),
            (&json!("running"), &json!(1))
        );
    }
    let early = fake.call_json::<Advance>(&json!({})).unwrap();
    assert_eq!(early["state"], "early");
}

#[test]
fn after_a_pause_a_minute_is_made_up_for_and_the_rest_stays_a_gap() {
    let (fake, _) = host();
    start(&fake, &json!({"seed": 7}));
    fake.set_time(NOW + 3_600 * SECOND);
    let advanced = fake.call_json::<Advance>(&json!({})).unwrap();
    assert_eq!(advanced["ticks"], 12);
    assert_eq!(advanced["until"], "2026-01-01T15:59:59.001Z");
}

#[test]
fn a_fault_becomes_an_alert_that_ends_when_an_action_helps() {
    let (fake, taken) = host();
    start(&fake, &json!({"seed": 7}));
    advance(&fake, NOW, 2);
    let injected = fake
        .call_json::<Inject>(&json!({"kind": "errors", "service": "payments", "seed": 3}))
        .unwrap();
    assert_eq!(
        (&injected["kind"], &injected["service"]),
        (&json!("errors"), &json!("payments"))
    );
    advance(&fake, NOW + 10 * SECOND, 8);
    let told = taken.borrow().clone();
    let alert = told
        .iter()
        .flat_map(|payload| payload["alerts"].as_array().unwrap())
        .find(|alert| alert["labels"]["service"] == "payments")
        .unwrap()
        .clone();
    assert_eq!(told[0]["version"], "4");
    assert_eq!(alert["status"], "firing");
    assert_eq!(alert["labels"]["alertname"], "LowAvailability");
    assert_eq!(alert["labels"]["signal"], "availability");
    assert_eq!(alert["labels"]["severity"], "high");
    assert_eq!(alert["labels"]["simulated"], "true");
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(alert["fingerprint"].as_str().unwrap().len(), 16);

    let apply = json!({"action": "restart", "service": "payments", "reason": "errors"});
    let applied = fake.call_json::<Apply>(&apply).unwrap();
    assert_eq!(applied["done"], true);
    let fault = faults(&fake).remove(0);
    assert_eq!(fault.cleared_by.as_deref(), Some("restart"));
    assert!(!fault.active && fault.cleared_at.is_some());
    advance(&fake, NOW + 60 * SECOND, 10);
    let last = taken.borrow().last().unwrap().clone();
    assert_eq!(last["status"], "resolved");
    let ended = last["alerts"].as_array().unwrap();
    let same = ended
        .iter()
        .chain(told.iter().flat_map(|p| p["alerts"].as_array().unwrap()))
        .filter(|other| other["fingerprint"] == alert["fingerprint"])
        .map(|other| &other["startsAt"]);
    assert!(same.into_iter().all(|starts| *starts == alert["startsAt"]));
    assert!(environment(&fake).alerts.iter().all(|alert| !alert.firing));
}

#[test]
fn alerts_that_nobody_takes_are_told_later_and_the_log_says_so_once() {
    let (fake, taken) = host();
    fake.tool("incidents.take-alertmanager", |_| {
        Err(Error::NotFound("incidents".into()))
    });
    start(&fake, &json!({"seed": 7}));
    fake.call_json::<Inject>(&json!({"kind": "errors", "service": "web"}))
        .unwrap();
    let advanced = advance(&fake, NOW, 8);
    assert_eq!(advanced["problems"].as_array().unwrap().len(), 1);
    let said = |text: &str| {
        let log = fake.log();
        log.iter().filter(|(_, line)| line.contains(text)).count()
    };
    assert_eq!(said("alerts cannot be delivered"), 1);
    let notes = taken.clone();
    fake.tool("incidents.take-alertmanager", move |payload| {
        notes.borrow_mut().push(payload);
        Ok(json!({}))
    });
    let advanced = advance(&fake, NOW + 40 * SECOND, 1);
    assert_eq!(advanced["problems"], json!([]));
    assert_eq!(taken.borrow().len(), 1);
    assert_eq!(said("no longer true"), 1);
    assert_eq!(environment(&fake).delivery_problem, None);
}

#[test]
fn no_tick_is_made_twice() {
    let (fake, _) = host();
    start(&fake, &json!({"seed": 7}));
    advance(&fake, NOW, 1);
    let before = environment(&fake);
    let again = fake.call_json::<Advance>(&json!({})).unwrap();
    assert_eq!(again["state"], "early", "the same tick is not made twice");
    assert_eq!(environment(&fake), before);
}

#[test]
fn trouble_is_written_down_with_its_true_cause() {
    let (fake, _) = host();
    start(&fake, &json!({"seed": 9, "trouble": true}));
    advance(&fake, NOW, 3);
    let first = faults(&fake);
    assert_eq!(first.len(), 1, "the first one comes soon");
    advance(&fake, NOW + 15 * SECOND, 60);
    let faults = faults(&fake);
    assert_eq!(faults.len(), 2);
    assert!(
        faults
            .iter()
            .all(|fault| fault.simulated && fault.injected_by == "trouble")
    );
    let status = fake.call_json::<Look>(&json!({})).unwrap();
    assert_eq!(status["kinds"].as_array().unwrap().len(), 8);
    assert_eq!(
        status["stories"].as_array().unwrap().len(),
        environment(&fake).faults.len()
    );
}

#[test]
fn stopping_ends_faults_and_a_stopped_environment_stands_still() {
    let (fake, _) = host();
    start(&fake, &json!({"seed": 7}));
    fake.call_json::<Inject>(&json!({})).unwrap();
    let stopped = fake.call_json::<Stop>(&json!({})).unwrap();
    assert_eq!(
        (&stopped["stopped"], &stopped["faults_cleared"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(faults(&fake)[0].cleared_by.as_deref(), Some("stop"));
    assert_eq!(advance(&fake, NOW, 1)["state"], "stopped");
    for refused in [
        fake.call_json::<Inject>(&json!({})),
        fake.call_json::<Apply>(&json!({"action": "restart", "service": "web"})),
    ] {
        assert!(refused.unwrap_err().to_string().contains("simulator.start"));
    }
    fake.set_time(NOW + 60 * SECOND);
    let again = start(&fake, &json!({}));
    assert_eq!(
        (&again["started"], &again["seed"]),
        (&json!(true), &json!(7))
    );
    assert_eq!(again["history_from"], Value::Null, "there is enough of it");
    assert_eq!(advance(&fake, NOW + 60 * SECOND, 1)["state"], "running");
}

#[test]
fn before_the_first_start_there_is_nothing() {
    let (fake, _) = host();
    assert_eq!(advance(&fake, NOW, 1)["state"], "absent");
    assert_eq!(fake.call_json::<Look>(&json!({})).unwrap()["exists"], false);
    assert_eq!(
        fake.call_json::<Stop>(&json!({})).unwrap()["stopped"],
        false
    );
    assert!(fake.calls_of("telemetry").is_empty());
}

#[test]
fn wrong_arguments_are_named() {
    let (fake, _) = host();
    start(&fake, &json!({"seed": 7}));
    let refused = |arguments: Value| {
        let error = fake.call_json::<Inject>(&arguments).unwrap_err();
        error.to_string()
    };
    assert!(refused(json!({"service": "card-network"})).contains("expected one of web"));
    assert!(refused(json!({"strength": 9})).contains("0.5 to 3"));
    let impossible = refused(json!({"kind": "dependency_loss", "service": "orders-db"}));
    assert!(
        impossible.contains("can happen to recommendations, users, payments"),
        "{impossible}"
    );
    assert!(
        refused(json!({"kind": "fire"})).contains("kind")
            || refused(json!({"kind": "fire"})).contains("fire")
    );
    let unknown = json!({"action": "restart", "service": "nothing"});
    let error = fake.call_json::<Apply>(&unknown).unwrap_err().to_string();
    assert!(error.contains("expected one of web"));
}

#[test]
fn there_are_never_too_many_faults() {
    let (fake, _) = host();
    start(&fake, &json!({"seed": 7}));
    for _ in 0..8 {
        fake.call_json::<Inject>(&json!({})).unwrap();
    }
    let refused = fake.call_json::<Inject>(&json!({})).unwrap_err();
    assert!(refused.is_retryable() && refused.to_string().contains("8 faults"));
    assert!(serde_json::to_string(&environment(&fake)).unwrap().len() < 8_000);
    advance(&fake, NOW, 4);
    assert!(serde_json::to_string(&environment(&fake)).unwrap().len() < 12_000);
}

#[test]
fn without_telemetry_nothing_is_started() {
    let (fake, _) = (FakeHost::denying(), ());
    assert!(fake.call_json::<Start>(&json!({})).is_err());
}

#[test]
fn test_data_says_that_nothing_is_wrong() {
    let (fake, _) = host();
    let created = Rc::new(RefCell::new(Vec::new()));
    let notes = created.clone();
    fake.tool("incidents.create", move |incident| {
        let mut notes = notes.borrow_mut();
        notes.push(incident);
        match notes.len() {
            n if n > 20 => Err(Error::failed("no more")),
            n => Ok(json!({"id": format!("INC-{n:08}"), "status": "new"})),
        }
    });
    let one = fake.call_json::<Generate>(&json!({"seed": 1})).unwrap();
    assert_eq!(one["incidents"], json!(["INC-00000001"]));
    let many = fake
        .call_json::<Generate>(&json!({"seed": 1, "count": 25}))
        .unwrap();
    assert_eq!(many["incidents"].as_array().unwrap().len(), 19);
    assert_eq!(many["problems"], json!(["no more"]));
    let created = created.borrow();
    assert_eq!(created[0]["title"], created[1]["title"], "the same seed");
    for incident in created.iter() {
        let said = incident["description"].as_str().unwrap();
        assert!(said.contains("nothing is wrong"), "{said}");
        assert_eq!(incident["detected_by"], "simulator (test data)");
    }
    assert!(faults(&fake).is_empty(), "and nothing is");
    let refused = fake.call_json::<Generate>(&json!({"count": 101}));
    assert!(refused.unwrap_err().to_string().contains("1 to 100"));
}

#[test]
fn whatever_somebody_wrote_into_the_record_a_tick_ends() {
    let (calm, _) = host();
    start(&calm, &json!({"seed": 7}));
    let body = mandate_sdk::serde_json::to_value(environment(&calm)).unwrap();
    let spoilt: [(&str, Value); 8] = [
        ("services", json!([])),
        ("orders", json!(10_000)),
        ("ticks", json!(u64::MAX)),
        ("troubles", json!(u32::MAX)),
        ("every_seconds", json!([4_000_000_000_u32, 0])),
        ("last_tick", json!("9999-01-01T00:00:00Z")),
        ("last_tick", json!("0001-01-01T00:00:00Z")),
        ("next_trouble_at", json!("1970-01-01T00:00:00Z")),
    ];
    for (field, value) in spoilt {
        let (fake, _) = host();
        let mut body = body.clone();
        body[field] = value;
        body["trouble"] = json!(true);
        let service = &mut body["services"];
        if let Some(service) = service.get_mut(0) {
            service["load"] = json!(1e300);
            service["build"] = json!(u32::MAX);
            service["recent"] = json!([[u32::MAX, u32::MAX, u32::MAX], [1, 1, 1]]);
        }
        fake.put(ENVIRONMENTS, Some("main"), &body);
        let advanced = advance(&fake, NOW, 3);
        assert!(advanced["ticks"].as_u64().unwrap() <= 12, "{field}");
    }
}
