//! Told to stop, a host takes no more work, lets what runs come to its end, and keeps the rest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::audit::{Audit, settled};
use mandate_tests::{Client, Do, Host, Options, Plugin, agent, hostile};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn options(seconds: u64) -> Options {
    Options {
        config: format!("[tasks]\nconcurrency = 4\ndrain_seconds = {seconds}\n"),
        ..Options::default()
    }
}

/// An agent that writes a record, sleeps, and writes another.
fn sleeper(name: &str, milliseconds: u64) -> Plugin {
    let create = |body: &str| Do::Create {
        collection: name.into(),
        id: None,
        body: body.into(),
    };
    agent(name)
        .manifest(&format!(
            "[capabilities.records]\nwrite = [\"{name}\"]\n[records.{name}]\nid = \"N-{{12}}\"\nschema = {{ type = \"object\" }}\n"
        ))
        .does([create("{\"part\":1}"), Do::Sleep(milliseconds), create("{\"part\":2}")])
}

async fn submit(client: &Client, kind: &str, many: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..many {
        let task = client.submit(&json!({"kind": kind, "input": {}})).await;
        ids.push(task["id"].as_str().unwrap().to_owned());
    }
    ids
}

async fn count(client: &Client, collection: &str) -> usize {
    client
        .all(&format!("/api/v1/records/{collection}?"))
        .await
        .len()
}

/// Waits until the host says that it stops.
async fn stopping(client: &Client) -> Value {
    client
        .until(|| async {
            let answer = client.get("/ready").await;
            (answer.status == 503).then(|| answer.json())
        })
        .await
}

#[tokio::test]
async fn what_runs_ends_what_is_new_is_refused_and_what_waits_is_kept() {
    let host = Host::with(&options(20));
    let client = host.admin();
    client.install(sleeper("napper", 1_200).file()).await;
    // Somebody waits for the end of one that runs.
    let request = client
        .request(Method::POST, "/api/v1/tasks")
        .header("prefer", "wait=30")
        .json(&json!({"kind": "napper", "input": {}}));
    let watcher = {
        let client = client.clone();
        tokio::spawn(async move { client.try_send(request).await })
    };
    let mut running = submit(&client, "napper", 3).await;
    for id in &running {
        client.reaches(id, "running").await;
    }
    let waiting = submit(&client, "napper", 6).await;
    host.signal(libc::SIGTERM);
    let problem = stopping(&client).await;
    assert!(
        problem["detail"].as_str().unwrap().contains("stopping"),
        "{problem}"
    );
    let refused = client
        .post("/api/v1/tasks", &json!({"kind": "napper", "input": {}}))
        .await;
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let problem = refused.expect(503);
    assert!(
        problem["detail"].as_str().unwrap().contains("stopping"),
        "{problem}"
    );
    // Reading goes on.
    assert_eq!(client.task(&waiting[0]).await["status"], "pending");
    let (status, data) = host.exited();
    assert_eq!(status.code(), Some(0), "{status}");
    let answer = watcher
        .await
        .unwrap()
        .expect("answered before the host went")
        .ok();
    assert_eq!(answer["status"], "succeeded", "{answer}");
    running.push(answer["id"].as_str().unwrap().to_owned());

    let host = Host::over(data, &options(20));
    let client = host.admin();
    for id in &running {
        let task = client.task(id).await;
        assert_eq!(
            task["status"], "succeeded",
            "it ended before the host did: {task}"
        );
    }
    let tasks = settled(&client, Duration::from_secs(30)).await;
    assert_eq!(tasks.len(), 10, "the refused one is not there");
    Audit::read(&client, &["napper"]).await.check();
    assert_eq!(count(&client, "napper").await, 20);
}

