//! Alerts on a real host: many payloads at once and a host that is killed in the middle lose none, and open no
//! incident twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::{Answer, Client, Host, Options};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const PATH: &str = "/api/v1/webhooks/incidents/alertmanager";

/// A host with the plugin that takes alerts, where that is built.
async fn host() -> Option<Host> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/incidents.wasm");
    if !file.exists() {
        eprintln!(
            "skipped: {} is not built; `make build` does it",
            file.display()
        );
        return None;
    }
    let host = Host::start();
    host.admin().install(std::fs::read(file).unwrap()).await;
    Some(host)
}

fn alert(name: &str, service: &str) -> Value {
    json!({"status": "firing", "labels": {"alertname": name, "service": service, "severity": "high"},
        "annotations": {}, "startsAt": "2026-01-31T12:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "", "fingerprint": format!("{name}-{service}")})
}

/// Payloads whose alerts are about the same three services, each payload with alerts of its own.
fn payloads(count: usize) -> Vec<Value> {
    let of = |payload: usize| {
        let each =
            (0..12).map(|n| alert(&format!("A{payload}-{n}"), &format!("service-{}", n % 3)));
        json!({"version": "4", "status": "firing", "alerts": each.collect::<Vec<_>>()})
    };
    (0..count).map(of).collect()
}

async fn send(client: &Client, payload: &Value) -> Result<Answer, String> {
    client
        .try_send(client.request(Method::POST, PATH).json(payload))
        .await
}

/// Every alert has the one open incident of its service, and that knows of it.
async fn check(client: &Client, expected: usize) {
    let alerts = client.items("/api/v1/alerts?limit=1000").await;
    let incidents = client.items("/api/v1/incidents?limit=1000").await;
    assert_eq!(alerts.len(), expected);
    let mut of_service: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for alert in &alerts {
        let (service, incident) = (&alert["body"]["service"], &alert["body"]["incident"]);
        of_service
            .entry(service.as_str().unwrap())
            .or_default()
            .insert(incident.as_str().unwrap());
    }
    assert!(
        of_service.values().all(|incidents| incidents.len() == 1),
        "{of_service:?}"
    );
    assert_eq!(incidents.len(), of_service.len(), "{incidents:?}");
    let known: usize = incidents
        .iter()
        .map(|it| it["body"]["alerts"].as_array().unwrap().len())
        .sum();
    assert_eq!(known, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_at_once_open_each_incident_once() {
    let Some(host) = host().await else { return };
    let client = host.admin();
    let payloads = payloads(16);
    let answers =
        futures::future::join_all(payloads.iter().map(|payload| send(&client, payload))).await;
    let mut opened = 0;
    for answer in answers {
        let taken = answer.unwrap().ok();
        assert_eq!(taken["result"]["refused_count"], 0, "{taken}");
        opened += taken["result"]["opened"].as_array().unwrap().len();
    }
    assert_eq!(opened, 3);
    check(&client, 16 * 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_host_left_half_done_is_whole_once_it_is_sent_again() {
    let Some(mut host) = host().await else { return };
    let payloads = payloads(8);
    // Each time a little later: before, between and after its writes.
    for round in 0..8 {
        let client = host.admin();
        let all = payloads.iter().map(|payload| send(&client, payload));
        let sending = futures::future::join_all(all);
        let _ = tokio::time::timeout(Duration::from_millis(5 + 12 * round), sending).await;
        host = Host::over(host.kill(), &Options::default());
    }
    let client = host.admin();
    // As senders do: until it was taken.
    for payload in &payloads {
        let taken = send(&client, payload).await.unwrap().ok();
        assert_eq!(taken["result"]["refused_count"], 0, "{taken}");
    }
    check(&client, 8 * 12).await;
}

#[tokio::test]
async fn an_incident_of_a_client_takes_the_alerts_of_its_service() {
    let Some(host) = host().await else { return };
    let client = host.admin();
    // Only what must be said: no status, no severity.
    let made = client
        .post(
            "/api/v1/incidents",
            &json!({"title": "Customers complain", "affected_services": ["shop"]}),
        )
        .await
        .expect(201);
    let payload = json!({"alerts": [alert("A", "shop")]});
    let taken = send(&client, &payload).await.unwrap().ok();
    assert_eq!(taken["result"]["taken"][0]["incident"], made["id"]);
    let found = client
        .items("/api/v1/incidents?affected_services=shop")
        .await;
    assert_eq!(
        (
            found.len(),
            found[0]["body"]["alerts"].as_array().unwrap().len()
        ),
        (1, 1)
    );
    // Nobody does what nobody can do; the agent is another plugin.
    let resolve = format!(
        "/api/v1/incidents/{}/actions/resolve",
        made["id"].as_str().unwrap()
    );
    client.post(&resolve, &json!({})).await.expect(409);
    // Over is told at once.
    let mut over = alert("A", "shop");
    over["status"] = json!("resolved");
    over["endsAt"] = json!("2026-01-31T12:30:00Z");
    send(&client, &json!({"alerts": [over]}))
        .await
        .unwrap()
        .ok();
    let told = client
        .items("/api/v1/events?kinds=incidents.alert_resolved")
        .await;
    assert_eq!((told.len(), &told[0]["data"]["incident"]), (1, &made["id"]));
    assert_eq!(
        told[0]["subject"].as_str().unwrap().split('/').next(),
        Some("alerts")
    );
}
