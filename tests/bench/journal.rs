//! What a journal costs: steps that are on disk before they are done, their bytes, and a call that is journalled.

use crate::bare::{self, Bare};
use crate::host::{self, Host, on_one_thread};
use crate::invoke;
use crate::report::{Measure, Unit, median};
use anyhow::{Context, ensure};
use mandate_tests::{Client, Do, Plugin, agent};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ROUNDS: usize = 5;
const FLOOR: Duration = Duration::from_secs(1);

/// The bytes of a step's row, as the host's database holds it.
pub const ROW_BYTES: &str = "SELECT avg(octet_length(invocation) + octet_length(tenant) \
    + octet_length(interface) + octet_length(function) + octet_length(arguments) + octet_length(effects) \
    + octet_length(state) + coalesce(octet_length(answer), 0) + 40) FROM steps";

/// The host's database.
pub fn database(dir: &TempDir) -> PathBuf {
    dir.path().join("data/mandate.db")
}

/// An agent with limits that none of these measurements meets.
pub fn patient(name: &str, manifest: &str) -> Plugin {
    agent(name).manifest(&format!(
        "{manifest}\n[limits]\nconcurrency = 1000\ntime_ms = 600000\nsteps = 1000000\n\
         journal_bytes = 1000000000\nchildren = 100000"
    ))
}

/// A client of `host` for what is not measured.
pub fn client(host: &Host) -> Client {
    Client::new(&format!("http://{}", host.address), Some(&host.token))
}

/// Runs so many tasks of `kind` at once, to their end.
///
/// # Errors
/// When one does not succeed.
async fn run_tasks(host: &Host, kind: &str, tasks: usize) -> anyhow::Result<Duration> {
    let body = format!(r#"{{"kind":"{kind}","input":{{}}}}"#);
    let submit = host.request("POST", "/api/v1/tasks", "prefer: wait=60\r\n", &body);
    let mut connections = Vec::new();
    for _ in 0..tasks {
        connections.push(host.connect().await?);
    }
    let began = Instant::now();
    let ended = connections.into_iter().map(|mut connection| {
        let submit = &submit;
        async move { connection.send(submit).await }
    });
    for answer in futures::future::try_join_all(ended).await? {
        let task: Value = serde_json::from_slice(&answer.body)?;
        let status = task.get("status").and_then(Value::as_str);
        ensure!(
            status == Some("succeeded"),
            "a task did not succeed: {task}"
        );
    }
    Ok(began.elapsed())
}

/// Steps per second of `executions` at once, each step with its intent on disk before it is done. The floor inserts
/// rows of as many bytes into SQLite alone, from as many writers that each wait for their commit; who waits at the same
/// time shares it, as with the host.
fn steps_per_second(executions: usize, each: u32) -> anyhow::Result<Measure> {
    let dir = tempfile::tempdir()?;
    // It is over when it begins: all that it costs is its journal.
    let walker = patient("walker", "").does([Do::Repeat(each, Box::new(Do::Sleep(0)))]);
    on_one_thread(async {
        let host = Host::start(&dir, None).await?;
        client(&host).install(walker.file()).await;
        run_tasks(&host, "walker", executions).await?;
        let row = Bare::open(&database(&dir))?.number(ROW_BYTES)? as usize;
        let (mut values, mut floors) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let took = run_tasks(&host, "walker", executions).await?;
            values.push((executions * each as usize) as f64 / took.as_secs_f64());
            let file = dir.path().join(format!("floor-{round}.db"));
            floors.push(bare::inserts_per_second(&file, row, executions, FLOOR).await?);
        }
        Ok(Measure {
            unit: Unit::PerSecond,
            value: median(values)?,
            floor: Some(median(floors)?),
        })
    })
}

/// With as many executions as a host runs by default: their steps share commits.
///
/// # Errors
/// When a task does not succeed.
pub fn steps() -> anyhow::Result<Measure> {
    steps_per_second(64, 300)
}

/// With one execution: each step is a commit of its own, and so is each row of the floor.
///
/// # Errors
/// When a task does not succeed.
pub fn steps_alone() -> anyhow::Result<Measure> {
    steps_per_second(1, 1_000)
}

