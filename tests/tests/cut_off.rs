//! Guests that are cut off in the middle of a write, by a limit or by somebody: the write
//! happened or it did not, journal and records agree, and the task has its end at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::audit::Audit;
use mandate_tests::host::Shared;
use mandate_tests::{Client, Do, Options, Plugin, Text, agent};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

static HOST: Shared = Shared::new();

fn client() -> Client {
    let config = "[api]\nrequests_per_second = 100000\nrequest_burst = 100000\n".to_owned();
    HOST.with(&Options {
        config,
        ..Options::default()
    })
    .admin()
}

/// An agent that writes one record after the other.
fn scribbler(name: &str, milliseconds: u64) -> Plugin {
    let line = Do::Create {
        collection: name.into(),
        id: None,
        body: Text::Input,
    };
    agent(name)
        .manifest(&format!(
            "[limits]\ntime_ms = {milliseconds}\nsteps = 1000000\njournal_bytes = 268435456\n\
             [capabilities.records]\nwrite = [\"{name}\"]\n\
             [records.{name}]\nid = \"N-{{16}}\"\nschema = {{ type = \"object\" }}\n"
        ))
        .does([Do::Repeat(900_000, Box::new(line))])
}

async fn submit(client: &Client, kind: &str, many: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..many {
        let task = client.submit(&json!({"kind": kind, "input": {}})).await;
        ids.push(task["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// Records and steps of these tasks agree, and nothing of them runs any more.
async fn agree(client: &Client, collection: &str, tasks: &[String]) {
    let audit = Audit::read(client, &[collection]).await;
    let mut steps = 0;
    for id in tasks {
        let execution = &audit.executions[id];
        for invocation in &execution.invocations {
            assert!(invocation["ended_at"].is_string(), "{invocation}");
        }
        let written = |step: &&Value| step["answer"]["ok"].is_object();
        steps += execution.steps.iter().filter(written).count();
        assert_eq!(audit.tasks[id]["attempts"], 1, "it was not tried again");
    }
    assert!(steps > 0, "they were cut off while they wrote");
    assert_eq!(audit.records.len(), steps);
}

#[tokio::test]
async fn a_limit_cuts_off_a_guest_that_writes() {
    let client = client();
    client.install(scribbler("hasty", 400).file()).await;
    let tasks = submit(&client, "hasty", 12).await;
    for id in &tasks {
        let task = client.ended(id).await;
        assert_eq!(task["status"], "failed", "{task}");
        assert_eq!(task["error"]["kind"], "limit", "{task}");
        assert!(
            task["error"]["message"]
                .as_str()
                .unwrap()
                .contains("time_ms"),
            "{task}"
        );
    }
    agree(&client, "hasty", &tasks).await;
}

#[tokio::test]
async fn cancelling_a_guest_that_writes_ends_it_for_good() {
    let client = client();
    client.install(scribbler("eager", 60_000).file()).await;
    let tasks = submit(&client, "eager", 12).await;
    for (n, id) in (0_u64..).zip(&tasks) {
        client.reaches(id, "running").await;
        // At a different moment of its work each.
        tokio::time::sleep(Duration::from_millis(3 + 2 * n)).await;
        let path = format!("/api/v1/tasks/{id}/cancel");
        let task = client.send(client.request(Method::POST, &path)).await.ok();
        assert_eq!(task["status"], "cancelled", "{task}");
    }
    agree(&client, "eager", &tasks).await;
}
