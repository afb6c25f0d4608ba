//! What ten thousand executions cost that wait for people, and how soon one goes on when it has its answer.

use crate::host::{Host, on_one_thread};
use crate::journal::{client, patient};
use crate::memory::settled;
use crate::report::{Measure, Unit, median, once};
use crate::resume::{go_on, open_questions, waiting};
use crate::tasks::submission;
use anyhow::{Context, ensure};
use mandate_tests::Do;
use std::sync::Mutex;

const PARKED: usize = 10_000;
/// Clients that submit at the same time.
const CLIENTS: usize = 32;
/// They are parked before anything is measured: then threads, pools and caches are what they will be.
const WARM: usize = 500;
/// Of those that wait, so many are answered, one after the other.
const ANSWERED: usize = 300;

/// What one run on one host found.
#[derive(Clone)]
struct Found {
    before: f64,
    with_parked: f64,
    /// Sorted, in microseconds.
    resumed: Vec<f64>,
    /// From the request to the end of a task that asks nobody.
    anew: f64,
}

/// Bytes that the host's process has resident with ten thousand executions that wait for an answer; the floor is the
/// same process before they came, when it had parked some already.
///
/// # Errors
/// When they do not all wait.
pub fn memory() -> anyhow::Result<Measure> {
    let found = found()?;
    Ok(Measure {
        unit: Unit::Bytes,
        value: found.with_parked,
        floor: Some(found.before),
    })
}

/// The time from an answer to the end of the task that waited for it, while all others wait: the median. The floor is a
/// task that asks nobody, from its submission to its end.
///
/// # Errors
/// When an execution does not go on.
pub fn resumed() -> anyhow::Result<Measure> {
    let found = found()?;
    Ok(Measure {
        unit: Unit::Microseconds,
        value: median(found.resumed)?,
        floor: Some(found.anew),
    })
}

/// The same, of the slowest in a hundred.
///
/// # Errors
/// When an execution does not go on.
pub fn resumed_p99() -> anyhow::Result<Measure> {
    let found = found()?;
    let slow = found.resumed.get(found.resumed.len() * 99 / 100).copied();
    Ok(Measure {
        unit: Unit::Microseconds,
        value: slow.context("nothing was measured")?,
        floor: Some(found.anew),
    })
}

fn found() -> anyhow::Result<Found> {
    static FOUND: Mutex<Option<Found>> = Mutex::new(None);
    once(&FOUND, find)
}

fn find() -> anyhow::Result<Found> {
    let dir = tempfile::tempdir()?;
    let asker =
        patient("asker", "[capabilities]\nhuman = true").does([Do::Ask("Go on?".to_owned())]);
    on_one_thread(async {
        let host = Host::start(&dir, None).await?;
        let admin = client(&host);
        admin.install(asker.file()).await;
        admin.install(patient("brief", "").file()).await;
        submit(&host, WARM).await?;
        waiting(&admin, WARM).await?;
        let anew = anew(&host).await?;
        let before = settled(&host).await? as f64;
        submit(&host, PARKED).await?;
        waiting(&admin, WARM + PARKED).await?;
        let with_parked = settled(&host).await? as f64;
        let mut resumed = Vec::new();
        for question in open_questions(&admin, ANSWERED).await? {
            resumed.push(go_on(&host, &question).await?);
        }
        resumed.sort_by(f64::total_cmp);
        Ok(Found {
            before,
            with_parked,
            resumed,
            anew,
        })
    })
}

async fn submit(host: &Host, tasks: usize) -> anyhow::Result<()> {
    let request = host.request(
        "POST",
        "/api/v1/tasks",
        "",
        r#"{"kind":"asker","input":{}}"#,
    );
    let mut connections = Vec::new();
    for _ in 0..CLIENTS {
        connections.push(host.connect().await?);
    }
    let clients = connections.into_iter().enumerate().map(|(nth, mut to)| {
        let request = &request;
        async move {
            for _ in (nth..tasks).step_by(CLIENTS) {
                let answer = to.send(request).await?;
                ensure!(
                    answer.status == 202,
                    "a task was not accepted: {}",
                    answer.status
                );
            }
            Ok(())
        }
    });
    futures::future::try_join_all(clients).await.map(drop)
}

async fn anew(host: &Host) -> anyhow::Result<f64> {
    let (request, mut connection) = (submission(host, "brief"), host.connect().await?);
    let mut times = Vec::new();
    for _ in 0..100 {
        let began = std::time::Instant::now();
        let answer = connection.send(&request).await?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
        ensure!(answer.status == 200, "a task did not end");
    }
    median(times)
}
