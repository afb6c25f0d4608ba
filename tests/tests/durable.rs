//! Executions that wait hold nothing and lose nothing: for a human, for an answer, for a time,
//! across a kill.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::{Client, Do, Host, Options, agent, tool};
use serde_json::{Value, json};

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// A tool whose calls nobody knows the cost of, and an agent that calls it.
async fn install(admin: &Client) {
    admin
        .install(
            tool("pay", "reversible")
                .input(json!({"type": "object"}))
                .file(),
        )
        .await;
    let payer = agent("payer")
        .manifest("[capabilities.invoke]\ntools = [\"pay.it\"]")
        .does([Do::tool("pay.it", r#"{"amount":7}"#)]);
    admin.install(payer.file()).await;
}

async fn pending(client: &Client) -> Value {
    client
        .until(|| async {
            let all = client.items("/api/v1/decisions?status=pending").await;
            all.into_iter().next()
        })
        .await
}

#[tokio::test]
async fn what_a_human_approves_happens_once_also_after_a_kill() {
    let host = Host::start();
    let admin = host.admin();
    install(&admin).await;
    let task = admin.submit(&json!({"kind": "payer"})).await;
    let waiting = admin.reaches(id(&task), "waiting").await;
    assert_eq!(waiting["waiting_for"], "approval", "{waiting}");
    let decision = pending(&admin).await;
    assert_eq!(decision["tool"], "pay.it", "{decision}");
    assert_eq!(decision["level"], 3, "{decision}");
    let data = host.kill();
    let host = Host::over(data, &Options::default());
    let admin = host.admin();
    let still = admin.task(id(&task)).await;
    assert_eq!(still["status"], "waiting", "{still}");
    let ann = host.principal("ann", "approver", &[]).await;
    let approve = format!("/api/v1/decisions/{}/approve", id(&decision));
    ann.post(&approve, &json!({"comment": "go"})).await.ok();
    let done = admin.reaches(id(&task), "succeeded").await;
    assert_eq!(done["waiting_for"], Value::Null, "{done}");
    let after = admin
        .get(&format!("/api/v1/decisions/{}", id(&decision)))
        .await
        .ok();
    assert_eq!(after["status"], "done", "{after}");
    assert_eq!(after["resolved_by"], "ann", "{after}");
    ann.post(&approve, &json!({})).await.expect(409);
}

#[tokio::test]
async fn what_a_human_denies_does_not_happen() {
    let host = Host::start();
    let admin = host.admin();
    install(&admin).await;
    let task = admin.submit(&json!({"kind": "payer"})).await;
    let decision = pending(&admin).await;
    let ann = host.principal("ann", "approver", &[]).await;
    let deny = format!("/api/v1/decisions/{}/deny", id(&decision));
    ann.post(&deny, &json!({"comment": "not today"})).await.ok();
    admin.ended(id(&task)).await;
    let steps = admin.steps(id(&task)).await;
    let told = steps[0]["answer"].to_string();
    assert!(
        told.contains("denied") && told.contains("not today"),
        "{told}"
    );
    assert_eq!(steps[0]["refused"], true);
}

/// Guests in memory, asynchronous jobs, open files and connections.
async fn held(host: &Host, admin: &Client) -> (f64, f64, usize) {
    let guests = admin.metric("mandate_guests").await;
    let jobs = admin.metric("mandate_jobs").await;
    (guests, jobs, host.open_files())
}

#[tokio::test]
async fn who_waits_for_people_holds_nothing_of_the_host() {
    let host = Host::start();
    let admin = host.admin();
    install(&admin).await;
    let boss = agent("boss")
        .manifest("[capabilities.invoke]\nagents = [\"payer\"]")
        .does([Do::agent("payer", "{}")]);
    admin.install(boss.file()).await;
    let busy = agent("busy").does([Do::Sleep(1_500)]);
    admin.install(busy.file()).await;
    let runs = admin.submit(&json!({"kind": "busy"})).await;
    admin
        .until(|| async { (admin.metric("mandate_guests").await == 1.0).then_some(()) })
        .await;
    admin.reaches(id(&runs), "succeeded").await;
    // Whatever the first one makes the host open stays open.
    let first = admin.submit(&json!({"kind": "boss"})).await;
    admin.reaches(id(&first), "waiting").await;
    let (_, jobs, files) = admin
        .until(|| async {
            let held = held(&host, &admin).await;
            (held.0 == 0.0).then_some(held)
        })
        .await;
    const PARKED: u8 = 40;
    for _ in 0..PARKED {
        admin.submit(&json!({"kind": "boss"})).await;
    }
    admin
        .until(|| async {
            let waiting = admin.items("/api/v1/tasks?status=waiting").await;
            (waiting.len() == usize::from(PARKED) + 1).then_some(())
        })
        .await;
    // A few connections of ours come and go; one of anything for each that waits would be many.
    let few = PARKED / 4;
    admin
        .until(|| async {
            let now = held(&host, &admin).await;
            let as_before = now.1 < jobs + f64::from(few) && now.2 < files + usize::from(few);
            (now.0 == 0.0 && as_before).then_some(())
        })
        .await;
    assert_eq!(admin.metric("mandate_tasks_queued").await, 0.0);
    assert_eq!(admin.metric("mandate_tasks_running").await, 0.0);
}

#[tokio::test]
async fn a_long_sleep_holds_nothing_and_is_not_begun_anew() {
    let host = Host::start();
    let admin = host.admin();
    admin
        .install(agent("sleeper").does([Do::Sleep(4_000)]).file())
        .await;
    let begun = std::time::Instant::now();
    let task = admin.submit(&json!({"kind": "sleeper"})).await;
    let waiting = admin.reaches(id(&task), "waiting").await;
    assert_eq!(waiting["waiting_for"], "sleep", "{waiting}");
    let wait = &waiting["waits"][0];
    assert_eq!(wait["kind"], "sleep", "{waiting}");
    assert!(wait["until"].as_str() > waiting["created_at"].as_str());
    let data = host.kill();
    let host = Host::over(data, &Options::default());
    let admin = host.admin();
    admin.reaches(id(&task), "succeeded").await;
    let took = begun.elapsed();
    assert!(took.as_secs() >= 4, "{took:?}");
}

/// The answered steps of a task.
async fn answered(client: &Client, task: &str) -> Vec<Value> {
    let steps = client.steps(task).await;
    let answered = steps.into_iter().filter(|step| step["state"] == "answered");
    answered.collect()
}

#[tokio::test]
async fn a_limit_on_time_counts_over_a_kill() {
    let host = Host::start();
    let admin = host.admin();
    let slow = agent("slow")
        .manifest("[limits]\ntime_ms = 3000")
        .does([Do::Repeat(100, Box::new(Do::Sleep(400)))]);
    admin.install(slow.file()).await;
    let task = admin.submit(&json!({"kind": "slow"})).await;
    let before = admin
        .until(|| async {
            let all = answered(&admin, id(&task)).await;
            (all.len() >= 4).then_some(all)
        })
        .await;
    let ran = |step: &Value| step["active_us"].as_u64().unwrap();
    assert!(ran(&before[3]) >= 4 * 400_000, "{before:?}");
    let host = Host::over(host.kill(), &Options::default());
    let admin = host.admin();
    let ended = admin.ended(id(&task)).await;
    assert_eq!(ended["status"], "failed", "{ended}");
    assert_eq!(ended["error"]["kind"], "limit", "{ended}");
    let all = answered(&admin, id(&task)).await;
    let measured: Vec<u64> = all.iter().map(ran).collect();
    assert!(measured.is_sorted(), "{measured:?}");
    // Seven fit into the time, and one more that went on while the host was down; with the whole
    // limit after the kill there would be eleven at least.
    assert!(measured.len() <= 9, "{measured:?}");
    // It is a recorded end: nobody goes on with it.
    let host = Host::over(host.kill(), &Options::default());
    let again = host.admin().task(id(&task)).await;
    assert_eq!(again["error"], ended["error"]);
}

#[tokio::test]
async fn a_limit_on_time_does_not_count_what_is_parked() {
    let host = Host::start();
    let admin = host.admin();
    let patient = agent("patient")
        .manifest("[limits]\ntime_ms = 1500")
        .does([Do::Sleep(2_100), Do::Log("awake".into())]);
    admin.install(patient.file()).await;
    let task = admin.submit(&json!({"kind": "patient"})).await;
    let waiting = admin.reaches(id(&task), "waiting").await;
    assert_eq!(waiting["waiting_for"], "sleep", "{waiting}");
    let ended = admin.ended(id(&task)).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
}

#[tokio::test]
async fn people_are_asked_and_their_answer_is_what_the_guest_gets() {
    let host = Host::start();
    let admin = host.admin();
    let asker = agent("asker")
        .manifest("[capabilities]\nhuman = true")
        .does([Do::Ask("Which one?".into())]);
    admin.install(asker.file()).await;
    let task = admin.submit(&json!({"kind": "asker"})).await;
    let waiting = admin.reaches(id(&task), "waiting").await;
    assert_eq!(waiting["waiting_for"], "answer", "{waiting}");
    let question = admin.items("/api/v1/questions").await.remove(0);
    assert_eq!(question["text"], "Which one?", "{question}");
    let link = format!("/api/v1/questions/{}", id(&question));
    let wait =
        json!({"kind": "question", "text": "Which one?", "question": id(&question), "link": link});
    assert_eq!(waiting["waits"], json!([wait]), "{waiting}");
    let ann = host.principal("ann", "approver", &[]).await;
    let answer = format!("/api/v1/questions/{}/answer", id(&question));
    ann.post(&answer, &json!({"answer": "the left one"}))
        .await
        .ok();
    admin.reaches(id(&task), "succeeded").await;
    let steps = admin.steps(id(&task)).await;
    assert_eq!(
        steps[0]["answer"],
        json!({"ok": "\"the left one\""}),
        "{steps:?}"
    );
}

#[tokio::test]
async fn a_client_that_calls_a_tool_with_effects_asks_too() {
    let host = Host::start();
    let admin = host.admin();
    install(&admin).await;
    let bob = host.principal("bob", "client", &[]).await;
    let waiting = bob
        .post("/api/v1/tools/pay.it/call", &json!({"amount": 1}))
        .await;
    let waiting = waiting.expect(202);
    assert_eq!(waiting["waiting"], true, "{waiting}");
    let decision = waiting["decision"].as_str().unwrap();
    let data = host.kill();
    let host = Host::over(data, &Options::default());
    let admin = host.admin();
    let approve = format!("/api/v1/decisions/{decision}/approve");
    admin.post(&approve, &json!({})).await.ok();
    let path = format!("/api/v1/decisions/{decision}");
    let done = admin
        .until(|| async {
            let decision = admin.get(&path).await.ok();
            (decision["status"] == "done").then_some(decision)
        })
        .await;
    assert_eq!(done["result"], json!({"ok": {"amount": 1}}), "{done}");
}

/// Such a call has no decision: what it was about is in its journal alone.
#[tokio::test]
async fn a_client_that_calls_a_tool_which_asks_people_is_answered_in_its_journal() {
    let host = Host::start();
    let admin = host.admin();
    let asking = tool("asking", "none")
        .manifest("[capabilities]\nhuman = true")
        .does([Do::Ask("Which one?".into())]);
    admin.install(asking.file()).await;
    let call = json!({"n": 1});
    let waiting = admin.post("/api/v1/tools/asking.it/call", &call).await;
    let waiting = waiting.expect(202);
    assert_eq!(waiting["decision"], Value::Null, "{waiting}");
    let host = Host::over(host.kill(), &Options::default());
    let admin = host.admin();
    let question = admin.items("/api/v1/questions").await.remove(0);
    let answer = format!("/api/v1/questions/{}/answer", id(&question));
    admin
        .post(&answer, &json!({"answer": "the left one"}))
        .await
        .ok();
    let path = format!(
        "/api/v1/executions/{}",
        waiting["execution"].as_str().unwrap()
    );
    let root = admin
        .until(|| async {
            let tree = admin.get(&path).await.ok();
            let root = tree["invocations"][0].clone();
            (!root["ended_at"].is_null()).then_some(root)
        })
        .await;
    assert_eq!(root["status"], "succeeded", "{root}");
    assert_eq!(root["result"]["output"], call, "{root}");
}
