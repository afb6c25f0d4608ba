//! The kill switch: what it covers stops at once and stays as it is, also over a crash, and goes
//! on where it was; what it does not cover notices nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::halting::{halt, notebook, noted, notes, resume, submit, waits_for_halt};
use mandate_tests::host::binary;
use mandate_tests::{Do, Host, Options, Plugin, agent, hostile, tool};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

fn spinner() -> Plugin {
    agent("spinner").is(hostile::agent(hostile::LOOP))
}

/// An agent that notes, waits, and notes again.
fn noter(name: &str, milliseconds: u64) -> Plugin {
    let note = |n: u32| Do::Create {
        collection: name.into(),
        id: None,
        body: format!("{{\"n\":{n}}}").into(),
    };
    agent(name)
        .manifest(&notebook(name))
        .does([note(1), Do::Sleep(milliseconds), note(2)])
}

#[tokio::test]
async fn a_guest_that_loops_is_stopped_and_nothing_of_it_has_ended() {
    let host = Host::start();
    let client = host.admin();
    client.install(spinner().file()).await;
    let task = submit(&client, "spinner").await;
    client.reaches(&task, "running").await;
    let begun = Instant::now();
    let halted = halt(&client, "host").await.expect(201);
    let took = begun.elapsed();
    println!("halted within {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(
        (&halted["scope"], &halted["by"]),
        (&json!("host"), &json!("admin"))
    );
    // As soon as it is answered, it is so.
    let task = client.task(&task).await;
    waits_for_halt(&task);
    let path = format!("/api/v1/executions/{}", task["execution"].as_str().unwrap());
    let execution = client.get(&path).await.ok();
    assert_eq!(execution["invocations"][0]["status"], "running");
    let health = host.nobody().get("/health").await.ok();
    assert_eq!(health["status"], "halted", "{health}");
    // Again is as good as once.
    assert_eq!(halt(&client, "host").await.expect(200), halted);
    resume(&client, "host").await.ok();
    let id = task["id"].as_str().unwrap();
    client.reaches(id, "running").await;
    let cancel = format!("/api/v1/tasks/{id}/cancel");
    client.post(&cancel, &json!({})).await.ok();
    let kinds: Vec<Value> = client
        .events()
        .await
        .iter()
        .map(|event| event["kind"].clone())
        .collect();
    for kind in ["halted", "task_waiting", "resumed", "task_cancelled"] {
        assert!(kinds.contains(&json!(kind)), "{kind} in {kinds:?}");
    }
    resume(&client, "host").await.expect(404);
}

#[tokio::test]
async fn a_halt_survives_a_crash_and_what_it_stopped_goes_on_where_it_was() {
    let host = Host::start();
    let client = host.admin();
    client.install(noter("noter", 1_900).file()).await;
    let stopped = submit(&client, "noter").await;
    noted(&client, "noter", 1).await;
    halt(&client, "host").await.expect(201);
    waits_for_halt(&client.task(&stopped).await);
    let queued = submit(&client, "noter").await;
    let host = Host::over(host.kill(), &Options::default());
    let client = host.admin();
    let late = submit(&client, "noter").await;
    let halts = client.items("/api/v1/halts").await;
    assert_eq!(halts[0]["scope"], "host");
    waits_for_halt(&client.task(&stopped).await);
    for task in [&queued, &late] {
        assert_eq!(client.task(task).await["status"], "pending");
    }
    assert_eq!(notes(&client, "noter").await, 1, "nothing was written");
    resume(&client, "host").await.ok();
    for task in [&stopped, &queued, &late] {
        let task = client.ended(task).await;
        assert_eq!(task["status"], "succeeded", "{task}");
        assert_eq!(task["attempts"], 1);
    }
    assert_eq!(notes(&client, "noter").await, 6, "each note once");
}

#[tokio::test]
async fn what_is_parked_stays_parked_until_it_is_resumed() {
    let host = Host::start();
    let client = host.admin();
    client.install(noter("sleeper", 2_500).file()).await;
    let task = submit(&client, "sleeper").await;
    let parked = client.reaches(&task, "waiting").await;
    assert_eq!(parked["waiting_for"], "sleep");
    halt(&client, "host").await.expect(201);
    // Its time passes, and it does not go on.
    client
        .until(|| async {
            let task = client.task(&task).await;
            (task["waiting_for"] == "halt").then_some(())
        })
        .await;
    waits_for_halt(&client.task(&task).await);
    assert_eq!(notes(&client, "sleeper").await, 1);
    resume(&client, "host").await.ok();
    assert_eq!(client.ended(&task).await["status"], "succeeded");
    assert_eq!(notes(&client, "sleeper").await, 2);
}

