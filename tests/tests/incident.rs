//! The incident system on a real host: from an alert or a fault to an end that everybody can see, with what is
//! granted and with what is not, over a crash too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::eval::desk::INCIDENT_PLUGINS;
use mandate_tests::eval::simulated::{self, Plan, Trial};
use mandate_tests::eval::{Desk, outcome, prepared, scene};
use mandate_tests::host::Options;
use mandate_tests::ws::Socket;
use mandate_tests::{Client, Do, Host, agent};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The longest that an incident may be worked on here.
const PATIENCE: Duration = Duration::from_secs(120);

/// A fault that a harmless step ends.
fn plan() -> Plan {
    Plan {
        number: 1,
        seed: 7,
        fault: json!({"kind": "bad_deployment", "service": "catalogue", "seed": 7}),
        calm: Duration::from_secs(1),
    }
}

fn desk(host: &Host, tenant: &str) -> Desk {
    Desk::new(host.admin(), tenant)
}

/// The incident of a trial.
async fn incident(desk: &Desk, trial: &Trial) -> Value {
    let id = trial
        .incident
        .as_ref()
        .unwrap_or_else(|| panic!("no incident: {trial}"));
    desk.get(&format!("records/incidents/{id}")).await.unwrap()
}

/// What the agents did about an incident: the tools and agents that were called, in order.
async fn calls(desk: &Desk, incident: &str) -> Vec<String> {
    let path = format!("tasks?kind=incident&subject=incidents/{incident}");
    let mut calls = Vec::new();
    for task in desk.items(&path).await.unwrap() {
        let path = format!("executions/{}", task["execution"].as_str().unwrap());
        let tree = desk.client().get(&format!("/api/v1/{path}")).await.ok();
        for invocation in tree["invocations"].as_array().unwrap() {
            let text = |field: &str| invocation[field].as_str().unwrap().to_owned();
            calls.push(format!("{}.{}", text("plugin"), text("function")));
        }
    }
    calls
}

/// The interfaces of what the agents tried about an incident and may not do.
async fn refused(desk: &Desk, incident: &str) -> BTreeSet<String> {
    let path = format!("tasks?kind=incident&subject=incidents/{incident}");
    let mut refused = BTreeSet::new();
    for task in desk.items(&path).await.unwrap() {
        let path = format!(
            "/api/v1/executions/{}/steps?",
            task["execution"].as_str().unwrap()
        );
        for step in desk.client().all(&path).await {
            if step["refused"] == true {
                refused.insert(step["interface"].as_str().unwrap().to_owned());
            }
        }
    }
    refused
}

/// Takes a capability, or a part of one, away from a plugin.
async fn revoke(client: &Client, plugin: &str, change: impl Fn(&mut Value)) {
    let path = format!("/api/v1/plugins/{plugin}");
    let mut grant = client.get(&path).await.ok()["grant"].clone();
    change(&mut grant);
    grant.as_object_mut().unwrap().remove("generation");
    client.put(&format!("{path}/grant"), &grant).await.ok();
}

#[tokio::test]
async fn a_stock_alertmanager_payload_becomes_an_incident_with_its_cause() {
    let host = prepared::host().await.unwrap();
    let desk = desk(&host, "shop");
    scene::load(&desk).await.unwrap();
    let webhook = "webhooks/incidents/alertmanager";
    desk.post(webhook, &scene::alertmanager("firing"))
        .await
        .unwrap();
    // Alertmanager repeats itself; that makes nothing new.
    desk.post(webhook, &scene::alertmanager("firing"))
        .await
        .unwrap();
    let incidents = desk.items("records/incidents").await.unwrap();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    let id = incidents[0]["id"].as_str().unwrap();
    let outcome = outcome::settled(&desk, id, PATIENCE).await.unwrap();
    assert_eq!(outcome.trouble, None);
    assert_eq!(outcome.rank(scene::CAUSE), Some(1), "{outcome:?}");
    let record = desk.get(&format!("records/incidents/{id}")).await.unwrap();
    let body = &record["body"];
    assert_eq!(body["symptom"]["service"], scene::ENTRY);
    assert_eq!(body["alerts"].as_array().unwrap().len(), 1, "{body}");
    // Nothing measures the shop any more: that is no success.
    assert_eq!(body["status"], "awaiting", "{body}");
    assert!(body["escalation"]["reason"].is_string(), "{body}");
    assert_eq!(body["resolved_at"], Value::Null);
    let resolved = scene::alertmanager("resolved");
    desk.post(webhook, &resolved).await.unwrap();
    let alerts = desk.items("records/alerts").await.unwrap();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["body"]["status"], "resolved", "{alerts:?}");
}

