//! Parked executions as rows: who waits for what, and who goes on.

use super::sql::{self, Arg, Columns};
use crate::decision::{Wait, WaitKey, Woken};
use crate::{CommitError, StoreError};
use mandate_types::{ExecutionId, TaskId, Timestamp};
use sqlx::sqlite::{SqliteConnection, SqliteRow};

/// Parks an execution, unless what it waits for is there.
pub(super) async fn park(
    conn: &mut SqliteConnection,
    execution: &ExecutionId,
    task: Option<&TaskId>,
    waits: &[Wait],
    at: Timestamp,
) -> Result<(), super::apply::Refused> {
    const PENDING: &str = "SELECT 1 FROM decisions WHERE id = ? AND status = 'pending'";
    const OPEN: &str = "SELECT 1 FROM questions WHERE id = ? AND status = 'open'";
    const WAIT: &str = "INSERT OR REPLACE INTO waits (execution, key, task, wake_at, since) VALUES (?, ?, ?, ?, ?)";
    for wait in waits {
        let waits = match &wait.key {
            WaitKey::Decision(id) => sql::first(conn, PENDING, &[Arg::text(id)]).await?.is_some(),
            WaitKey::Question(id) => sql::first(conn, OPEN, &[Arg::text(id)]).await?.is_some(),
            WaitKey::Sleep(..) => true,
        };
        if !waits {
            let key = &wait.key;
            return Err(CommitError::Conflict(format!("{key} is answered already")).into());
        }
        let args = [
            Arg::text(execution),
            Arg::text(wait.key.to_string()),
            Arg::opt_text(task),
            Arg::opt(wait.wake_at, Arg::from),
            at.into(),
        ];
        sql::run(conn, WAIT, &args).await?;
    }
    Ok(())
}

/// Lets everything go on that waits for `key`.
pub(super) async fn wake(
    conn: &mut SqliteConnection,
    key: &str,
    at: Timestamp,
) -> Result<Vec<Woken>, super::apply::Refused> {
    const WAITING: &str = "SELECT execution, task FROM waits WHERE key = ?";
    const FORGET: &str = "DELETE FROM waits WHERE execution = ?";
    const RUN: &str = "UPDATE tasks SET status = 'running', waiting_for = NULL, updated_at = ? \
        WHERE id = ? AND status = 'waiting' AND execution = ?";
    let rows = sql::rows(conn, WAITING, &[Arg::text(key)]).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let woken = woken(&row)?;
        // All of them: it asks again for what is still missing.
        sql::run(conn, FORGET, &[Arg::text(&woken.execution)]).await?;
        if let Some(task) = &woken.task {
            let args = [at.into(), Arg::text(task), Arg::text(&woken.execution)];
            sql::run(conn, RUN, &args).await?;
        }
        all.push(woken);
    }
    Ok(all)
}

pub(super) fn woken(row: &SqliteRow) -> Result<Woken, StoreError> {
    Ok(Woken {
        execution: row.get_id("execution")?,
        task: row.get_opt_id("task")?,
    })
}

/// Takes back what an execution that ends still asks.
pub(super) async fn withdraw(
    conn: &mut SqliteConnection,
    execution: &ExecutionId,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    const DECISIONS: &str = "UPDATE decisions SET status = 'withdrawn', resolved_at = coalesce(resolved_at, ?2), \
        ended_at = ?2 WHERE execution = ?1 AND status IN ('pending', 'approved')";
    const QUESTIONS: &str = "UPDATE questions SET status = 'withdrawn', answered_at = ?2 WHERE execution = ?1 AND status = 'open'";
    // What had begun and did not end: nobody knows what it cost.
    const BEGUN: &str = "UPDATE decisions SET status = 'failed', ended_at = ?2 WHERE execution = ?1 AND status = 'executing'";
    const BOOKED: &str = "UPDATE ledger SET settled = reserved, uncertain = 1, ended_at = ?2 \
        WHERE execution = ?1 AND ended_at IS NULL";
    const INVOCATIONS: &str = "UPDATE invocations SET status = 'cancelled', ended_at = ?2 WHERE execution = ?1 AND ended_at IS NULL";
    const WAITS: &str = "DELETE FROM waits WHERE execution = ?1";
    let execution = Arg::text(execution);
    let args = [execution.clone(), at.into()];
    sql::run(conn, DECISIONS, &args).await?;
    sql::run(conn, QUESTIONS, &args).await?;
    sql::run(conn, BEGUN, &args).await?;
    sql::run(conn, BOOKED, &args).await?;
    sql::run(conn, INVOCATIONS, &args).await?;
    sql::run(conn, WAITS, &[execution]).await?;
    Ok(())
}
