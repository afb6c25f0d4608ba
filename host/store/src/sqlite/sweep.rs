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
/// How long the journals of tools that clients called themselves are kept; those of tasks are
/// kept as long as the task.
const CALLS_FOR: Duration = Duration::from_hours(24);
/// Such calls of one portion.
const CALLS: u64 = 500;
/// Tasks of one portion; each may have thousands of steps.
const TASKS: usize = 50;
/// Deliveries of one portion.
const DELIVERIES: u64 = 2_000;
/// Log lines of one portion.
const LINES: u64 = 2_000;

/// Removes a portion: how many tasks went, and whether there may be more to remove.
pub(super) async fn portion(
    conn: &mut SqliteConnection,
    now: Timestamp,
) -> Result<(u64, bool), sqlx::Error> {
    const EXPIRED: &str = "SELECT id FROM tasks WHERE expires_at <= ? \
        AND status IN ('succeeded', 'failed', 'cancelled') ORDER BY expires_at LIMIT ?";
    const LOGS: &str = "DELETE FROM logs WHERE task = ?";
    const TASK: &str = "DELETE FROM tasks WHERE id = ?";
    const OLD_KEYS: &str = "DELETE FROM idempotency_keys WHERE at < ?";
    const OLD_DELIVERIES: &str = "DELETE FROM deliveries WHERE id IN \
        (SELECT id FROM deliveries WHERE at < ? AND status <> 'accepted' ORDER BY at LIMIT ?)";
    const OLD_LOGS: &str = "DELETE FROM logs WHERE number IN \
        (SELECT number FROM logs WHERE at < ? ORDER BY at LIMIT ?)";
    const OLD_CALLS: &str = "DELETE FROM executions WHERE id IN \
        (SELECT id FROM executions WHERE task IS NULL AND started_at < ? ORDER BY started_at LIMIT ?)";
    sql::run(conn, "BEGIN IMMEDIATE", &[]).await?;
    let most = Arg::Int(i64::try_from(TASKS).unwrap_or(i64::MAX));
    let expired = sql::rows(conn, EXPIRED, &[now.into(), most]).await?;
    let mut tasks = 0;
    for row in &expired {
        let id = [Arg::text(row.try_get::<&str, _>("id")?)];
        sql::run(conn, LOGS, &id).await?;
        tasks += sql::run(conn, TASK, &id).await?;
    }
    sql::run(conn, OLD_KEYS, &[now.minus(KEYS_FOR).into()]).await?;
    let old = [
        now.minus(DELIVERIES_FOR).into(),
        Arg::count(DELIVERIES),
    ];
    let deliveries = sql::run(conn, OLD_DELIVERIES, &old).await?;
    let lines = sql::run(
        conn,
        OLD_LOGS,
        &[now.minus(LOGS_FOR).into(), Arg::count(LINES)],
    )
    .await?;
    let old = [now.minus(CALLS_FOR).into(), Arg::count(CALLS)];
    let calls = sql::run(conn, OLD_CALLS, &old).await?;
    sql::run(conn, "COMMIT", &[]).await?;
    let more = expired.len() == TASKS || lines == LINES || calls == CALLS || deliveries == DELIVERIES;
    Ok((tasks, more))
}
