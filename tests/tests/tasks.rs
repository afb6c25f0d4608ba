//! Tasks over REST: submitting, finding, ordering, holding, stopping, trying again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::Shared;
use mandate_tests::{Client, Do, agent, hostile};
use reqwest::Method;
use serde_json::{Value, json};

static HOST: Shared = Shared::new();

fn id(task: &Value) -> &str {
    task["id"].as_str().unwrap()
}

fn ids(tasks: &[Value]) -> Vec<String> {
    tasks.iter().map(|task| id(task).to_owned()).collect()
}

async fn post_with(
    client: &Client,
    headers: &[(&str, &str)],
    body: &Value,
) -> mandate_tests::Answer {
    let mut request = client.request(Method::POST, "/api/v1/tasks").json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request).await
}

#[tokio::test]
async fn a_task_has_every_field_that_was_given_and_what_became_of_it() {
    let client = HOST.host().admin();
    client.install(agent("clerk").file()).await;
    let given = json!({
        "kind": "clerk", "title": "File it", "description": "Under F.", "target": "cabinet",
        "priority": 7, "input": {"sheet": 1}, "session": "s-1", "subject": "papers/P-1",
        "metadata": {"ticket": "T-9"}, "assigned_agents": ["clerk"],
    });
    let answer = post_with(&client, &[("prefer", "wait=30")], &given).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("preference-applied"), "wait=30");
    let task = answer.json();
    assert_eq!(
        answer.header("location"),
        format!("/api/v1/tasks/{}", id(&task))
    );
    for (name, value) in given.as_object().unwrap() {
        assert_eq!(task[name], *value, "{name}");
    }
    assert_eq!(task["status"], "succeeded");
    assert_eq!(task["output"], given["input"]);
    assert_eq!(task["summary"], "done as told");
    assert_eq!(task["created_by"], "admin");
    assert_eq!(task["tenant"], "default");
    assert_eq!(task["success_rate"], 1.0);
    assert_eq!(task["attempts"], 1);
    assert_eq!(task["cost_micro_usd"], 0);
    assert_eq!(task["error"], Value::Null);
    assert!(task["duration_seconds"].as_f64().unwrap() > 0.0);
    assert!(task["completed_at"].as_str().unwrap() >= task["created_at"].as_str().unwrap());
    assert_eq!(task["result"]["output"], given["input"]);
    assert_eq!(
        client.task(id(&task)).await,
        task,
        "the same from everywhere"
    );
    let path = format!("/api/v1/events?limit=1000&task={}", id(&task));
    let kinds: Vec<Value> = client
        .items(&path)
        .await
        .iter()
        .map(|e| e["kind"].clone())
        .collect();
    let expected = [
        "task_created",
        "task_execution_started",
        "agent_started",
        "agent_completed",
        "task_completed",
    ];
    assert_eq!(json!(kinds), json!(expected));
}

#[tokio::test]
async fn a_task_that_is_known_is_not_sent_again() {
    let client = HOST.host().admin();
    client.install(agent("cached").file()).await;
    let task = client.run("cached", json!({})).await;
    let path = format!("/api/v1/tasks/{}", id(&task));
    let first = client.get(&path).await;
    let again = client
        .request(Method::GET, &path)
        .header("if-none-match", first.header("etag"));
    assert_eq!(client.send(again).await.status, 304);
    client
        .post(&format!("{path}/execute"), &json!({}))
        .await
        .ok();
    let again = client
        .request(Method::GET, &path)
        .header("if-none-match", first.header("etag"));
    assert_eq!(client.send(again).await.status, 200, "it changed");
}