#[tokio::test]
async fn a_tenant_or_a_plugin_that_is_halted_leaves_others_alone() {
    let host = Host::start();
    let admin = host.admin();
    let acme = host.principal("ann", "client", &["acme"]).await;
    let beta = host.principal("bob", "client", &["beta"]).await;
    admin.install(agent("asks").file()).await;
    admin.install(tool("shell", "none").file()).await;
    let calls = agent("calls")
        .manifest("[capabilities.invoke]\ntools = [\"shell.it\"]\n")
        .does([Do::tool("shell.it", "{}")]);
    admin.install(calls.file()).await;

    halt(&admin, "tenant/acme").await.expect(201);
    let of_acme = submit(&acme, "asks").await;
    let of_beta = submit(&beta, "asks").await;
    assert_eq!(beta.ended(&of_beta).await["status"], "succeeded");
    assert_eq!(acme.task(&of_acme).await["status"], "pending");
    let refused = acme.post("/api/v1/tools/shell.it/call", &json!({})).await;
    let problem = refused.expect(409);
    assert_eq!(problem["type"], "urn:mandate:problem:halted");
    assert_eq!(problem["halt"]["scope"], "tenant/acme");
    assert_eq!(problem["halt"]["by"], "admin");
    assert!(problem["detail"].as_str().unwrap().contains("a runaway"));
    assert!(acme.items("/api/v1/halts").await.len() == 1);
    assert!(beta.items("/api/v1/halts").await.is_empty());
    beta.post("/api/v1/tools/shell.it/call", &json!({}))
        .await
        .ok();
    resume(&admin, "tenant/acme").await.ok();
    assert_eq!(acme.ended(&of_acme).await["status"], "succeeded");

    // A plugin takes others with it only as far as they need it.
    halt(&admin, "plugin/shell").await.expect(201);
    let needs = submit(&beta, "calls").await;
    waits_for_halt(&beta.reaches(&needs, "waiting").await);
    let apart = submit(&beta, "asks").await;
    assert_eq!(beta.ended(&apart).await["status"], "succeeded");
    // Another halt that ends does not let it go on.
    halt(&admin, "tenant/acme").await.expect(201);
    resume(&admin, "tenant/acme").await.ok();
    waits_for_halt(&beta.reaches(&needs, "waiting").await);
    resume(&admin, "plugin/shell").await.ok();
    assert_eq!(beta.ended(&needs).await["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_by_what_is_halted_once_that_is_answered() {
    let host = Host::start();
    let client = host.admin();
    client.install(noter("racer", 1).file()).await;
    let submitting: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { submit(&client, "racer").await })
        })
        .collect();
    noted(&client, "racer", 5).await;
    halt(&client, "plugin/racer").await.expect(201);
    let last = client.events().await.last().unwrap()["seq"].clone();
    let written = notes(&client, "racer").await;
    let mut tasks = Vec::new();
    for task in submitting {
        tasks.push(task.await.unwrap());
    }
    // What would still run has had its time by now.
    let probe = agent("probe").does([Do::Sleep(300)]);
    client.install(probe.file()).await;
    client.run("probe", json!({})).await;
    assert_eq!(notes(&client, "racer").await, written);
    let path = format!("/api/v1/events?limit=1000&after={last}");
    for event in client.items(&path).await {
        let of_racer = event["task"]
            .as_str()
            .is_some_and(|task| tasks.iter().any(|known| known == task));
        let told = of_racer && event["kind"] != "task_created";
        assert!(!told, "after the halt was answered: {event}");
    }
    resume(&client, "plugin/racer").await.ok();
    for task in &tasks {
        let task = client.ended(task).await;
        assert_eq!(task["status"], "succeeded", "{task}");
    }
    assert_eq!(notes(&client, "racer").await, 100, "each note once");
}

#[tokio::test]
async fn many_that_loop_are_stopped_as_quickly_one_of_them_or_all() {
    let host = Host::start();
    let client = host.admin();
    client.install(spinner().file()).await;
    let mut loops = Vec::new();
    // Two plugins, because one may have at most sixteen at a time.
    for name in ["these", "those"] {
        let loops_too = agent(name).is(hostile::agent(hostile::LOOP));
        client.install(loops_too.file()).await;
        for _ in 0..16 {
            loops.push(submit(&client, name).await);
        }
    }
    let task = submit(&client, "spinner").await;
    for task in loops.iter().chain([&task]) {
        client.reaches(task, "running").await;
    }
    let begun = Instant::now();
    halt(&client, "plugin/spinner").await.expect(201);
    println!("one of 33 halted within {:?}", begun.elapsed());
    waits_for_halt(&client.task(&task).await);
    let begun = Instant::now();
    halt(&client, "host").await.expect(201);
    println!("32 halted within {:?}", begun.elapsed());
    for task in &loops {
        waits_for_halt(&client.task(task).await);
    }
}

