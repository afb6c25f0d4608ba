//! How long an execution takes to be where it was when its host was killed.

use crate::bare::Bare;
use crate::fanout::Listener;
use crate::host::{Host, on_one_thread};
use crate::journal::{client, database, reader};
use crate::report::{Measure, Unit, median, once};
use anyhow::{Context, ensure};
use mandate_tests::{Client, Do};
use serde_json::Value;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(300);
/// Much shorter than what is waited for, which is not measured.
const PAUSE: Duration = Duration::from_millis(50);

/// With ten steps.
///
/// # Errors
/// When an execution does not go on.
pub fn after_10() -> anyhow::Result<Measure> {
    after(10, 21)
}

/// With a thousand.
///
/// # Errors
/// When an execution does not go on.
pub fn after_1000() -> anyhow::Result<Measure> {
    after(1_000, 11)
}

/// With a hundred thousand.
///
/// # Errors
/// When an execution does not go on.
pub fn after_100000() -> anyhow::Result<Measure> {
    static FOUND: Mutex<Option<Measure>> = Mutex::new(None);
    once(&FOUND, || after(100_000, 3))
}

/// What each of these steps takes.
///
/// # Errors
/// When an execution does not go on.
pub fn each_of_100000() -> anyhow::Result<Measure> {
    let all = after_100000()?;
    Ok(Measure {
        value: all.value / 100_000.0,
        floor: all.floor.map(|floor| floor / 100_000.0),
        ..all
    })
}

/// The time of an execution with so many answered steps, each a small record that was read, from the answer that it
/// waits for until its task has ended; its host was killed meanwhile. The floor is to read these steps with SQLite
/// alone. The median of so many tasks.
fn after(steps: u32, tasks: usize) -> anyhow::Result<Measure> {
    let dir = tempfile::tempdir()?;
    let asker = reader(
        "asker",
        "human = true",
        steps,
        Some(Do::Ask("Go on?".to_owned())),
    );
    on_one_thread(async {
        let host = Host::start(&dir, None).await?;
        let admin = client(&host);
        admin.install(asker.file()).await;
        for _ in 0..tasks {
            admin.submit(&serde_json::json!({"kind": "asker"})).await;
        }
        waiting(&admin, tasks).await?;
        // As `kill -9` does.
        drop(host);
        let host = Host::start(&dir, None).await?;
        let questions = open_questions(&client(&host), tasks).await?;
        let mut times = Vec::new();
        for question in &questions {
            times.push(go_on(&host, question).await?);
        }
        drop(host);
        Ok(Measure {
            unit: Unit::Microseconds,
            value: median(times)?,
            floor: Some(floor(&Bare::open(&database(&dir))?, steps, tasks)?),
        })
    })
}

/// A question that somebody waits for.
pub struct Open {
    id: String,
    task: String,
}

/// Waits until so many tasks are parked for an answer.
///
/// # Errors
/// When they do not come so far.
pub async fn waiting(admin: &Client, tasks: usize) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let busy = admin.metric("mandate_tasks_queued").await
            + admin.metric("mandate_tasks_running").await;
        if busy == 0.0 {
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "{busy} tasks do not wait");
        tokio::time::sleep(PAUSE).await;
    }
    let parked = admin.all("/api/v1/tasks?status=waiting").await.len();
    ensure!(parked == tasks, "{parked} tasks of {tasks} wait");
    Ok(())
}

/// The questions that are open, at most so many.
///
/// # Errors
/// When there are fewer.
pub async fn open_questions(admin: &Client, most: usize) -> anyhow::Result<Vec<Open>> {
    let path = format!("/api/v1/questions?status=open&limit={most}");
    let questions = admin.items(&path).await;
    ensure!(
        questions.len() == most,
        "{} questions of {most} are open",
        questions.len()
    );
    let text = |question: &Value, field| question.get(field)?.as_str().map(str::to_owned);
    let open = questions.iter().map(|question| {
        let (id, task) = (text(question, "id"), text(question, "task"));
        Some(Open {
            id: id?,
            task: task?,
        })
    });
    open.collect::<Option<_>>()
        .context("a question has no id or no task")
}

/// Answers, and waits until the task has ended; the time between, in microseconds.
///
/// # Errors
/// When it does not succeed.
pub async fn go_on(host: &Host, question: &Open) -> anyhow::Result<f64> {
    let mut listener = Listener::open(host).await?;
    let mut connection = host.connect().await?;
    let path = format!("/api/v1/questions/{}/answer", question.id);
    let answer = host.request("POST", &path, "", r#"{"answer":"yes"}"#);
    let began = Instant::now();
    let answered = connection.send(&answer).await?;
    ensure!(
        answered.status == 200,
        "the question was not answered: {}",
        String::from_utf8_lossy(&answered.body)
    );
    listener.succeeded(&question.task).await?;
    Ok(began.elapsed().as_secs_f64() * 1e6)
}

/// The time to read the steps of an invocation, in microseconds.
fn floor(conn: &Bare, steps: u32, tasks: usize) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for nth in 0..tasks {
        let question = format!(
            "SELECT * FROM steps WHERE invocation = (SELECT id FROM invocations ORDER BY id LIMIT 1 OFFSET {nth}) \
             ORDER BY sequence, idx"
        );
        let began = Instant::now();
        let (rows, _) = conn.read_all(&question)?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
        // The record that it made, and the question.
        ensure!(rows == u64::from(steps) + 2, "{rows} steps are recorded");
    }
    median(times)
}
