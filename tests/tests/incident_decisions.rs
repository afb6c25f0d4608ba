//! The incident system where policy asks a human about its actions: approved, denied, and unanswered over a crash.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::eval::simulated::{self, Plan};
use mandate_tests::eval::{Desk, outcome, prepared};
use mandate_tests::host::Options;
use mandate_tests::{Client, Host};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// The longest that an incident may be worked on here.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often is looked.
const PAUSE: Duration = Duration::from_millis(50);

/// A host that asks a human before each action, and an incident that needs one.
async fn begun(expires_after: &str) -> Host {
    let host = prepared::host().await.unwrap();
    let policy = format!(
        "[approvals]\nexpires_after = \"{expires_after}\"\n\
         [[override]]\nname = \"ask\"\nfor = {{ tool = \"actions.*\" }}\noutcome = \"escalate\"\n"
    );
    let request = host.admin().request(Method::PUT, "/api/v1/policy");
    let request = request.header("if-match", "\"0\"");
    host.admin()
        .send(request.json(&json!({ "text": policy })))
        .await
        .ok();
    let plan = Plan {
        number: 1,
        seed: 7,
        fault: json!({"kind": "bad_deployment", "service": "catalogue", "seed": 7}),
        calm: Duration::from_secs(1),
    };
    simulated::begin(&desk(&host), &plan).await.unwrap();
    host
}

fn desk(host: &Host) -> Desk {
    Desk::new(host.admin(), "default")
}

/// The decision that waits for a human.
async fn asked(desk: &Desk) -> anyhow::Result<Value> {
    let began = std::time::Instant::now();
    loop {
        let mut pending = desk.items("decisions?status=pending").await?;
        if let Some(decision) = pending.pop() {
            return Ok(decision);
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "nobody asks for an action");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Who may answer: whoever asked may not.
async fn approver(host: &Host) -> Client {
    host.principal("ada", "approver", &["default"]).await
}

/// How often something was done to the environment.
async fn applied(desk: &Desk) -> usize {
    let done = desk.items("decisions?status=done").await.unwrap();
    done.len()
}

async fn settled(desk: &Desk) -> Value {
    let incidents = desk.items("records/incidents").await.unwrap();
    let id = incidents[0]["id"].as_str().unwrap();
    let ended = outcome::settled(desk, id, PATIENCE);
    simulated::with_ticks(desk, ended).await.unwrap();
    desk.get(&format!("records/incidents/{id}")).await.unwrap()["body"].clone()
}

#[tokio::test]
async fn what_a_human_approves_is_done_once_and_verified_over_a_crash_while_he_thinks() {
    let host = begun("30m").await;
    let decision = simulated::with_ticks(&desk(&host), asked(&desk(&host)))
        .await
        .unwrap();
    assert_eq!(decision["plugin"], "incident-remediation", "{decision}");
    assert_eq!(decision["chain"][0], "incident-commander", "{decision}");
    assert!(
        decision["tool"].as_str().unwrap().starts_with("actions."),
        "{decision}"
    );
    assert_eq!(decision["rule"], "override:ask", "{decision}");
    assert!(
        decision["why"].as_str().unwrap().contains("catalogue"),
        "{decision}"
    );
    assert!(decision["cost"].is_i64(), "{decision}");
    let task = decision["task"].as_str().unwrap();
    let waiting = desk(&host).get(&format!("tasks/{task}")).await.unwrap();
    assert_eq!(waiting["status"], "waiting", "{waiting}");

    let host = Host::over(host.kill(), &Options::default());
    let id = decision["id"].as_str().unwrap();
    approver(&host)
        .await
        .post(&format!("/api/v1/decisions/{id}/approve"), &json!({}))
        .await
        .ok();
    let body = settled(&desk(&host)).await;
    assert_eq!(body["status"], "resolved", "{body}");
    assert_eq!(body["verification"]["verdict"], "resolved", "{body}");
    assert_eq!(applied(&desk(&host)).await, 1);
}

#[tokio::test]
async fn what_a_human_denies_is_not_done_and_escalates_with_his_reason() {
    let host = begun("30m").await;
    let desk = desk(&host);
    let decision = simulated::with_ticks(&desk, asked(&desk)).await.unwrap();
    let id = decision["id"].as_str().unwrap();
    let reason = json!({"comment": "the shop is closed tonight anyway"});
    approver(&host)
        .await
        .post(&format!("/api/v1/decisions/{id}/deny"), &reason)
        .await
        .ok();
    let body = settled(&desk).await;
    assert_eq!(body["status"], "awaiting", "{body}");
    let escalation = body["escalation"]["reason"].as_str().unwrap();
    assert!(
        escalation.contains("ada") && escalation.contains("closed tonight"),
        "{escalation}"
    );
    assert_eq!(applied(&desk).await, 0);
}

#[tokio::test]
async fn what_nobody_answers_in_time_is_not_done_and_escalates() {
    let host = begun("1s").await;
    let desk = desk(&host);
    simulated::with_ticks(&desk, async {
        let began = std::time::Instant::now();
        while desk.items("decisions?status=expired").await?.is_empty() {
            anyhow::ensure!(began.elapsed() < PATIENCE, "nothing expires");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    })
    .await
    .unwrap();
    let body = settled(&desk).await;
    assert_eq!(body["status"], "awaiting", "{body}");
    assert!(body["escalation"]["to"].is_string(), "{body}");
    assert_eq!(applied(&desk).await, 0);
}
