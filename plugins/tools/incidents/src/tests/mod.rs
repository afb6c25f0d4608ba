//! What happens with alerts and incidents, against a host in memory.

mod cloudwatch;
mod flapping;
mod forms;
mod grouping;
mod hostile;
mod keeping;
mod schemas;

use crate::TakeAlertmanager;
use crate::alert::Alert;
use chrono::TimeDelta;
use incident_contract::incident::Incident;
use incident_contract::{Time, micros};
use mandate_sdk::prelude::*;
use mandate_sdk::telemetry::Edge;
use serde_json::{Value, json};

/// When the tests begin.
fn start() -> Time {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// So many seconds after the start.
fn at(seconds: i64) -> Time {
    start() + TimeDelta::seconds(seconds)
}

/// A host with the grants of the manifest, and a shop: web calls cart and search, cart and orders call db.
fn fake() -> FakeHost {
    let fake = FakeHost::for_plugin(include_str!("../../plugin.toml"));
    fake.set_time(micros(start()));
    let edge = |(caller, callee): (&str, &str)| Edge {
        caller: caller.to_owned(),
        callee: callee.to_owned(),
    };
    let edges = [
        ("web", "cart"),
        ("web", "search"),
        ("cart", "db"),
        ("orders", "db"),
    ];
    fake.telemetry(Vec::new(), Vec::new(), Vec::new(), edges.map(edge).to_vec());
    fake
}

/// As Alertmanager sends it.
fn alert(name: &str, service: &str, severity: &str, started: i64) -> Value {
    json!({
        "status": "firing",
        "labels": {"alertname": name, "service": service, "severity": severity},
        "annotations": {},
        "startsAt": at(started).to_rfc3339(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": format!("{name}-{service}"),
    })
}

/// The same, when it is over.
fn over(mut alert: Value, ended: i64) -> Value {
    alert["status"] = json!("resolved");
    alert["endsAt"] = json!(at(ended).to_rfc3339());
    alert
}

/// Sends alerts at a time.
fn send(fake: &FakeHost, seconds: i64, alerts: &[Value]) -> Value {
    fake.set_time(micros(at(seconds)));
    let payload =
        json!({"version": "4", "status": "firing", "receiver": "mandate", "alerts": alerts});
    fake.call_json::<TakeAlertmanager>(&payload).unwrap()
}

fn alerts(fake: &FakeHost) -> Vec<Alert> {
    let all = fake.records::<Alert>(crate::alert::COLLECTION);
    all.into_iter().map(|(_, alert)| alert).collect()
}

fn incidents(fake: &FakeHost) -> Vec<(String, Incident)> {
    fake.records(incident_contract::incident::COLLECTION)
}

fn outcomes(taken: &Value) -> Vec<&str> {
    let each = taken["taken"].as_array().unwrap().iter();
    each.map(|one| one["outcome"].as_str().unwrap()).collect()
}