#[tokio::test]
async fn listing_filters_and_pages() {
    let client = HOST.host().admin();
    client.install(agent("listed").file()).await;
    client.install(agent("other-kind").file()).await;
    let mut made = Vec::new();
    for n in 0..7 {
        let kind = if n == 3 { "other-kind" } else { "listed" };
        let task = json!({"kind": kind, "session": "paging", "execute": false, "subject": format!("things/T-{n}")});
        made.push(id(&client.submit(&task).await).to_owned());
    }
    made.reverse();
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), Vec::new());
    loop {
        let path = format!("/api/v1/tasks?session=paging&limit=3{cursor}");
        let page = client.get(&path).await.ok();
        let items = page["items"].as_array().unwrap();
        pages.push(items.len());
        seen.extend(ids(items));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, made, "newest first, none twice, none left out");
    assert_eq!(pages, [3, 3, 1]);
    let listed = async |filter: &str| {
        ids(&client
            .items(&format!("/api/v1/tasks?session=paging&{filter}"))
            .await)
    };
    assert_eq!(listed("kind=other-kind").await, [made[3].clone()]);
    assert_eq!(listed("agent=other-kind").await, [made[3].clone()]);
    assert_eq!(listed("subject=things/T-0").await, [made[6].clone()]);
    assert_eq!(listed("status=pending").await.len(), 7);
    assert_eq!(listed("status=failed,cancelled").await.len(), 0);
    assert_eq!(listed("created_by=admin").await.len(), 7);
    assert_eq!(listed("created_by=nobody").await.len(), 0);
    assert_eq!(
        listed(&format!("root={}", made[0])).await,
        [made[0].clone()]
    );
    assert_eq!(listed("created_after=2999-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(listed("created_before=2999-01-01T00:00:00Z").await.len(), 7);
    client
        .post(&format!("/api/v1/tasks/{}/cancel", made[0]), &json!({}))
        .await
        .ok();
    assert_eq!(listed("status=cancelled").await, [made[0].clone()]);
    assert_eq!(listed("status=cancelled&status=pending").await.len(), 7);
}

#[tokio::test]
async fn nine_goes_first() {
    let client = HOST.host().admin();
    let plugin = agent("single").manifest("[limits]\nconcurrency = 1");
    client.install(plugin.file()).await;
    // Nothing of it starts until all are there, however long that takes.
    let scope = json!({"scope": "plugin/single", "reason": "to see who goes first"});
    client.post("/api/v1/halt", &scope).await.ok();
    let mut expected = Vec::new();
    for priority in [1, 5, 9, 5] {
        let task = client
            .submit(&json!({"kind": "single", "priority": priority}))
            .await;
        expected.push((9 - priority, id(&task).to_owned()));
    }
    // The sort is stable: of two alike, the older goes first.
    expected.sort_by_key(|(last, _)| *last);
    let scope = json!({"scope": "plugin/single"});
    client.post("/api/v1/resume", &scope).await.ok();
    for (_, task) in &expected {
        assert_eq!(client.ended(task).await["status"], "succeeded");
    }
    let path = "/api/v1/events?limit=1000&kinds=task_execution_started";
    let started: Vec<String> = client
        .items(path)
        .await
        .iter()
        .filter(|event| event["data"]["agent"] == "single")
        .map(|event| event["task"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = expected.into_iter().map(|(_, id)| id).collect();
    assert_eq!(started, expected);
}

#[tokio::test]
async fn a_held_task_waits_and_a_finished_one_can_be_run_again() {
    let client = HOST.host().admin();
    client.install(agent("patient").file()).await;
    let task = client
        .submit(&json!({"kind": "patient", "input": {"n": 1}, "execute": false}))
        .await;
    assert_eq!(task["status"], "pending");
    assert_eq!(task["execution"], Value::Null);
    // Whatever is submitted later does not take it along.
    client.run("patient", json!({})).await;
    assert_eq!(client.task(id(&task)).await["status"], "pending");
    assert!(client.steps(id(&task)).await.is_empty());
    let path = format!("/api/v1/tasks/{}/execute", id(&task));
    let start = client
        .request(Method::POST, &path)
        .header("prefer", "wait=30");
    let done = client.send(start).await.expect(200);
    assert_eq!(done["status"], "succeeded");
    let start = client
        .request(Method::POST, &path)
        .header("prefer", "wait=30");
    let again = client.send(start).await.expect(200);
    assert_eq!(again["attempts"], 2);
    assert_ne!(again["execution"], done["execution"]);
    let path = format!("/api/v1/tasks/{}/executions", id(&task));
    let executions = client.items(&path).await;
    assert_eq!(executions[0]["id"], done["execution"]);
    assert_eq!(executions[1]["id"], again["execution"]);
    assert_eq!(executions.len(), 2);
    // The steps of the earlier one can still be read.
    let path = format!(
        "/api/v1/tasks/{}/steps?execution={}",
        id(&task),
        done["execution"].as_str().unwrap()
    );
    client.get(&path).await.ok();
}

#[tokio::test]
async fn a_pending_task_that_is_cancelled_never_starts() {
    let client = HOST.host().admin();
    client.install(agent("unwanted").file()).await;
    let task = client
        .submit(&json!({"kind": "unwanted", "execute": false}))
        .await;
    let path = format!("/api/v1/tasks/{}/cancel", id(&task));
    let cancelled = client.post(&path, &json!({})).await.expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    assert!(cancelled["completed_at"].is_string());
    assert_eq!(cancelled["attempts"], 0);
    client.post(&path, &json!({})).await.expect(409);
    let path = format!("/api/v1/events?task={}", id(&task));
    let kinds: Vec<Value> = client
        .items(&path)
        .await
        .iter()
        .map(|e| e["kind"].clone())
        .collect();
    assert_eq!(json!(kinds), json!(["task_created", "task_cancelled"]));
}

#[tokio::test]
async fn cancelling_stops_a_guest_that_computes_and_one_that_waits() {
    let client = HOST.host().admin();
    let spins = agent("spins")
        .is(hostile::agent(hostile::LOOP))
        .manifest("[limits]\ntime_ms = 600000");
    client.install(spins.file()).await;
    let naps = agent("naps")
        .does([Do::Sleep(3_600_000)])
        .manifest("[limits]\ntime_ms = 4000000");
    client.install(naps.file()).await;
    let delegates = agent("delegates")
        .manifest("[capabilities.invoke]\nagents = [\"spins\"]\n[limits]\ntime_ms = 600000")
        .does([Do::agent("spins", "{}")]);
    client.install(delegates.file()).await;
    for (kind, status) in [
        ("spins", "running"),
        ("naps", "waiting"),
        ("delegates", "running"),
    ] {
        let task = client.submit(&json!({"kind": kind})).await;
        client.reaches(id(&task), status).await;
        let path = format!("/api/v1/tasks/{}/cancel", id(&task));
        let cancelled = client.post(&path, &json!({})).await.expect(200);
        assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
        assert_eq!(cancelled["error"]["kind"], "cancelled");
        assert_eq!(cancelled["error"]["message"], "cancelled by admin");
        let path = format!(
            "/api/v1/executions/{}",
            cancelled["execution"].as_str().unwrap()
        );
        for invocation in client.get(&path).await.ok()["invocations"]
            .as_array()
            .unwrap()
        {
            assert_eq!(invocation["status"], "cancelled", "{invocation}");
        }
    }
}

#[tokio::test]
async fn the_same_key_makes_one_task() {
    let client = HOST.host().admin();
    client.install(agent("once").file()).await;
    let body = json!({"kind": "once", "input": {"n": 1}});
    let key = [("idempotency-key", "k-1")];
    let first = post_with(&client, &key, &body).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = post_with(&client, &key, &body).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(id(&again.ok()), id(&first.ok()));
    let other = json!({"kind": "once", "input": {"n": 2}});
    let problem = post_with(&client, &key, &other).await.expect(422);
    assert_eq!(
        problem["type"],
        "urn:mandate:problem:idempotency-key-reused"
    );
    let neighbour = HOST.host().principal("neighbour", "client", &[]).await;
    let theirs = post_with(&neighbour, &key, &other).await.ok();
    assert_eq!(
        theirs["input"],
        json!({"n": 2}),
        "keys belong to who sends them"
    );
    // All at once, too.
    let both = futures::future::join_all(
        (0..8).map(|_| post_with(&client, &[("idempotency-key", "k-2")], &body)),
    )
    .await;
    let mut made: Vec<String> = both.into_iter().map(|a| id(&a.ok()).to_owned()).collect();
    made.dedup();
    assert_eq!(made.len(), 1, "{made:?}");
}

#[tokio::test]
async fn who_does_not_want_to_wait_longer_gets_the_task_as_it_is() {
    let client = HOST.host().admin();
    let plugin = agent("slow")
        .does([Do::Sleep(60_000)])
        .manifest("[limits]\ntime_ms = 100000");
    client.install(plugin.file()).await;
    let answer = post_with(&client, &[("prefer", "wait=1")], &json!({"kind": "slow"})).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let task = answer.json();
    assert_eq!(task["status"], "waiting");
    client
        .post(&format!("/api/v1/tasks/{}/cancel", id(&task)), &json!({}))
        .await
        .ok();
}

#[tokio::test]
async fn what_may_pass_is_tried_again_as_often_as_wanted() {
    let client = HOST.host().admin();
    client
        .install(agent("flaky").does([Do::UnavailableBefore(2)]).file())
        .await;
    let task = client.submit(&json!({"kind": "flaky", "retries": 3})).await;
    let task = client.reaches(id(&task), "succeeded").await;
    assert_eq!(task["attempts"], 2);
    assert_eq!(task["retries_left"], 2);
    assert_eq!(task["success_rate"], 0.5);
    let task = client.submit(&json!({"kind": "flaky"})).await;
    let task = client.ended(id(&task)).await;
    assert_eq!(
        (&task["status"], &task["attempts"]),
        (&json!("failed"), &json!(1))
    );
    assert_eq!(
        task["error"],
        json!({"kind": "unavailable", "message": "not yet", "retryable": true})
    );
    // What cannot pass is not tried again.
    client
        .install(agent("hopeless").does([Do::Fail("no use".into())]).file())
        .await;
    let task = client
        .submit(&json!({"kind": "hopeless", "retries": 3}))
        .await;
    let task = client.ended(id(&task)).await;
    assert_eq!(task["attempts"], 1, "{task}");
    assert_eq!(task["error"]["message"], "no use");
}

#[tokio::test]
async fn progress_is_seen_while_it_runs() {
    let client = HOST.host().admin();
    let plugin = agent("tells")
        .does([
            Do::Progress(0.25, "a quarter".into()),
            Do::Log("one line".into()),
            Do::Sleep(60_000),
        ])
        .manifest("[limits]\ntime_ms = 100000");
    client.install(plugin.file()).await;
    let task = client.submit(&json!({"kind": "tells"})).await;
    let path = format!("/api/v1/tasks/{}/progress", id(&task));
    let progress = client
        .until(|| async {
            let progress = client.get(&path).await.ok();
            (progress["progress"] == 0.25).then_some(progress)
        })
        .await;
    assert_eq!(progress["message"], "a quarter");
    // It sleeps, which needs no instance.
    assert!(["running", "waiting"].contains(&progress["status"].as_str().unwrap()));
    let logs = client
        .items(&format!("/api/v1/tasks/{}/logs", id(&task)))
        .await;
    assert_eq!(logs[0]["message"], "one line");
    assert_eq!(logs[0]["plugin"], "tells");
    let path = format!("/api/v1/events?kinds=task_progress&task={}", id(&task));
    let events = client.items(&path).await;
    assert_eq!(events[0]["data"]["progress"], 0.25);
    client
        .post(&format!("/api/v1/tasks/{}/cancel", id(&task)), &json!({}))
        .await
        .ok();
}

#[tokio::test]
async fn a_child_knows_its_parent() {
    let client = HOST.host().admin();
    client.install(agent("leaf").file()).await;
    let plugin = agent("stem")
        .manifest("[capabilities.invoke]\ntasks = [\"leaf\"]")
        .does([Do::submit("leaf", "{\"from\":\"stem\"}")]);
    client.install(plugin.file()).await;
    let body = json!({"kind": "stem", "input": {}, "subject": "trees/T-1"});
    let task = post_with(&client, &[("prefer", "wait=30")], &body)
        .await
        .ok();
    let path = format!("/api/v1/tasks?parent={}", id(&task));
    let children = client.items(&path).await;
    assert_eq!(children.len(), 1);
    let child = client.ended(id(&children[0])).await;
    assert_eq!(child["status"], "succeeded", "{child}");
    assert_eq!(child["parent"], task["id"]);
    assert_eq!(child["root"], task["id"]);
    assert_eq!(child["depth"], 1);
    assert_eq!(child["subject"], "trees/T-1", "what the parent was about");
    assert_eq!(
        child["created_by"], "admin",
        "who is at the root of the causes"
    );
    assert!(child["created_in"].is_string());
    let step = &client.steps(id(&task)).await[0];
    assert_eq!(step["answer"]["ok"], child["id"]);
}

#[tokio::test]
async fn input_that_the_agent_does_not_expect_is_refused_before_it_runs() {
    let client = HOST.host().admin();
    let schema = json!({
        "type": "object", "required": ["host"], "additionalProperties": false,
        "properties": {"host": {"type": "string"}, "ports": {"type": "array", "items": {"type": "integer"}}},
    });
    client.install(agent("strict").input(schema).file()).await;
    let input = json!({"host": 5, "ports": [80, "443"], "extra": true});
    let body = json!({"kind": "strict", "input": input});
    let problem = client.post("/api/v1/tasks", &body).await.expect(422);
    let fields = problem["fields"].to_string();
    assert!(
        fields.contains("/input/host") && fields.contains("/input/ports/1"),
        "{problem}"
    );
    assert!(client.items("/api/v1/tasks?kind=strict").await.is_empty());
}