#[tokio::test]
async fn what_does_not_end_in_time_goes_on_at_the_next_start() {
    let host = Host::with(&options(1));
    let client = host.admin();
    client.install(sleeper("dreamer", 1_900).file()).await;
    let tasks = submit(&client, "dreamer", 3).await;
    client
        .until(|| async { (count(&client, "dreamer").await == 3).then_some(()) })
        .await;
    let begun = Instant::now();
    host.signal(libc::SIGTERM);
    let (status, data) = host.exited();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );

    let host = Host::over(data, &options(1));
    let client = host.admin();
    for id in &tasks {
        let task = client.task(id).await;
        assert_eq!(task["status"], "running", "{task}");
    }
    settled(&client, Duration::from_secs(30)).await;
    Audit::read(&client, &["dreamer"]).await.check();
    assert_eq!(
        count(&client, "dreamer").await,
        6,
        "each wrote its two records once"
    );
}

/// An agent that hears of `late.done`.
fn listener() -> Plugin {
    agent("listener")
        .manifest("[[triggers.event]]\non = \"late.done\"\nkind = \"listener\"\ntitle = \"Hear\"")
}

/// An agent that says that it is done, after a while.
fn late(milliseconds: u64) -> Plugin {
    agent("late")
        .manifest("[capabilities]\nevents = true")
        .does([Do::Sleep(milliseconds), Do::publish("done", "{}")])
}

/// Waits until each `late.done` has one task.
async fn heard(client: &Client, events: usize, collections: &[&str]) {
    client
        .until(|| async {
            let tasks = client.items("/api/v1/tasks?kind=listener").await;
            (tasks.len() >= events).then_some(())
        })
        .await;
    let tasks = settled(client, Duration::from_secs(30)).await;
    let listeners = tasks.iter().filter(|task| task["kind"] == "listener");
    assert_eq!(listeners.count(), events);
    Audit::read(client, collections).await.check();
}

#[tokio::test]
async fn what_happens_while_the_host_stops_wakes_agents_at_the_next_start() {
    let host = Host::with(&options(20));
    let client = host.admin();
    client.install(listener().file()).await;
    client.install(late(700).file()).await;
    let tasks = submit(&client, "late", 2).await;
    for id in &tasks {
        client.reaches(id, "running").await;
    }
    host.signal(libc::SIGTERM);
    let (status, data) = host.exited();
    assert_eq!(status.code(), Some(0), "{status}");
    let host = Host::over(data, &options(20));
    heard(&host.admin(), 2, &[]).await;
}

#[tokio::test]
async fn an_event_waits_while_the_host_takes_no_tasks() {
    let host = Host::with(&Options {
        config: "[tasks]\nconcurrency = 1\nmost_queued = 3\n".to_owned(),
        ..Options::default()
    });
    let client = host.admin();
    client.install(listener().file()).await;
    client.install(late(1_000).file()).await;
    client.install(sleeper("napper", 100).file()).await;
    let tasks = submit(&client, "late", 1).await;
    client.reaches(&tasks[0], "running").await;
    // It is done while others fill the queue.
    let nap = json!({"kind": "napper", "input": {}});
    while client.post("/api/v1/tasks", &nap).await.status == 202 {}
    assert_eq!(client.task(&tasks[0]).await["status"], "running");
    heard(&client, 1, &["napper"]).await;
}

/// Nobody waits for a guest that never stops by itself.
#[tokio::test]
async fn a_guest_that_never_ends_does_not_keep_the_host() {
    let host = Host::with(&options(1));
    let client = host.admin();
    client
        .install(agent("spinner").is(hostile::agent(hostile::LOOP)).file())
        .await;
    let tasks = submit(&client, "spinner", 2).await;
    for id in &tasks {
        client.reaches(id, "running").await;
    }
    let begun = Instant::now();
    host.signal(libc::SIGTERM);
    // Asked twice, it does not do anything else.
    host.signal(libc::SIGTERM);
    let (status, data) = host.exited();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );

    // It runs again, and can be stopped for good.
    let host = Host::over(data, &options(1));
    let client = host.admin();
    for id in &tasks {
        let path = format!("/api/v1/tasks/{id}/cancel");
        client.send(client.request(Method::POST, &path)).await.ok();
        assert_eq!(client.task(id).await["status"], "cancelled");
    }
}

/// With nothing to do it goes at once.
#[tokio::test]
async fn an_idle_host_stops_at_once() {
    let host = Host::start();
    let begun = Instant::now();
    host.signal(libc::SIGINT);
    let (status, _) = host.exited();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}
