//! How many commits a second the embedded store takes from 64 callers, each of six
//! to twelve rows as a task writes them: `cargo run --release -p mandate-store --example commit_rate`.
#![allow(clippy::unwrap_used)]

#[path = "../tests/contract/fixtures.rs"]
#[allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod fixtures;

use fixtures::*;
use mandate_store::*;
use mandate_types::*;
use std::time::{Duration, Instant};

const CALLERS: usize = 64;

/// One task from start to end in three commits, 27 writes in all.
async fn one(store: &dyn Store) -> u32 {
    let task = task();
    let execution = execution(Some(&task.id));
    let root = invocation(&execution);
    let lease = Lease {
        execution: execution.id.clone(),
        epoch: 1,
    };
    let start = vec![
        create(&task),
        happen(event("task_created")),
        Write::StartExecution(Box::new(execution.clone())),
        Write::StartInvocation(Box::new(root.clone())),
        change(&task.id, &[TaskStatus::Pending], to(TaskStatus::Running)),
        happen(event("task_execution_started")),
    ];
    let steps = |from: u64| {
        (from..from + 8)
            .map(|n| Write::Step(Box::new(step(&root.id, n, 0))))
            .chain([happen(event("task_progress"))])
            .collect::<Vec<_>>()
    };
    let ending = Ending {
        tenant: TenantId::default(),
        status: InvocationStatus::Succeeded,
        result: Some(serde_json::json!({"summary": "done"})),
        error: None,
        ended_at: at(9),
        steps: 16,
        peak_memory_bytes: 1 << 20,
        cost_micro_usd: MicroUsd(5),
    };
    let mut end = steps(9);
    end.push(Write::EndInvocation {
        id: root.id.clone(),
        ending: Box::new(ending),
    });
    end.push(change(
        &task.id,
        &[TaskStatus::Running],
        to(TaskStatus::Succeeded),
    ));
    end.push(happen(event("task_completed")));
    store.commit(None, start).await.unwrap();
    store.commit(Some(&lease), steps(1)).await.unwrap();
    store.commit(Some(&lease), end).await.unwrap();
    3
}

#[tokio::main]
async fn main() {
    let home = Home::embedded();
    let store = home.open().await;
    let warm = Instant::now();
    while warm.elapsed() < Duration::from_millis(300) {
        one(&*store).await;
    }
    let start = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut commits = 0;
                while start.elapsed() < Duration::from_secs(4) {
                    commits += one(&*store).await;
                }
                commits
            })
        })
        .collect();
    let mut commits = 0;
    for caller in callers {
        commits += caller.await.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = f64::from(commits) / seconds;
    println!(
        "{CALLERS} callers: {rate:.0} commits/s, {:.0} rows/s",
        rate * 9.0
    );

    let start = Instant::now();
    let mut alone = 0;
    while start.elapsed() < Duration::from_secs(1) {
        alone += one(&*store).await;
    }
    println!(
        "1 caller: {:.0} commits/s",
        f64::from(alone) / start.elapsed().as_secs_f64()
    );

    let task = task();
    store.commit(None, vec![create(&task)]).await.unwrap();
    let start = Instant::now();
    for _ in 0..100_000 {
        store.task(&task.id).await.unwrap();
    }
    println!(
        "reading one task again: {:.0}/s",
        100_000.0 / start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    for _ in 0..5_000 {
        store.execution(&ExecutionId::fresh()).await.unwrap();
    }
    println!(
        "reading from the database: {:.0}/s",
        5_000.0 / start.elapsed().as_secs_f64()
    );
}
