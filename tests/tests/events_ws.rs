//! Events over WebSocket: in order, without gap or repeat, for those who may see them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::Shared;
use mandate_tests::ws::Socket;
use mandate_tests::{Client, Do, Host, Options, agent};
use serde_json::{Value, json};

static HOST: Shared = Shared::new();

fn id(task: &Value) -> &str {
    task["id"].as_str().unwrap()
}

async fn last(client: &Client) -> u64 {
    client.events().await.last().unwrap()["seq"]
        .as_u64()
        .unwrap()
}

/// The events up to the first of this kind about this task.
async fn until(socket: &mut Socket, kind: &str, task: &Value) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event = socket.next_of("event").await;
        events.push(event.clone());
        if event["kind"] == kind && event["task"] == task["id"] {
            return events;
        }
    }
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn everything_is_told_in_order_and_can_be_taken_up_again() {
    let host = Host::start();
    let client = host.admin();
    client
        .install(
            agent("rings")
                .manifest("[capabilities]\nevents = true")
                .does([Do::publish("rang", "{\"n\":1}")])
                .file(),
        )
        .await;
    let mut socket = Socket::signed_in(&host.url, client.token()).await;
    let subscribed = socket.subscribe(json!(["all"]), None).await;
    assert_eq!(
        subscribed["after"].as_u64().unwrap(),
        last(&client).await,
        "from now on"
    );
    let first = client.run("rings", json!({})).await;
    let events = until(&mut socket, "task_completed", &first).await;
    let rang = events
        .iter()
        .find(|event| event["kind"] == "rings.rang")
        .unwrap();
    assert_eq!(
        (&rang["data"], &rang["tenant"]),
        (&json!({"n": 1}), &json!("default"))
    );
    let seen = *numbers(&events).last().unwrap();
    drop(socket);
    // While nobody listens.
    for _ in 0..5 {
        client.run("rings", json!({})).await;
    }
    let mut socket = Socket::signed_in(&host.url, client.token()).await;
    socket.subscribe(json!(["all"]), Some(seen)).await;
    let task = client.run("rings", json!({})).await;
    let missed = until(&mut socket, "task_completed", &task).await;
    let expected: Vec<u64> = (seen + 1..=seen + missed.len() as u64).collect();
    assert_eq!(numbers(&missed), expected, "no gap, no repeat");
    assert_eq!(
        missed
            .iter()
            .filter(|event| event["kind"] == "rings.rang")
            .count(),
        6
    );
    // From the very beginning, too.
    socket.subscribe(json!(["all"]), Some(0)).await;
    let all = until(&mut socket, "task_completed", &task).await;
    assert_eq!(numbers(&all), (1..=all.len() as u64).collect::<Vec<_>>());
    // The same as over REST.
    let stored = client.items("/api/v1/events?limit=1000").await;
    let plain = |event: &Value| {
        let mut event = event.clone();
        event.as_object_mut().unwrap().remove("type");
        event
    };
    assert_eq!(
        all.iter().map(plain).collect::<Vec<_>>(),
        stored[..all.len()]
    );
}

#[tokio::test]
async fn only_what_was_asked_for() {
    let client = HOST.host().admin();
    let plugin = agent("files").manifest(
        "[capabilities.records]\nwrite = [\"files\"]\n[records.files]\nid = \"F-{6}\"\nschema = { type = \"object\" }",
    );
    client.install(plugin.file()).await;
    client.install(agent("silent").file()).await;
    let (one, two) = (
        json!({"kind": "silent", "execute": false}),
        json!({"kind": "silent", "execute": false}),
    );
    let (one, two) = (client.submit(&one).await, client.submit(&two).await);
    let mut by_task = Socket::signed_in(client.url(), client.token()).await;
    by_task.subscribe(json!([{"task": two["id"]}]), None).await;
    let mut by_collection = Socket::signed_in(client.url(), client.token()).await;
    by_collection
        .subscribe(json!([{"collection": "files"}]), None)
        .await;
    let mut by_subject = Socket::signed_in(client.url(), client.token()).await;
    by_subject
        .subscribe(json!([{"subject": "files/F-2"}]), None)
        .await;
    let mut by_kind = Socket::signed_in(client.url(), client.token()).await;
    by_kind
        .subscribe(
            json!([{"kind": "task_completed", "task": one["id"]}, {"kind": "plugin_changed"}]),
            None,
        )
        .await;
    for task in [&one, &two] {
        client
            .post(&format!("/api/v1/tasks/{}/execute", id(task)), &json!({}))
            .await
            .ok();
        client.ended(id(task)).await;
    }
    for record in ["F-1", "F-2"] {
        client
            .post(&format!("/api/v1/records/files?id={record}"), &json!({}))
            .await
            .expect(201);
    }
    let events = until(&mut by_task, "task_completed", &two).await;
    assert!(
        events.iter().all(|event| event["task"] == two["id"]),
        "{events:?}"
    );
    assert_eq!(by_collection.next_of("event").await["subject"], "files/F-1");
    assert_eq!(by_collection.next_of("event").await["subject"], "files/F-2");
    assert_eq!(by_subject.next_of("event").await["subject"], "files/F-2");
    assert_eq!(by_kind.next_of("event").await["task"], one["id"]);
    client
        .post("/api/v1/plugins/silent/quarantine", &json!({}))
        .await
        .ok();
    assert_eq!(by_kind.next_of("event").await["kind"], "plugin_changed");
}