#[tokio::test]
async fn an_injected_fault_is_resolved_and_everybody_can_see_it() {
    let host = prepared::host().await.unwrap();
    let desk = desk(&host, "default");
    let mut socket = Socket::signed_in(&host.url, desk.client().token()).await;
    socket
        .subscribe(json!([{"collection": "incidents"}]), None)
        .await;
    let trial = simulated::trial(&desk, &plan()).await;
    assert!(trial.resolved() && trial.rank() == Some(1), "{trial}");
    let record = incident(&desk, &trial).await;
    let body = &record["body"];
    assert!(
        body["resolution"].is_string() && body["resolved_at"].is_string(),
        "{body}"
    );
    assert_eq!(body["verification"]["verdict"], "resolved", "{body}");
    for part in ["triage", "cause", "remediation"] {
        assert!(body[part].is_object(), "{part}: {body}");
    }
    // The WebSocket told the story as it happened,
    let stages = ["triaged", "caused", "remediated", "verified", "resolved"];
    let subject = format!("incidents/{}", record["id"].as_str().unwrap());
    let mut told = Vec::new();
    while told.len() < stages.len() {
        let event = socket.next_of("event").await;
        assert_eq!(event["subject"], subject.as_str(), "{event}");
        let kind = event["kind"].as_str().unwrap();
        if let Some(stage) = kind.strip_prefix("incident-commander.") {
            told.push(stage.to_owned());
        }
    }
    assert_eq!(told, stages);
    // and the timeline keeps it.
    let activity = desk
        .items(&format!("records/{subject}/activity"))
        .await
        .unwrap();
    let kinds: Vec<&str> = activity
        .iter()
        .rev()
        .filter_map(|item| item["event"]["kind"].as_str())
        .collect();
    let kept: Vec<&str> = kinds
        .iter()
        .filter_map(|kind| kind.strip_prefix("incident-commander."))
        .collect();
    assert_eq!(kept, stages, "{kinds:?}");
    assert!(
        activity
            .iter()
            .any(|item| item["task"]["task_kind"] == "incident")
    );
}

#[tokio::test]
async fn no_model_is_needed() {
    let host = prepared::host().await.unwrap();
    let desk = desk(&host, "default");
    for plugin in INCIDENT_PLUGINS {
        revoke(desk.client(), plugin, |grant| {
            grant["capabilities"].as_object_mut().unwrap().remove("llm");
        })
        .await;
    }
    let trial = simulated::trial(&desk, &plan()).await;
    assert!(trial.resolved() && trial.rank() == Some(1), "{trial}");
    let record = incident(&desk, &trial).await;
    assert_eq!(record["body"]["cause"]["author"], "rules");
    let refused = refused(&desk, record["id"].as_str().unwrap()).await;
    let models = BTreeSet::from(["mandate:llm/llm".to_owned()]);
    assert_eq!(refused, models, "they asked, and nothing else was refused");
}

