//! The process is killed under load, again and again: whatever it accepted is there afterwards
//! and done once, and events, journals and records agree.
//!
//! `MANDATE_SEED` repeats a run's times of death, `MANDATE_CRASHES` makes it die more often.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::audit::{Audit, settled};
use mandate_tests::load::{self, Asked};
use mandate_tests::{Client, Do, Host, Options, Text, agent};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// The audit asks for much in a short time.
fn options() -> Options {
    Options {
        config: "[api]\nrequests_per_second = 100000\nrequest_burst = 100000\n".to_owned(),
        ..Options::default()
    }
}

/// Numbers that look random and can be had again.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
        let seed = match std::env::var("MANDATE_SEED") {
            Ok(text) => text.parse().expect("MANDATE_SEED is a number"),
            Err(_) => u64::try_from(now).unwrap(),
        };
        println!("MANDATE_SEED={seed}");
        Self(seed)
    }

    /// SplitMix64.
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }
}

fn id(task: &Value) -> &str {
    task["id"].as_str().unwrap()
}

/// Four clients submit until the host is gone, or has enough.
fn load(
    host: &Host,
    next: &Arc<AtomicU64>,
    asked: &Arc<Mutex<Asked>>,
    most: u64,
) -> Vec<tokio::task::JoinHandle<()>> {
    let end = next.load(Ordering::Relaxed) + most;
    (0..4)
        .map(|_| {
            let (client, next, asked) = (host.admin(), next.clone(), asked.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= end {
                        return;
                    }
                    match load::submit(&client, n).await {
                        Ok(answer) => {
                            let task = answer.expect(202);
                            let task = id(&task).to_owned();
                            asked.lock().unwrap().accepted.insert(n, task);
                        }
                        Err(_) => {
                            asked.lock().unwrap().unknown.push(n);
                            return;
                        }
                    }
                }
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_it_loses_nothing_and_does_nothing_twice() {
    let crashes = std::env::var("MANDATE_CRASHES").map_or(5, |text| text.parse().unwrap());
    let mut dice = Dice::new();
    let next = Arc::new(AtomicU64::new(1));
    let asked = Arc::new(Mutex::new(Asked::default()));
    let mut host = Host::with(&options());
    load::install(&host.admin()).await;
    // How it looks when nothing goes wrong.
    let answer = load::submit(&host.admin(), 0).await.unwrap();
    let model = id(&answer.expect(202)).to_owned();
    asked.lock().unwrap().accepted.insert(0, model.clone());
    let calm = host.admin().ended(&model).await;
    assert_eq!(calm["status"], "succeeded", "{calm}");

    for crash in 1..=crashes {
        let submitting = load(&host, &next, &asked, 60);
        tokio::time::sleep(Duration::from_millis(30 + dice.below(500))).await;
        let running = host.admin().metric("mandate_tasks_running").await;
        let data = host.kill();
        for submitter in submitting {
            submitter.await.unwrap();
        }
        host = Host::over(data, &options());
        println!("crash {crash}: {running} tasks were running");
    }

    let client = host.admin();
    // Whoever got no answer asks again with the same key, and gets the same task, or a new one.
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    let mut all: BTreeSet<String> = asked.accepted.values().cloned().collect();
    for n in &asked.unknown {
        let task = load::submit(&client, *n).await.unwrap().ok();
        assert!(
            all.insert(id(&task).to_owned()),
            "two requests, one task: {task}"
        );
    }
    settled(&client, Duration::from_secs(120)).await;

    let audit = Audit::read(&client, &load::COLLECTIONS).await;
    audit.check();
    let by_clients: BTreeSet<String> = audit
        .tasks
        .values()
        .filter(|task| task["parent"].is_null())
        .map(|task| id(task).to_owned())
        .collect();
    assert_eq!(by_clients, all, "what was accepted, and nothing else");
    println!(
        "{} tasks, {} events, {} records",
        audit.tasks.len(),
        audit.events.len(),
        audit.records.len()
    );

    // Every worker did what the undisturbed one did.
    let shape = audit.executions[&model].shape();
    for task in audit.of_kind("worker") {
        assert_eq!(audit.executions[id(task)].shape(), shape, "{task}");
        assert_eq!(task["output"], task["input"], "{task}");
        assert_eq!(task["attempts"], 1, "{task}");
    }
    // Each event woke its agent once.
    let noted: BTreeSet<String> = audit
        .events
        .iter()
        .filter(|event| event["kind"] == "worker.noted")
        .map(|event| format!("event:{}", event["seq"]))
        .collect();
    let heard: Vec<String> = audit
        .of_kind("listener")
        .map(|task| task["trigger"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(heard.len(), noted.len());
    assert_eq!(heard.into_iter().collect::<BTreeSet<_>>(), noted);
    assert_eq!(noted.len(), audit.of_kind("worker").count());
    // Of all who wanted to make a version, one did.
    let shared = &audit.records[&(load::SHARED.to_owned(), "N-1".to_owned())];
    if audit.of_kind("rival").count() > 0 {
        assert_eq!(shared["version"], load::TRIES + 1, "{shared}");
    }
}

/// The plugins that come with Mandate, where they are built.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_agents_keep_each_note_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins");
    let files = ["text", "research"].map(|name| folder.join(format!("{name}.wasm")));
    if files.iter().any(|file| !file.exists()) {
        eprintln!(
            "skipped: {} has no plugins; `make plugins` builds them",
            folder.display()
        );
        return;
    }
    let mut dice = Dice::new();
    let mut host = Host::with(&options());
    for file in &files {
        host.admin().install(std::fs::read(file).unwrap()).await;
    }
    let mut accepted = Vec::new();
    for round in 0..3 {
        for n in 0..12 {
            let question = format!("How do we roll back a release, case {round}-{n}?");
            let task = json!({"kind": "research", "input": {"question": question}});
            accepted.push(id(&host.admin().submit(&task).await).to_owned());
        }
        tokio::time::sleep(Duration::from_millis(dice.below(120))).await;
        host = Host::over(host.kill(), &options());
    }
    let client = host.admin();
    settled(&client, Duration::from_secs(60)).await;
    let audit = Audit::read(&client, &["notes"]).await;
    audit.check();
    assert_eq!(audit.tasks.len(), accepted.len());
    for task in &accepted {
        let promised: BTreeSet<&str> = audit.tasks[task]["output"]["notes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|note| note.as_str().unwrap())
            .collect();
        let kept: BTreeSet<&str> = audit
            .records
            .values()
            .filter(|note| note["body"]["task"] == task.as_str())
            .map(id)
            .collect();
        assert!(!kept.is_empty(), "the library knows about releases");
        assert_eq!(kept, promised);
    }
}

/// A schedule's ticks are not made up for one by one, and none happens twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_goes_on_where_it_was() {
    let begun = Instant::now();
    let mut host = Host::with(&options());
    let ticker = agent("ticker")
        .manifest("[[triggers.schedule]]\nevery = \"1s\"\nkind = \"ticker\"\ntitle = \"Tick\"")
        .does([Do::Sleep(1)]);
    host.admin().install(ticker.file()).await;
    for ticks in [1, 2] {
        let client = host.admin();
        client
            .until(|| async {
                (client.items("/api/v1/tasks?kind=ticker").await.len() >= ticks).then_some(())
            })
            .await;
        host = Host::over(host.kill(), &options());
    }
    let client = host.admin();
    let tasks = settled(&client, Duration::from_secs(30)).await;
    let seconds = begun.elapsed().as_secs() + 1;
    assert!(
        tasks.len() as u64 <= seconds,
        "{} ticks in {seconds} s",
        tasks.len()
    );
    Audit::read(&client, &[]).await.check();
}

/// What keeps a plugin from loading passes, and its tasks are there when it has passed.
#[tokio::test]
async fn tasks_wait_for_a_plugin_that_does_not_load() {
    let host = Host::with(&options());
    let client = host.admin();
    client
        .install(agent("patient").does([Do::Sleep(500)]).file())
        .await;
    let running = client
        .submit(&json!({"kind": "patient", "input": {}}))
        .await;
    client.reaches(id(&running), "running").await;
    let data = host.kill();
    // Too little to compile it again.
    std::fs::remove_dir_all(data.path().join("compiled")).unwrap();
    let poor = "[guests]\ncompile_memory_bytes = 1000000\n".to_owned();
    let host = Host::over(
        data,
        &Options {
            config: poor,
            ..Options::default()
        },
    );
    let waits = |line: &str| line.contains("waits until its plugin loads").then_some(());
    host.logged(waits).expect("told why it does not run");
    let task = host.admin().task(id(&running)).await;
    assert_eq!(task["status"], "running", "{task}");
    let host = Host::over(host.kill(), &options());
    let task = host.admin().ended(id(&running)).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    assert_eq!(task["attempts"], 1, "{task}");
}

/// One host for one data directory, and the directory is free again at once when the host dies.
#[tokio::test]
async fn a_data_directory_has_one_host() {
    let host = Host::start();
    let second = Command::new(mandate_tests::host::binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(host.data.path())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains("in use by another host"), "{told}");
    assert!(told.contains(&format!("process {}", host.pid())), "{told}");
    assert!(told.contains("--data-dir"), "{told}");
    // The first did not notice.
    host.admin().get("/ready").await.expect(200);
    Host::over(host.kill(), &Options::default())
        .admin()
        .get("/ready")
        .await
        .expect(200);
}

/// What a restart costs when much is there. Not a test: `cargo test … --ignored --nocapture`
/// prints it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn restart_with_many_tasks() {
    let host = Host::with(&options());
    let client = host.admin();
    client.install(agent("quick").file()).await;
    client
        .install(
            agent("slow")
                .manifest("[limits]\nconcurrency = 16")
                .does([Do::Sleep(60_000)])
                .answers(Text::Input)
                .file(),
        )
        .await;
    let submit = |client: Client, kind: &'static str, many: u64| async move {
        let workers = (0..16).map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..many / 16 {
                    client.submit(&json!({"kind": kind, "input": {}})).await;
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
    };
    submit(client.clone(), "quick", 10_000).await;
    settled(&client, Duration::from_secs(300)).await;
    submit(client.clone(), "slow", 1_008).await;
    let data = host.kill();
    let begun = Instant::now();
    let host = Host::over(data, &options());
    let ready = begun.elapsed();
    let task = host.admin().run("quick", json!({})).await;
    let first = begun.elapsed();
    assert_eq!(task["status"], "succeeded");
    println!(
        "10,000 ended and 1,008 unfinished tasks: ready after {ready:?}, a new task done after {first:?}"
    );
}
