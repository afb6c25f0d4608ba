//! Tasks that nobody asks for by hand: each event and each tick starts one, once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::{Client, Do, Host, Options, Plugin, agent};
use serde_json::{Value, json};
use std::time::Duration;

fn watched(rest: &str) -> Plugin {
    agent("watches").manifest(&format!(
        r#"[capabilities]
events = true
[capabilities.records]
write = ["alarms"]
[records.alarms]
id = "A-{{6}}"
schema = {{ type = "object" }}
{rest}"#
    ))
}

const ON_CREATED: &str = r#"[[triggers.event]]
on = "record_changed"
collection = "alarms"
when = { action = "created" }
kind = "watches"
title = "Look at it"
"#;

async fn triggered(client: &Client, count: usize) -> Vec<Value> {
    client
        .until(|| async {
            let tasks = client.items("/api/v1/tasks?kind=watches&limit=1000").await;
            let done = tasks.iter().all(|task| task["status"] == "succeeded");
            (tasks.len() >= count && done).then_some(tasks)
        })
        .await
}

#[tokio::test]
async fn an_event_starts_one_task_even_over_a_restart() {
    let host = Host::start();
    let client = host.admin();
    client.install(watched(ON_CREATED).file()).await;
    client
        .post("/api/v1/records/alarms?id=A-1", &json!({"loud": true}))
        .await
        .expect(201);
    let tasks = triggered(&client, 1).await;
    let task = &tasks[0];
    let events = client.items("/api/v1/events?kinds=record_changed").await;
    assert_eq!(task["title"], "Look at it");
    assert_eq!(task["subject"], "alarms/A-1");
    assert_eq!(task["input"], events[0], "the event is the input");
    assert_eq!(task["trigger"], format!("event:{}", events[0]["seq"]));
    assert_eq!(task["tenant"], "default");
    // What the trigger does not speak of starts nothing.
    let change = client.request(reqwest::Method::PUT, "/api/v1/records/alarms/A-1");
    client
        .send(
            change
                .header("if-match", "\"1\"")
                .json(&json!({"loud": false})),
        )
        .await
        .ok();
    for n in 2..=20 {
        client
            .post(&format!("/api/v1/records/alarms?id=A-{n}"), &json!({}))
            .await
            .expect(201);
    }
    // Some of these may have started and some not: after the crash each is there once.
    let host = Host::over(host.kill(), &Options::default());
    let client = host.admin();
    let tasks = triggered(&client, 20).await;
    let mut subjects: Vec<&str> = tasks
        .iter()
        .map(|t| t["subject"].as_str().unwrap())
        .collect();
    subjects.sort_unstable();
    subjects.dedup();
    assert_eq!((subjects.len(), tasks.len()), (20, 20), "each once");
    client
        .post("/api/v1/records/alarms?id=A-21", &json!({}))
        .await
        .expect(201);
    assert_eq!(triggered(&client, 21).await.len(), 21);
}

#[tokio::test]
async fn a_trigger_that_wakes_itself_comes_to_an_end() {
    let host = Host::start();
    let client = host.admin();
    let trigger =
        "[[triggers.event]]\non = \"watches.rang\"\nkind = \"watches\"\ntitle = \"Answer\"\n";
    client
        .install(watched(trigger).does([Do::publish("rang", "{}")]).file())
        .await;
    let first = client.run("watches", json!({})).await;
    let refused = host.logged(|line| {
        line.contains("a trigger could not start its task")
            .then(|| line.to_owned())
    });
    assert!(refused.unwrap().contains("longer than 16"));
    let tasks = triggered(&client, 17).await;
    assert_eq!(tasks.len(), 17, "the first and sixteen that follow from it");
    assert!(tasks.iter().all(|task| task["root"] == first["id"]));
}

#[tokio::test]
async fn a_quarantined_agent_is_not_woken() {
    let host = Host::start();
    let client = host.admin();
    client.install(watched(ON_CREATED).file()).await;
    client
        .post("/api/v1/plugins/watches/quarantine", &json!({}))
        .await
        .ok();
    client
        .post("/api/v1/records/alarms?id=A-1", &json!({}))
        .await
        .expect(201);
    client
        .post("/api/v1/plugins/watches/activate", &json!({}))
        .await
        .ok();
    client
        .post("/api/v1/records/alarms?id=A-2", &json!({}))
        .await
        .expect(201);
    let tasks = triggered(&client, 1).await;
    assert_eq!(tasks[0]["subject"], "alarms/A-2");
}

#[tokio::test]
async fn a_schedule_ticks_and_what_was_missed_is_one() {
    let schedule = "[[triggers.schedule]]\nevery = \"2s\"\nkind = \"watches\"\ntitle = \"Look around\"\ninput = { round = 1 }\n";
    let host = Host::start();
    let client = host.admin();
    client.install(watched(schedule).file()).await;
    let tasks = triggered(&client, 1).await;
    assert_eq!(tasks[0]["trigger"], "schedule:watches/schedule/0");
    assert_eq!(tasks[0]["input"], json!({"round": 1}));
    assert!(
        tasks[0]["expires_at"].is_string(),
        "kept briefly: {}",
        tasks[0]
    );
    let before = tasks.len();
    let data = host.stop();
    // Two ticks and a half pass while nobody is there: the time itself is what is tested.
    std::thread::sleep(Duration::from_secs(5));
    let host = Host::over(data, &Options::default());
    let client = host.admin();
    let tasks = triggered(&client, before + 1).await;
    assert_eq!(tasks.len(), before + 1, "missed ticks are one");
    // And then it goes on as before.
    triggered(&client, before + 2).await;
}

#[tokio::test]
async fn a_tick_waits_for_the_one_before_it() {
    let schedule =
        "[[triggers.schedule]]\nevery = \"1s\"\nkind = \"watches\"\ntitle = \"Look around\"\n";
    let host = Host::start();
    let client = host.admin();
    // Each tick takes longer than the time to the next.
    let slow = watched(schedule).does([Do::Sleep(2_500)]);
    client.install(slow.file()).await;
    let began = |task: &Value| task["created_at"].as_str().unwrap().to_owned();
    let ended = |task: &Value| task["completed_at"].as_str().map(str::to_owned);
    let tasks = client
        .until(|| async {
            let mut tasks = client.items("/api/v1/tasks?kind=watches&limit=1000").await;
            tasks.sort_by_key(began);
            (tasks.len() >= 3).then_some(tasks)
        })
        .await;
    for two in tasks.windows(2) {
        let before = ended(&two[0]).expect("no tick begins while the one before goes on");
        assert!(before <= began(&two[1]), "{before} {}", two[1]);
    }
}
