//! Tasks from end to end: how many a host finishes, and how quickly one is looked at.

use crate::floor::Floor;
use crate::guests;
use crate::host::{self, Host, on_one_thread};
use crate::http::{Connection, request};
use crate::report::{Measure, Unit, median};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Clients that each wait for their task before they submit the next.
const CLIENTS: usize = 64;
const WARM: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(6);

/// Tasks per second, from the request that submits to the answer that has the result: two model
/// turns and one tool each, everything persisted.
///
/// # Errors
/// When a task does not succeed or does not do what it should.
pub fn throughput() -> anyhow::Result<Measure> {
    let dir = tempfile::tempdir()?;
    let agent = guests::build("turns", dir.path())?;
    on_one_thread(async {
        let host = Host::start(&dir, None).await?;
        host.install(&host::plugin("text")?)?;
        host.install(&agent)?;
        check_steps(&host).await?;
        submit_for(&host, "bench-turns", CLIENTS, WARM).await?;
        let (tasks, took) = submit_for(&host, "bench-turns", CLIENTS, MEASURED).await?;
        let value = tasks as f64 / took.as_secs_f64();
        Ok(Measure {
            unit: Unit::PerSecond,
            value,
            floor: None,
        })
    })
}

/// The request that submits a task of `kind` and waits for its end.
pub fn submission(host: &Host, kind: &str) -> Vec<u8> {
    let body = format!(r#"{{"kind":"{kind}","title":"a task to measure with","input":{{}}}}"#);
    host.request("POST", "/api/v1/tasks", "prefer: wait=30\r\n", &body)
}

/// Does tasks of `kind` with `clients` at a time, until `time` has passed and all are finished.
/// How many, and how long it took.
///
/// # Errors
/// When one does not succeed.
pub async fn submit_for(
    host: &Host,
    kind: &str,
    clients: usize,
    time: Duration,
) -> anyhow::Result<(usize, Duration)> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(host.connect().await?);
    }
    let request = submission(host, kind);
    let began = Instant::now();
    let clients = connections.into_iter().map(|mut connection| {
        let request = &request;
        async move {
            let (mut done, mut body) = (0_usize, Vec::new());
            while began.elapsed() < time {
                let status = connection.send_into(request, &mut body).await?;
                ensure!(
                    status == 200 && contains(&body, b"\"status\":\"succeeded\""),
                    "a task did not succeed: {status} {}",
                    String::from_utf8_lossy(&body)
                );
                done += 1;
            }
            Ok(done)
        }
    });
    let done = futures::future::try_join_all(clients).await?;
    Ok((done.iter().sum(), began.elapsed()))
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// A figure of an agent that does something else would be worth nothing.
async fn check_steps(host: &Host) -> anyhow::Result<()> {
    let mut connection = host.connect().await?;
    let answer = connection.send(&submission(host, "bench-turns")).await?;
    let task: Value = serde_json::from_slice(&answer.body)?;
    let id = task
        .get("id")
        .and_then(Value::as_str)
        .with_context(|| format!("no task: {task}"))?;
    let path = format!("/api/v1/tasks/{id}/steps");
    let answer = connection.send(&host.request("GET", &path, "", "")).await?;
    let steps = String::from_utf8(answer.body)?;
    let (turns, calls) = (
        steps.matches("\"function\":\"complete\"").count(),
        steps.matches("\"function\":\"invoke\"").count(),
    );
    ensure!(
        (turns, calls) == (2, 1),
        "expected two model turns and one tool call, found {turns} and {calls}; task {task}, steps {steps}"
    );
    Ok(())
}

/// Connections that ask at the same time.
const READERS: usize = 16;
const ROUND: Duration = Duration::from_millis(400);
const ROUNDS: usize = 11;

/// Requests per second for one finished task, against a bare handler that returns the same bytes.
///
/// # Errors
/// When the host answers something else.
pub fn get() -> anyhow::Result<Measure> {
    let dir = tempfile::tempdir()?;
    let agent = guests::build("brief", dir.path())?;
    on_one_thread(async {
        let host = Host::start(&dir, None).await?;
        host.install(&agent)?;
        let mut connection = host.connect().await?;
        let answer = connection.send(&submission(&host, "bench-brief")).await?;
        let task: Value = serde_json::from_slice(&answer.body)?;
        let id = task
            .get("id")
            .and_then(Value::as_str)
            .with_context(|| format!("no task: {task}"))?;
        let question = request("GET", &format!("/api/v1/tasks/{id}"), &host.token, "", "");
        let expected = connection.send(&question).await?;
        ensure!(expected.status == 200, "the task is not found");
        let floor = Floor::start(&expected.body)?;
        // Both are warm before either counts.
        for address in [floor.address, host.address] {
            rate(address, &question, &expected.body, ROUND / 2).await?;
        }
        let (mut floors, mut values) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            floors.push(rate(floor.address, &question, &expected.body, ROUND).await?);
            values.push(rate(host.address, &question, &expected.body, ROUND).await?);
        }
        Ok(Measure {
            unit: Unit::PerSecond,
            value: median(values)?,
            floor: Some(median(floors)?),
        })
    })
}

/// Answers per second on all connections together.
async fn rate(
    address: SocketAddr,
    question: &[u8],
    expected: &[u8],
    time: Duration,
) -> anyhow::Result<f64> {
    let mut connections = Vec::new();
    for _ in 0..READERS {
        connections.push(Connection::open(address).await?);
    }
    let began = Instant::now();
    let readers = connections.into_iter().map(|mut connection| async move {
        let (mut count, mut body) = (0_usize, Vec::new());
        while began.elapsed() < time {
            let status = connection.send_into(question, &mut body).await?;
            ensure!(
                status == 200 && body == expected,
                "another answer: {status}"
            );
            count += 1;
        }
        Ok(count)
    });
    let counts = futures::future::try_join_all(readers).await?;
    Ok(counts.iter().sum::<usize>() as f64 / began.elapsed().as_secs_f64())
}