#[tokio::test]
async fn only_operators_halt_and_only_what_is_theirs() {
    let host = Host::start();
    let admin = host.admin();
    admin.install(agent("asks").file()).await;
    host.principal("cat", "client", &["beta"]).await;
    for role in ["viewer", "client", "approver"] {
        let other = host.principal(role, role, &["default"]).await;
        for scope in ["host", "tenant/default", "plugin/asks"] {
            halt(&other, scope).await.expect(403);
        }
    }
    halt(&host.nobody(), "host").await.expect(401);
    let bound = host.principal("op", "operator", &["acme"]).await;
    halt(&bound, "host").await.expect(403);
    halt(&bound, "plugin/asks").await.expect(403);
    halt(&bound, "tenant/beta").await.expect(404);
    halt(&bound, "tenant/acme").await.expect(201);
    halt(&admin, "host").await.expect(201);
    resume(&bound, "host").await.expect(403);
    resume(&bound, "tenant/acme").await.ok();
    // Who mistypes a name hears of it.
    halt(&admin, "plugin/ask").await.expect(404);
    halt(&admin, "tenant/acne").await.expect(404);
    halt(&admin, "task/x").await.expect(422);
    let no_reason = json!({"scope": "host", "reason": " "});
    admin.post("/api/v1/halt", &no_reason).await.expect(422);
    // The API goes on, and what asks to start something is told.
    let held = json!({"kind": "asks", "input": {}, "execute": false});
    let held = admin.submit(&held).await;
    let path = format!("/api/v1/tasks/{}/execute", held["id"].as_str().unwrap());
    let problem = admin.post(&path, &json!({})).await.expect(409);
    assert_eq!(problem["halt"]["scope"], "host");
}

#[tokio::test]
async fn the_command_line_halts_and_resumes_and_both_are_on_record() {
    let host = Host::start();
    let run = |host: &Host, arguments: &[&str]| {
        let data = host.data.path().to_str().unwrap();
        let run = Command::new(binary())
            .args(arguments)
            .args(["--url", &host.url, "--data-dir", data])
            .output()
            .unwrap();
        let text = if run.status.success() {
            run.stdout
        } else {
            run.stderr
        };
        (run.status.success(), String::from_utf8(text).unwrap())
    };
    host.admin().install(agent("asks").file()).await;
    assert_eq!(
        run(&host, &["halt", "list"]),
        (true, "nothing is halted\n".to_owned())
    );
    let (done, said) = run(
        &host,
        &["halt", "--plugin", "asks", "--reason", "a runaway"],
    );
    let plugin = "the plugin `asks` is halted";
    assert!(
        done && said.contains(plugin) && said.contains("a runaway"),
        "{said}"
    );
    let (done, said) = run(&host, &["halt", "--reason", "all of it"]);
    assert!(done, "{said}");
    let (done, said) = run(&host, &["resume", "--tenant", "acme"]);
    assert!(!done && said.contains("tenant/acme"), "{said}");
    // Also over a crash, and as anybody sees it.
    let host = Host::over(host.kill(), &Options::default());
    let health = host.nobody().get("/health").await.ok();
    assert_eq!(health["status"], "halted", "{health}");
    let (_, said) = run(&host, &["halt", "list"]);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!(
        run(&host, &["resume"]),
        (true, "`host` goes on\n".to_owned())
    );
    let (done, said) = run(&host, &["resume", "--plugin", "asks"]);
    assert!(done, "{said}");
    let health = host.nobody().get("/health").await.ok();
    assert_ne!(health["status"], "halted", "{health}");
    let acts = host.admin().all("/api/v1/audit?order=oldest").await;
    let told: Vec<[&str; 3]> = acts
        .iter()
        .filter(|act| act["act"] == "halted" || act["act"] == "resumed")
        .map(|act| ["act", "subject", "actor"].map(|field| act[field].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ["halted", "plugin/asks", "admin"],
            ["halted", "host", "admin"],
            ["resumed", "host", "admin"],
            ["resumed", "plugin/asks", "admin"],
        ]
    );
}
