//! What a hundred running executions take.

use crate::guests;
use crate::host::{Host, on_one_thread};
use crate::report::{Measure, Unit};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::time::{Duration, Instant};

const RUNNING: usize = 100;
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes that the host's process has resident with a hundred agents asleep in the middle of their
/// executions; the floor is the same process before.
///
/// # Errors
/// When they do not all run.
pub fn run() -> anyhow::Result<Measure> {
    let dir = tempfile::tempdir()?;
    let agent = guests::build("sleeper", dir.path())?;
    on_one_thread(async {
        let host = Host::start(&dir, None).await?;
        host.install(&agent)?;
        let idle = host.resident()?;
        let mut connection = host.connect().await?;
        let submit = host.request(
            "POST",
            "/api/v1/tasks",
            "",
            r#"{"kind":"bench-sleeper","input":{}}"#,
        );
        for _ in 0..RUNNING {
            let answer = connection.send(&submit).await?;
            ensure!(
                answer.status == 202,
                "a task was not accepted: {}",
                answer.status
            );
        }
        let question = host.request("GET", "/metrics", "", "");
        let began = Instant::now();
        loop {
            let answer = connection.send(&question).await?;
            if sleeping(&answer.body) >= RUNNING {
                break;
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "{RUNNING} tasks do not run at once"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Each agent has by now made the call that it sleeps in.
        steps(&host).await?;
        let value = host.resident()?;
        Ok(Measure {
            unit: Unit::Bytes,
            value: value as f64,
            floor: Some(idle as f64),
        })
    })
}

/// How many tasks run, by the host's own count.
fn sleeping(metrics: &[u8]) -> usize {
    String::from_utf8_lossy(metrics)
        .lines()
        .find_map(|line| line.strip_prefix("mandate_tasks_running "))
        .and_then(|count| count.trim().parse::<f64>().ok())
        .map_or(0, |count| count as usize)
}

/// Waits until every running task has a step that is not answered.
async fn steps(host: &Host) -> anyhow::Result<()> {
    let mut connection = host.connect().await?;
    let list = host.request("GET", "/api/v1/tasks?limit=1000&status=running", "", "");
    let answer = connection.send(&list).await?;
    let page: Value = serde_json::from_slice(&answer.body)?;
    let tasks = page
        .get("items")
        .and_then(Value::as_array)
        .context("no list of tasks")?;
    ensure!(
        tasks.len() == RUNNING,
        "{} tasks run, not {RUNNING}",
        tasks.len()
    );
    let began = Instant::now();
    for task in tasks {
        let id = task
            .get("id")
            .and_then(Value::as_str)
            .context("a task without id")?;
        let question = host.request("GET", &format!("/api/v1/tasks/{id}/steps"), "", "");
        loop {
            let answer = connection.send(&question).await?;
            if String::from_utf8_lossy(&answer.body).contains("\"sleep\"") {
                break;
            }
            ensure!(began.elapsed() < PATIENCE, "task {id} does not sleep");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}
