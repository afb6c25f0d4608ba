//! Removes what is past its time, in portions, so that commits never wait long behind it.

use super::sql::{self, Arg};
use mandate_types::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;
use std::time::Duration;

/// How long idempotency keys are kept.
const KEYS_FOR: Duration = Duration::from_hours(24);
/// How long deliveries are remembered once they ended.
const DELIVERIES_FOR: Duration = Duration::from_hours(24);
/// How long log lines are kept.
const LOGS_FOR: Duration = Duration::from_hours(7 * 24);
/// How long the journals of tools that clients called themselves are kept.
const CALLS_FOR: Duration = Duration::from_hours(24);
/// Executions of one portion.
const CALLS: usize = 500;
/// Tasks of one portion.
const TASKS: usize = 50;
/// Steps and log lines of those tasks and calls in one portion: one task may have a million.
const ROWS: u64 = 5_000;
/// Deliveries of one portion.
const DELIVERIES: u64 = 2_000;
/// Log lines of one portion.
const LINES: u64 = 2_000;

const STEPS_OF: &str = "DELETE FROM steps WHERE rowid IN \
    (SELECT s.rowid FROM invocations i JOIN steps s ON s.invocation = i.id WHERE i.execution = ? LIMIT ?)";
const EXECUTION: &str = "DELETE FROM executions WHERE id = ?";

/// Removes a portion of the journals of tasks that ended before `before`, and of executions that began before and were
/// continued by another: how many executions went, and whether there may be more.
pub(super) async fn journals(
    conn: &mut SqliteConnection,
    before: Timestamp,
) -> Result<(u64, bool), sqlx::Error> {
    const OLD: &str = "SELECT e.id FROM executions e JOIN tasks t ON t.id = e.task \
        WHERE e.task IS NOT NULL AND e.started_at < ?1 AND (t.status IN ('succeeded', 'failed', 'cancelled') \
        AND coalesce(t.completed_at, t.updated_at) < ?1 OR t.continuation IS NOT NULL AND t.execution <> e.id) ORDER BY e.started_at LIMIT ?2";
    sql::run(conn, "BEGIN IMMEDIATE", &[]).await?;
    let old = (OLD, before.into(), CALLS);
    let gone = with_rows_below(conn, old, &[STEPS_OF], EXECUTION, &mut { ROWS }).await?;
    sql::run(conn, "COMMIT", &[]).await?;
    Ok(gone)
}

/// Removes a portion: how many tasks went, and whether there may be more to remove.
pub(super) async fn portion(
    conn: &mut SqliteConnection,
    now: Timestamp,
) -> Result<(u64, bool), sqlx::Error> {
    const EXPIRED: &str = "SELECT id FROM tasks WHERE expires_at <= ? \
        AND status IN ('succeeded', 'failed', 'cancelled') ORDER BY expires_at LIMIT ?";
    const STEPS_OF_TASK: &str = "DELETE FROM steps WHERE rowid IN \
        (SELECT s.rowid FROM executions e JOIN invocations i ON i.execution = e.id \
         JOIN steps s ON s.invocation = i.id WHERE e.task = ? LIMIT ?)";
    const LOGS_OF_TASK: &str = "DELETE FROM logs WHERE number IN \
        (SELECT number FROM logs WHERE task = ? LIMIT ?)";
    const TASK: &str = "DELETE FROM tasks WHERE id = ?";
    const OLD_KEYS: &str = "DELETE FROM idempotency_keys WHERE at < ?";
    const OLD_DELIVERIES: &str = "DELETE FROM deliveries WHERE id IN \
        (SELECT id FROM deliveries WHERE at < ? AND status <> 'accepted' ORDER BY at LIMIT ?)";
    const OLD_LOGS: &str = "DELETE FROM logs WHERE number IN \
        (SELECT number FROM logs WHERE at < ? ORDER BY at LIMIT ?)";
    const OLD_CALLS: &str = "SELECT id FROM executions WHERE task IS NULL AND started_at < ? \
        ORDER BY started_at LIMIT ?";
    sql::run(conn, "BEGIN IMMEDIATE", &[]).await?;
    let mut rows = ROWS;
    let (expired, calls_for) = (now.into(), now.minus(CALLS_FOR).into());
    let below = [STEPS_OF_TASK, LOGS_OF_TASK];
    let (tasks, more_tasks) =
        with_rows_below(conn, (EXPIRED, expired, TASKS), &below, TASK, &mut rows).await?;
    let calls = (OLD_CALLS, calls_for, CALLS);
    let (_, more_calls) = with_rows_below(conn, calls, &[STEPS_OF], EXECUTION, &mut rows).await?;
    sql::run(conn, OLD_KEYS, &[now.minus(KEYS_FOR).into()]).await?;
    let old = [now.minus(DELIVERIES_FOR).into(), Arg::count(DELIVERIES)];
    let deliveries = sql::run(conn, OLD_DELIVERIES, &old).await?;
    let lines = sql::run(
        conn,
        OLD_LOGS,
        &[now.minus(LOGS_FOR).into(), Arg::count(LINES)],
    )
    .await?;
    sql::run(conn, "COMMIT", &[]).await?;
    let more = more_tasks || more_calls || lines == LINES || deliveries == DELIVERIES;
    Ok((tasks, more))
}

/// Removes what `which` finds, at most so many, each after the rows below it, of which at most
/// `rows` go. How many went, and whether there may be more.
async fn with_rows_below(
    conn: &mut SqliteConnection,
    (which, before, most): (&'static str, Arg, usize),
    below: &[&'static str],
    remove: &'static str,
    rows: &mut u64,
) -> Result<(u64, bool), sqlx::Error> {
    let limit = Arg::count(u64::try_from(most).unwrap_or(u64::MAX));
    let found = sql::rows(conn, which, &[before, limit]).await?;
    let mut removed = 0;
    for row in &found {
        let id = row.try_get::<&str, _>("id")?;
        for rows_of in below {
            let gone = sql::run(conn, rows_of, &[Arg::text(id), Arg::count(*rows)]).await?;
            *rows = rows.saturating_sub(gone);
            if *rows == 0 {
                // The rest, and what it belongs to, goes with the next portion.
                return Ok((removed, true));
            }
        }
        removed += sql::run(conn, remove, &[Arg::text(id)]).await?;
    }
    Ok((removed, found.len() == most))
}
