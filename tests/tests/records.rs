//! Records over REST: a collection that a plugin declares has storage, search, versions,
//! a timeline, actions and routes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::Shared;
use mandate_tests::{Answer, Client, Do, Plugin, agent, tool};
use reqwest::Method;
use serde_json::{Value, json};

static HOST: Shared = Shared::new();

/// A library: its collection, an action, a route, and what else the test wants.
fn library(name: &str) -> Plugin {
    agent(name).manifest(&format!(
        r#"[capabilities.records]
write = ["{name}"]
[records.{name}]
id = "BOOK-{{6}}"
schema = {{ type = "object", required = ["title"], additionalProperties = false, properties = {{ title = {{ type = "string" }}, year = {{ type = "integer" }}, lent = {{ type = "boolean" }}, tags = {{ type = "array", items = {{ type = "string" }} }}, notes = {{ type = "string" }} }} }}
indexed = {{ title = "text", year = "number", lent = "boolean", tags = "texts" }}
full_text = ["title", "notes"]
[[records.{name}.action]]
name = "review"
title = "Review it"
kind = "{name}"
"#
    ))
}

async fn with_tag(client: &Client, method: Method, path: &str, tag: &str, body: &Value) -> Answer {
    client
        .send(
            client
                .request(method, path)
                .header("if-match", tag)
                .json(body),
        )
        .await
}

#[tokio::test]
async fn a_record_is_made_read_changed_and_removed() {
    let client = HOST.host().admin();
    client.install(library("novels").file()).await;
    let made = client
        .post("/api/v1/records/novels", &json!({"title": "Emma"}))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("etag"), "\"1\"");
    let record = made.json();
    let id = record["id"].as_str().unwrap();
    let digits = id.strip_prefix("BOOK-").unwrap();
    assert!(
        digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()),
        "{id}"
    );
    let path = format!("/api/v1/records/novels/{id}");
    assert_eq!(made.header("location"), path);
    assert_eq!(client.get(&path).await.ok(), record);
    let body = json!({"title": "Emma", "year": 1815});
    client.put(&path, &body).await.expect(428);
    with_tag(&client, Method::PUT, &path, "\"7\"", &body)
        .await
        .expect(412);
    let changed = with_tag(&client, Method::PUT, &path, "\"1\"", &body).await;
    assert_eq!(changed.header("etag"), "\"2\"");
    let changed = changed.ok();
    assert_eq!((&changed["version"], &changed["body"]), (&json!(2), &body));
    assert_eq!(changed["created_at"], record["created_at"]);
    let wrong = json!({"name": "Emma"});
    let problem = with_tag(&client, Method::PUT, &path, "\"2\"", &wrong)
        .await
        .expect(422);
    assert!(
        problem["detail"].as_str().unwrap().contains("title"),
        "{problem}"
    );
    let known = client
        .request(Method::GET, &path)
        .header("if-none-match", "\"2\"");
    assert_eq!(client.send(known).await.status, 304);
    client.delete(&path).await.expect(428);
    with_tag(&client, Method::DELETE, &path, "\"1\"", &Value::Null)
        .await
        .expect(412);
    with_tag(&client, Method::DELETE, &path, "\"2\"", &Value::Null)
        .await
        .expect(204);
    client.get(&path).await.expect(404);
    let path = format!("/api/v1/events?kinds=record_changed&subject=novels/{id}");
    let actions: Vec<Value> = client
        .items(&path)
        .await
        .iter()
        .map(|event| event["data"]["action"].clone())
        .collect();
    assert_eq!(json!(actions), json!(["created", "updated", "deleted"]));
}

#[tokio::test]
async fn of_many_who_change_the_same_version_one_does() {
    let client = HOST.host().admin();
    client.install(library("atlases").file()).await;
    client
        .post("/api/v1/records/atlases?id=A", &json!({"title": "0"}))
        .await
        .expect(201);
    client
        .post("/api/v1/records/atlases?id=A", &json!({"title": "x"}))
        .await
        .expect(409);
    let path = "/api/v1/records/atlases/A";
    let changes = (0..8).map(|n| {
        let (client, body) = (&client, json!({"title": n.to_string()}));
        async move {
            with_tag(client, Method::PUT, path, "\"1\"", &body)
                .await
                .status
        }
    });
    let mut statuses = futures::future::join_all(changes).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    assert_eq!(client.get(path).await.ok()["version"], 2);
}

