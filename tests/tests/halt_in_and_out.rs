//! What wants in or out while it is halted: triggers, deliveries and answers wait and are not
//! lost, and an effect that is under way ends and is not had again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::counting::Counting;
use mandate_tests::halting::{halt, notebook, noted, notes, resume, submit, waits_for_halt};
use mandate_tests::{Do, Host, Options, Plugin, agent, tool};
use serde_json::{Value, json};

#[tokio::test]
async fn triggers_of_what_is_halted_wait_and_lose_nothing() {
    let host = Host::start();
    let client = host.admin();
    let source = agent("source").does([Do::publish("said", "{}")]);
    client
        .install(source.manifest("[capabilities]\nevents = true").file())
        .await;
    let listener = |name: &str| {
        agent(name).manifest(&format!(
            "[[triggers.event]]\non = \"source.said\"\nkind = \"{name}\"\ntitle = \"heard\"\n"
        ))
    };
    client.install(listener("hears").file()).await;
    client.install(listener("listens").file()).await;
    let ticks = agent("ticks").manifest(
        "[[triggers.schedule]]\nevery = \"1s\"\nkind = \"ticks\"\ntitle = \"tick\"\ninput = {}\n",
    );
    client.install(ticks.file()).await;
    halt(&client, "plugin/hears").await.expect(201);
    halt(&client, "plugin/ticks").await.expect(201);
    let of_kind = async |kind: &str| {
        let path = format!("/api/v1/tasks?kind={kind}");
        client.all(&path).await.len()
    };
    let ticked = of_kind("ticks").await;
    for _ in 0..3 {
        let task = client.run("source", json!({})).await;
        assert_eq!(task["status"], "succeeded", "{task}");
    }
    client
        .until(|| async { (of_kind("listens").await == 3).then_some(()) })
        .await;
    assert_eq!(of_kind("hears").await, 0);
    // Also over a restart.
    let host = Host::over(host.kill(), &Options::default());
    let client = host.admin();
    let of_kind = async |kind: &str| {
        let path = format!("/api/v1/tasks?kind={kind}");
        client.all(&path).await.len()
    };
    client.run("source", json!({})).await;
    client
        .until(|| async { (of_kind("listens").await == 4).then_some(()) })
        .await;
    assert_eq!(of_kind("hears").await, 0);
    assert_eq!(of_kind("ticks").await, ticked);
    resume(&client, "plugin/hears").await.ok();
    client
        .until(|| async { (of_kind("hears").await == 4).then_some(()) })
        .await;
    assert_eq!(of_kind("listens").await, 4);
    resume(&client, "plugin/ticks").await.ok();
    client
        .until(|| async { (of_kind("ticks").await > ticked).then_some(()) })
        .await;
}

#[tokio::test]
async fn a_delivery_to_what_is_halted_is_done_when_it_goes_on() {
    let host = Host::start();
    let client = host.admin();
    let inbox = tool("inbox", "internal").manifest("idempotent = true").manifest(
        "[[webhook]]\npath = \"in\"\ntool = \"it\"\n[capabilities.records]\nwrite = [\"inbox\"]\n[records.inbox]\nid = \"N-{12}\"\nschema = { type = \"object\" }\n",
    );
    let inbox = inbox.does([Do::Create {
        collection: "inbox".into(),
        id: None,
        body: mandate_tests::Text::Input,
    }]);
    client.install(inbox.file()).await;
    halt(&client, "plugin/inbox").await.expect(201);
    let deliver = json!({"hello": "there"});
    client
        .post("/api/v1/webhooks/inbox/in", &deliver)
        .await
        .expect(202);
    assert_eq!(notes(&client, "inbox").await, 0);
    resume(&client, "plugin/inbox").await.ok();
    noted(&client, "inbox", 1).await;
}

/// What a test's tools may send, to a server on this machine.
fn options() -> Options {
    Options {
        config: "[http]\nallow_private = [\"127.0.0.0/8\"]\n".to_owned(),
        ..Options::default()
    }
}

/// A tool that posts once, and costs so many dollars.
fn mail(server: &Counting, dollars: u32) -> Plugin {
    let sections = format!(
        "cost = {dollars}\n[capabilities.http]\nhosts = [\"{}\"]\nmethods = [\"POST\"]\npaths = [\"/*\"]\n",
        server.address
    );
    tool("mail", "irreversible")
        .manifest(&sections)
        .does([Do::send("POST", &server.url("/mail"))])
}

