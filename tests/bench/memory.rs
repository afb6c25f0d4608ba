//! What a hundred running executions take.

use crate::guests;
use crate::host::{Host, on_one_thread};
use crate::report::{Measure, Unit};
use anyhow::ensure;
use std::time::{Duration, Instant};

const RUNNING: usize = 100;
/// So long without growth is the end of growing.
const STEADY: Duration = Duration::from_millis(500);
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
        let value = settled(&host).await?;
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

/// What is resident once that does not grow any more.
///
/// # Errors
/// When the system does not say.
pub async fn settled(host: &Host) -> anyhow::Result<u64> {
    let (mut most, mut since) = (host.resident()?, Instant::now());
    while since.elapsed() < STEADY {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = host.resident()?;
        if now > most {
            (most, since) = (now, Instant::now());
        }
    }
    Ok(most)
}