#[tokio::test]
async fn records_are_found_by_field_order_and_word() {
    let client = HOST.host().admin();
    client.install(library("shelf").file()).await;
    for (id, body) in [
        (
            "A",
            json!({"title": "Emma", "year": 1815, "lent": true, "tags": ["novel", "english"], "notes": "match making"}),
        ),
        (
            "B",
            json!({"title": "Faust", "year": 1808, "lent": false, "tags": ["drama", "german"], "notes": "a pact"}),
        ),
        (
            "C",
            json!({"title": "Ulysses", "year": 1922, "lent": false, "tags": ["novel", "english"], "notes": "one day in Dublin"}),
        ),
        (
            "D",
            json!({"title": "Untitled", "tags": [], "notes": "a novel pact, one day"}),
        ),
    ] {
        client
            .post(&format!("/api/v1/records/shelf?id={id}"), &body)
            .await
            .expect(201);
    }
    let found = async |query: &str| -> String {
        let items = client
            .items(&format!("/api/v1/records/shelf?{query}"))
            .await;
        items
            .iter()
            .map(|record| record["id"].as_str().unwrap())
            .collect()
    };
    for (query, expected) in [
        ("order=id", "ABCD"),
        ("order=-id", "DCBA"),
        ("title=Emma", "A"),
        ("year=1808", "B"),
        ("year.at_least=1815&order=year", "AC"),
        ("year.greater=1815", "C"),
        ("year.less=1815", "B"),
        ("year.at_most=1815&order=year", "BA"),
        ("year.one_of=1808,1922&order=-year", "CB"),
        ("lent=true", "A"),
        ("lent=false&order=title", "BC"),
        ("tags=novel&order=id", "AC"),
        ("tags.contains=german", "B"),
        ("year.missing=true", "D"),
        ("year.missing=false&order=id", "ABC"),
        ("title.not_equal=Emma&order=id", "BCD"),
        ("id.one_of=A,D&order=id", "AD"),
        ("q=pact&order=id", "BD"),
        ("q=pact+novel", "D"),
        ("q=nothing-of-this", ""),
        ("q=day&tags=english", "C"),
        ("version=1&order=id&limit=2", "AB"),
    ] {
        assert_eq!(found(query).await, expected, "{query}");
    }
    let (mut all, mut cursor) = (String::new(), String::new());
    loop {
        let path = format!("/api/v1/records/shelf?order=-year&limit=1{cursor}");
        let page = client.get(&path).await.ok();
        all.push_str(page["items"][0]["id"].as_str().unwrap());
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        assert!(all.len() < 9, "{all}");
    }
    assert!(
        all == "CABD" || all == "DCAB",
        "every record once, by year: {all}"
    );
    // What was changed or removed is found as it is now.
    let body = json!({"title": "Emma", "notes": "matrimony"});
    with_tag(
        &client,
        Method::PUT,
        "/api/v1/records/shelf/A",
        "\"1\"",
        &body,
    )
    .await
    .ok();
    assert_eq!(found("q=making").await, "");
    assert_eq!(found("q=matrimony").await, "A");
    assert_eq!(found("tags=novel").await, "C");
    with_tag(
        &client,
        Method::DELETE,
        "/api/v1/records/shelf/D",
        "\"1\"",
        &Value::Null,
    )
    .await
    .expect(204);
    assert_eq!(found("q=pact").await, "B");
}

#[tokio::test]
async fn an_action_gives_a_task_and_the_timeline_shows_it() {
    let client = HOST.host().admin();
    let plugin = library("papers").does([Do::Log("reading it".into()), Do::get("papers", "P-1")]);
    client.install(plugin.file()).await;
    client
        .post("/api/v1/records/papers?id=P-1", &json!({"title": "On it"}))
        .await
        .expect(201);
    let path = "/api/v1/records/papers/P-1/actions/review";
    let start = client
        .request(Method::POST, path)
        .header("prefer", "wait=30");
    let task = client.send(start).await.expect(200);
    assert_eq!(task["status"], "succeeded", "{task}");
    assert_eq!(
        (&task["kind"], &task["title"]),
        (&json!("papers"), &json!("Review it"))
    );
    assert_eq!(task["subject"], "papers/P-1");
    assert_eq!(task["input"]["record"]["body"], json!({"title": "On it"}));
    client
        .post("/api/v1/records/papers/P-1/actions/burn", &json!({}))
        .await
        .expect(404);
    let happened = client.items("/api/v1/records/papers/P-1/activity").await;
    let kinds: Vec<&str> = happened
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    for kind in ["task", "event", "log"] {
        assert!(kinds.contains(&kind), "{kind} is missing: {happened:?}");
    }
    let times: Vec<&str> = happened
        .iter()
        .map(|one| one["time"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");
    let tasks = client.items("/api/v1/tasks?subject=papers/P-1").await;
    assert_eq!(tasks.len(), 1);
}

#[tokio::test]
async fn routes_come_and_go_with_their_plugin() {
    let client = HOST.host().admin();
    client.get("/api/v1/leaflets").await.expect(404);
    let plugin = library("leaflets").manifest("[routes]\nleaflets = { collection = \"leaflets\" }");
    client.install(plugin.file()).await;
    let made = client
        .post("/api/v1/leaflets?id=L-1", &json!({"title": "Join us"}))
        .await
        .expect(201);
    assert_eq!(client.get("/api/v1/records/leaflets/L-1").await.ok(), made);
    assert_eq!(client.get("/api/v1/leaflets/L-1").await.ok(), made);
    assert_eq!(client.items("/api/v1/leaflets?q=join").await.len(), 1);
    client.get("/api/v1/leaflets/L-1/activity").await.ok();
    let body = json!({"title": "Join them"});
    with_tag(&client, Method::PUT, "/api/v1/leaflets/L-1", "\"1\"", &body)
        .await
        .ok();
    let document = client.get("/openapi.json").await.ok().to_string();
    assert!(
        document.contains("/leaflets"),
        "the document has what plugins bring"
    );
    let caller = tool("megaphone", "none").manifest("[routes]\nshout = { tool = \"it\" }");
    client.install(caller.file()).await;
    let called = client
        .post("/api/v1/shout", &json!({"loud": true}))
        .await
        .ok();
    assert_eq!(called["result"], json!({"loud": true}));
    client.get("/api/v1/shout").await.expect(405);
    client.delete("/api/v1/plugins/leaflets").await.expect(204);
    client.get("/api/v1/leaflets").await.expect(404);
    client.get("/api/v1/records/leaflets").await.expect(404);
    client.install(plugin.file()).await;
    let kept = client.get("/api/v1/leaflets/L-1").await.ok();
    assert_eq!(kept["body"], body, "data outlive the plugin");
}