#[tokio::test]
async fn what_may_not_be_done_is_left_to_a_human() {
    let host = prepared::host().await.unwrap();
    let desk = desk(&host, "default");
    revoke(desk.client(), "incident-remediation", |grant| {
        let tools = grant["capabilities"]["invoke"]["tools"]
            .as_array_mut()
            .unwrap();
        tools.retain(|tool| !tool.as_str().unwrap().starts_with("actions."));
    })
    .await;
    let trial = simulated::trial(&desk, &plan()).await;
    let record = incident(&desk, &trial).await;
    let body = &record["body"];
    assert_eq!(body["status"], "awaiting", "{body}");
    assert!(body["escalation"]["to"].is_string(), "{body}");
    assert_eq!(trial.rank(), Some(1), "{trial}");
    assert_eq!(trial.cleared_by, None, "{trial}");
    let refused = refused(&desk, record["id"].as_str().unwrap()).await;
    assert!(refused.contains("mandate:invoke/invoke"), "{refused:?}");
    let calls = calls(&desk, record["id"].as_str().unwrap()).await;
    assert!(
        !calls.iter().any(|call| call == "simulator.apply"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_crash_in_the_middle_changes_nothing_of_the_end() {
    let mut host = prepared::host().await.unwrap();
    let plan = plan();
    // Once the cause is known, and once something was done about it.
    let stages = ["cause", "remediation"];
    let mut stage = stages.iter();
    let id = {
        let desk = desk(&host, "default");
        simulated::begin(&desk, &plan).await.unwrap();
        let reached = simulated::with_ticks(&desk, reaches(&desk, stage.next().unwrap()));
        reached.await.unwrap()
    };
    for stage in stage {
        host = Host::over(host.kill(), &Options::default());
        let desk = desk(&host, "default");
        simulated::with_ticks(&desk, reaches(&desk, stage))
            .await
            .unwrap();
    }
    host = Host::over(host.kill(), &Options::default());
    let desk = desk(&host, "default");
    let outcome = simulated::with_ticks(&desk, outcome::settled(&desk, &id, PATIENCE))
        .await
        .unwrap();
    assert_eq!(
        (outcome.status.as_str(), outcome.trouble),
        ("resolved", None)
    );
    let record = desk.get(&format!("records/incidents/{id}")).await.unwrap();
    let steps = record["body"]["remediation"]["steps"].as_array().unwrap();
    let done = steps.iter().filter(|step| step["status"] == "done").count();
    let calls = calls(&desk, &id).await;
    let applied = calls
        .iter()
        .filter(|call| *call == "simulator.apply")
        .count();
    assert_eq!((done, applied), (1, 1), "{steps:?} {calls:?}");
    let mut ends = BTreeMap::new();
    for event in desk.client().events().await {
        if event["subject"] == format!("incidents/{id}") {
            *ends
                .entry(event["kind"].as_str().unwrap().to_owned())
                .or_insert(0) += 1;
        }
    }
    assert_eq!(
        ends.get("incident-commander.resolved"),
        Some(&1),
        "{ends:?}"
    );
    assert_eq!(
        ends.get("incident-commander.remediated"),
        Some(&1),
        "{ends:?}"
    );
}

/// The id of the first incident that has this part.
async fn reaches(desk: &Desk, part: &str) -> anyhow::Result<String> {
    let began = std::time::Instant::now();
    loop {
        let incidents = desk.items("records/incidents").await?;
        let found = incidents
            .iter()
            .find(|incident| incident["body"][part].is_object());
        if let Some(id) = found.and_then(|incident| incident["id"].as_str()) {
            return Ok(id.to_owned());
        }
        anyhow::ensure!(
            began.elapsed() < PATIENCE,
            "no {part} after {PATIENCE:?}: {incidents:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_agents_cannot_look_up_the_answer() {
    let host = prepared::host().await.unwrap();
    let desk = desk(&host, "default");
    for plugin in INCIDENT_PLUGINS {
        let view = desk
            .client()
            .get(&format!("/api/v1/plugins/{plugin}"))
            .await
            .ok();
        let capabilities = &view["grant"]["capabilities"];
        let records = &capabilities["records"];
        for way in ["read", "write"] {
            for name in records[way].as_array().into_iter().flatten() {
                assert!(
                    !matches!(name.as_str(), Some("faults" | "environments")),
                    "{plugin}: {records}"
                );
            }
        }
        let tools = capabilities["invoke"]["tools"]
            .as_array()
            .into_iter()
            .flatten();
        for tool in tools {
            assert!(
                !tool.as_str().unwrap().starts_with("simulator"),
                "{plugin}: {tool}"
            );
        }
    }
    // A guest with the grant of the one that searches is denied both ways.
    desk.tool("simulator.start", &json!({"seed": 1}))
        .await
        .unwrap();
    desk.tool("simulator.inject", &json!({"kind": "leak", "seed": 1}))
        .await
        .unwrap();
    let spy = agent("spy")
        .manifest(
            "[capabilities.records]\nread = [\"incidents\"]\n\
             [capabilities.invoke]\ntools = [\"monitoring.*\"]\n",
        )
        .does([
            Do::Find {
                collection: "faults".into(),
            },
            Do::tool("simulator.status", "{}"),
        ]);
    desk.client().install(spy.file()).await;
    let task = desk.client().run("spy", json!({})).await;
    for step in desk.client().steps(task["id"].as_str().unwrap()).await {
        assert_eq!(step["refused"], true, "{step}");
        assert!(step["answer"]["error"]["denied"].is_object(), "{step}");
    }
}

#[tokio::test]
async fn what_schedules_start_is_what_the_agents_take() {
    let host = prepared::host().await.unwrap();
    let client = host.admin();
    let mut started = 0;
    for plugin in INCIDENT_PLUGINS {
        let view = client.get(&format!("/api/v1/plugins/{plugin}")).await.ok();
        let schedules = view["manifest"]["triggers"]["schedule"].as_array();
        for schedule in schedules.into_iter().flatten() {
            let kind = schedule["kind"].as_str().unwrap();
            let task = client.run(kind, schedule["input"].clone()).await;
            assert_eq!(task["status"], "succeeded", "{task}");
            started += 1;
        }
    }
    assert!(started > 0, "the commander looks for what was left behind");
}