const READS: u32 = 20_000;

/// An agent that reads the same small record again and again, and then does `more`.
pub fn reader(name: &str, manifest: &str, reads: u32, more: Option<Do>) -> Plugin {
    let note = r#"{"text":"To be, or not to be, that is the question: whether it is nobler in the mind to suffer"}"#;
    let manifest = format!(
        "[capabilities]\n{manifest}\n[capabilities.records]\nwrite = [\"notes\"]\n\
         [records.notes]\nid = \"N-{{4}}\"\nschema = {{ type = \"object\" }}"
    );
    patient(name, &manifest)
        .does([
            // Who comes later finds it.
            Do::create("notes", "N-1", note),
            Do::Repeat(reads, Box::new(Do::get("notes", "N-1"))),
        ])
        .does(more)
}

/// Bytes by which the database grows with each step that reads a record; the floor is the JSON of its arguments and its
/// answer, without which there is no journal.
///
/// # Errors
/// When the task does not succeed.
pub fn bytes() -> anyhow::Result<Measure> {
    let dir = tempfile::tempdir()?;
    let file = database(&dir);
    on_one_thread(async {
        let host = Host::start(&dir, None).await?;
        let plugin = reader("reader", "", READS, None);
        client(&host).install(plugin.file()).await;
        host.stop().await?;
        let before = size_of(&file)?;
        let host = Host::start(&dir, None).await?;
        run_tasks(&host, "reader", 1).await?;
        let admin = client(&host);
        let task = admin.items("/api/v1/tasks?kind=reader").await.remove(0);
        let id = task.get("id").and_then(Value::as_str).context("no task")?;
        let steps = admin
            .items(&format!("/api/v1/tasks/{id}/steps?limit=10"))
            .await;
        let size = |field: &str| {
            let step = steps.last()?;
            Some(step.get(field)?.to_string().len())
        };
        let own = size("arguments").zip(size("answer"));
        let (arguments, answer) = own.context("there are no steps")?;
        host.stop().await?;
        let grown = size_of(&file)?.saturating_sub(before);
        Ok(Measure {
            unit: Unit::Bytes,
            value: grown as f64 / f64::from(READS),
            floor: Some((arguments + answer) as f64),
        })
    })
}

/// Of a database that nobody has open, with what stands in its log of writes.
fn size_of(file: &Path) -> anyhow::Result<u64> {
    Bare::open(file)?.run("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(std::fs::metadata(file)?.len())
}

const CALLS: u32 = 2_000;

/// A call of a tool by an agent: granted, its arguments and its result validated, its step, its invocation and its end in
/// the journal. The floor is the same call of the same component by wasmtime alone.
///
/// # Errors
/// When the task does not succeed.
pub fn call() -> anyhow::Result<Measure> {
    let dir = tempfile::tempdir()?;
    let words = r#"{"text":"to be or not to be, that is the question"}"#;
    let caller =
        patient("caller", "[capabilities.invoke]\ntools = [\"text.*\"]").does([Do::Repeat(
            CALLS,
            Box::new(Do::tool("text.word-count", words)),
        )]);
    on_one_thread(async {
        let host = Host::start(&dir, None).await?;
        host.install(&host::plugin("text")?)?;
        client(&host).install(caller.file()).await;
        run_tasks(&host, "caller", 1).await?;
        let bare = Bare::open(&database(&dir))?;
        let made = bare.number(
            "SELECT count(*) FROM invocations WHERE plugin = 'text' AND status = 'succeeded'",
        )?;
        ensure!(made == f64::from(CALLS), "only {made} calls succeeded");
        let mut values = Vec::new();
        for _ in 0..ROUNDS {
            let took = run_tasks(&host, "caller", 1).await?;
            values.push(took.as_secs_f64() * 1e6 / f64::from(CALLS));
        }
        Ok(Measure {
            unit: Unit::Microseconds,
            value: median(values)?,
            floor: Some(invoke::bare_call().await?),
        })
    })
}