#[tokio::test]
async fn an_effect_that_is_under_way_ends_and_is_not_had_again() {
    let server = Counting::start();
    let host = Host::with(&options());
    let client = host.admin();
    client.install(mail(&server, 1).file()).await;
    let sender = agent("sender")
        .manifest("[capabilities.invoke]\ntools = [\"mail.it\"]")
        .manifest(&notebook("sender"))
        .does([
            Do::tool("mail.it", "{}"),
            Do::create("sender", "N-000000000001", "{}"),
        ]);
    client.install(sender.file()).await;
    server.hold(true);
    let task = submit(&client, "sender").await;
    client
        .until(|| async { (server.asked("/mail") == 1).then_some(()) })
        .await;
    halt(&client, "host").await.expect(201);
    let stopped = client.task(&task).await;
    waits_for_halt(&stopped);
    let sent = async || {
        let steps = client.steps(&task).await;
        let sent = steps.into_iter().find(|step| step["function"] == "send");
        sent.unwrap()
    };
    assert_eq!(sent().await["state"], "intended");
    server.hold(false);
    // It is recorded although nothing runs, and nothing else happens.
    client
        .until(|| async { (sent().await["state"] == "answered").then_some(()) })
        .await;
    assert_eq!(sent().await["answer"]["ok"]["status"], 200);
    waits_for_halt(&client.task(&task).await);
    assert_eq!(notes(&client, "sender").await, 0);
    resume(&client, "host").await.ok();
    let ended = client.ended(&task).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    assert_eq!(server.asked("/mail"), 1);
    assert_eq!(notes(&client, "sender").await, 1);
}

#[tokio::test]
async fn what_is_approved_while_it_is_halted_waits_for_that_too() {
    let server = Counting::start();
    let host = Host::with(&options());
    let admin = host.admin();
    admin.install(mail(&server, 25_000).file()).await;
    let sender = agent("sender")
        .manifest("[capabilities.invoke]\ntools = [\"mail.it\"]")
        .does([Do::tool("mail.it", "{}")]);
    admin.install(sender.file()).await;
    let task = submit(&admin, "sender").await;
    let waiting = admin.reaches(&task, "waiting").await;
    assert_eq!(waiting["waiting_for"], "approval", "{waiting}");
    // Whoever takes part in it, and also over a crash.
    halt(&admin, "plugin/mail").await.expect(201);
    let host = Host::over(host.kill(), &options());
    let admin = host.admin();
    let decisions = admin.items("/api/v1/decisions?status=pending").await;
    let decision = format!("/api/v1/decisions/{}", decisions[0]["id"].as_str().unwrap());
    let approve = format!("{decision}/approve");
    let approved = admin.post(&approve, &json!({})).await.ok();
    assert_eq!(approved["status"], "approved", "{approved}");
    let halted = admin
        .until(|| async {
            let task = admin.task(&task).await;
            (task["waiting_for"] == "halt").then_some(task)
        })
        .await;
    waits_for_halt(&halted);
    assert_eq!(admin.get(&decision).await.ok()["status"], "approved");
    assert_eq!(server.asked("/mail"), 0);
    resume(&admin, "plugin/mail").await.ok();
    let ended = admin.ended(&task).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    assert_eq!(admin.get(&decision).await.ok()["status"], "done");
    assert_eq!(server.asked("/mail"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_cleared_when_the_halt_came_goes_on_afterwards() {
    let server = Counting::start();
    let host = Host::with(&options());
    let client = host.admin();
    client.install(mail(&server, 1).file()).await;
    let calling: Vec<_> = (0..64)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.post("/api/v1/tools/mail.it/call", &json!({})).await })
        })
        .collect();
    client
        .until(|| async { (server.asked("/mail") >= 4).then_some(()) })
        .await;
    halt(&client, "plugin/mail").await.expect(201);
    let mut held = 0;
    for call in calling {
        let answer = call.await.unwrap();
        match answer.status {
            200 => {}
            202 => held += 1,
            409 => assert_eq!(answer.json()["type"], "urn:mandate:problem:halted"),
            _ => panic!("{}", answer.text),
        }
    }
    println!("{held} calls were cleared and had not begun");
    resume(&client, "plugin/mail").await.ok();
    // What was begun ends: nothing waits for another start of the host.
    let ended = client
        .until(|| async {
            let all = client.all("/api/v1/decisions?").await;
            let over = |decision: &Value| {
                !["approved", "executing"].contains(&decision["status"].as_str().unwrap())
            };
            all.iter().all(over).then_some(all)
        })
        .await;
    let done = ended.iter().filter(|decision| decision["status"] == "done");
    assert!(done.count() >= held);
    assert!(
        server.asked("/mail") as usize <= ended.len(),
        "each at most once"
    );
}