#[tokio::test]
async fn other_tenants_are_not_heard() {
    let client = HOST.host().admin();
    client.install(agent("whispers").file()).await;
    let green = HOST.host().principal("green", "client", &["green"]).await;
    let amber = HOST.host().principal("amber", "client", &["amber"]).await;
    let mut socket = Socket::signed_in(green.url(), green.token()).await;
    socket.subscribe(json!(["all"]), Some(0)).await;
    amber.run("whispers", json!({})).await;
    let own = green.run("whispers", json!({})).await;
    let events = until(&mut socket, "task_completed", &own).await;
    assert!(
        events.iter().all(|event| event["tenant"] == "green"),
        "{events:?}"
    );
    let listed = green.items("/api/v1/events?limit=1000").await;
    assert!(
        listed.iter().all(|event| event["tenant"] == "green"),
        "{listed:?}"
    );
}

#[tokio::test]
async fn who_reads_slowly_is_told_and_still_misses_nothing() {
    let host = Host::with(&Options {
        config: "[api]\nws_buffer = 8\n".into(),
        ..Options::default()
    });
    let client = host.admin();
    let data = json!({"much": "x".repeat(100_000)}).to_string();
    let plugin = agent("shouts")
        .manifest("[capabilities]\nevents = true\n[limits]\njournal_bytes = 1000000000")
        .does([Do::Repeat(200, Box::new(Do::publish("loud", data)))]);
    client.install(plugin.file()).await;
    let mut slow = Socket::signed_in(&host.url, client.token()).await;
    let after = slow.subscribe(json!(["all"]), None).await["after"]
        .as_u64()
        .unwrap();
    // More than any buffer holds, before the first is read. The host is not slowed by it.
    let task = client.run("shouts", json!({})).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let (mut expected, mut lagged) = (after, 0);
    loop {
        let message = slow.next().await.expect("the connection stays");
        if message["type"] == "lagged" {
            assert_eq!(message["from"], expected + 1, "{message}");
            lagged += 1;
        }
        if message["type"] != "event" {
            continue;
        }
        expected += 1;
        assert_eq!(message["seq"], expected, "no gap, no repeat");
        if message["kind"] == "task_completed" {
            break;
        }
    }
    assert!(lagged > 0, "it was told");
}

#[tokio::test]
async fn nobody_listens_without_a_token() {
    let host = HOST.host();
    let mut socket = Socket::signed_in(&host.url, "mandate_wrong").await;
    assert!(socket.closed().await.contains("not one of this host"));
    let mut socket = Socket::open(&host.url, &[]).await.unwrap();
    socket.send(&json!({"subscribe": ["all"]})).await;
    assert!(socket.closed().await.contains("say who you are first"));
    let mut socket = Socket::open(&host.url, &[]).await.unwrap();
    socket.text("hello").await;
    assert!(socket.closed().await.contains("say who you are first"));
    let wrong = [("authorization", "Bearer mandate_wrong")];
    assert!(Socket::open(&host.url, &wrong).await.is_err());
    let right = format!("Bearer {}", host.admin().token());
    let mut socket = Socket::open(&host.url, &[("authorization", &right)])
        .await
        .unwrap();
    socket.subscribe(json!(["all"]), None).await;
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out() {
    let host = HOST.host();
    assert!(
        Socket::open(&host.url, &[("origin", "https://evil.example")])
            .await
            .is_err()
    );
    let own = host.url.clone();
    assert!(Socket::open(&host.url, &[("origin", &own)]).await.is_ok());
}

#[tokio::test]
async fn a_wrong_message_is_answered_and_the_connection_stays() {
    let host = HOST.host();
    let mut socket = Socket::signed_in(&host.url, host.admin().token()).await;
    for (wrong, told) in [
        ("{", "EOF"),
        ("{\"subscribe\": \"all\"}", "/subscribe"),
        ("{\"subscribe\": [\"everything\"]}", "/subscribe/0"),
        ("{\"subscribe\": [{}]}", "/subscribe/0"),
        ("{\"subscribe\": [{\"colour\": \"red\"}]}", "subscribe"),
        ("{\"subscribe\": [\"all\"], \"after\": -1}", "/after"),
        ("{\"after\": 1}", "/subscribe"),
        ("{\"listen\": []}", "listen"),
    ] {
        socket.text(wrong).await;
        let problem = socket.next_of("error").await.to_string();
        assert!(problem.contains(told), "{wrong}: {problem}");
    }
    socket.subscribe(json!(["all"]), None).await;
}

#[tokio::test]
async fn a_removed_token_opens_nothing() {
    let host = HOST.host();
    let guest = host.principal("passing", "viewer", &[]).await;
    let mut socket = Socket::signed_in(&host.url, guest.token()).await;
    socket.subscribe(json!(["all"]), None).await;
    host.admin()
        .delete("/api/v1/tokens/passing")
        .await
        .expect(204);
    let token = format!("Bearer {}", guest.token());
    assert!(
        Socket::open(&host.url, &[("authorization", &token)])
            .await
            .is_err()
    );
    guest.get("/api/v1/events").await.expect(401);
}
