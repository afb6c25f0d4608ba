//! Notifications as rows.

use super::SqliteStore;
use super::sql::{Arg, Columns, Sql, corrupt};
use crate::StoreError;
use crate::decision::Decision;
use crate::notification::{Notification, NotificationStatus, NotificationStore};
use mandate_types::{DecisionId, Timestamp};
use sqlx::sqlite::SqliteRow;

/// Takes [`row`]; what is planned already stays.
pub(super) const PLAN: &str = "INSERT INTO notifications (decision, number, channel, due_at, status, attempts, error, \
    delivered_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

/// Takes [`change_row`]; changes nothing unless it is still to be delivered.
pub(super) const CHANGE: &str = "UPDATE notifications SET due_at = ?3, status = ?4, attempts = ?5, error = ?6, \
    delivered_at = ?7 WHERE decision = ?1 AND number = ?2 AND status = 'planned'";

/// Takes the decision; changes nothing while it is pending.
pub(super) const DROP: &str = "UPDATE notifications SET status = 'dropped' WHERE status = 'planned' AND decision = ?1 \
    AND NOT EXISTS (SELECT 1 FROM decisions WHERE id = ?1 AND status = 'pending')";

pub(super) fn row(notification: &Notification) -> Vec<Arg> {
    vec![
        Arg::text(&notification.decision),
        Arg::Int(notification.number.into()),
        Arg::text(&notification.channel),
        notification.due_at.into(),
        Arg::text(notification.status.as_str()),
        Arg::Int(notification.attempts.into()),
        Arg::opt_text(notification.error.as_ref()),
        Arg::opt(notification.delivered_at, Arg::from),
    ]
}

pub(super) fn change_row(notification: &Notification) -> Vec<Arg> {
    vec![
        Arg::text(&notification.decision),
        Arg::Int(notification.number.into()),
        notification.due_at.into(),
        Arg::text(notification.status.as_str()),
        Arg::Int(notification.attempts.into()),
        Arg::opt_text(notification.error.as_ref()),
        Arg::opt(notification.delivered_at, Arg::from),
    ]
}

fn read(row: &SqliteRow) -> Result<Notification, StoreError> {
    let status = row.get_text("status")?;
    Ok(Notification {
        decision: row.get_id("decision")?,
        number: row.get_small("number")?,
        channel: row.get_text("channel")?,
        due_at: row.get_time("due_at")?,
        status: NotificationStatus::parse(&status)
            .ok_or_else(|| corrupt("status", format!("`{status}`")))?,
        attempts: row.get_small("attempts")?,
        error: row.get_opt_text("error")?,
        delivered_at: row.get_opt_time("delivered_at")?,
    })
}

#[async_trait::async_trait]
impl NotificationStore for SqliteStore {
    async fn notifications(&self, decision: &DecisionId) -> Result<Vec<Notification>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM notifications WHERE decision = ? ORDER BY number",
            vec![Arg::text(decision)],
        );
        sql.all(&self.readers).await?.iter().map(read).collect()
    }

    async fn notifications_due(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Notification>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM notifications WHERE status = 'planned' AND due_at <= ? ORDER BY due_at LIMIT ?",
            vec![now.into(), Arg::Int(limit.into())],
        );
        sql.all(&self.readers).await?.iter().map(read).collect()
    }

    async fn next_notification(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = Sql::new(
            "SELECT due_at FROM notifications WHERE status = 'planned' ORDER BY due_at LIMIT 1",
        );
        let row = sql.optional(&self.readers).await?;
        row.map(|row| row.get_time("due_at")).transpose()
    }

    async fn unnotified(&self, except: &str, limit: u32) -> Result<Vec<Decision>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM decisions d WHERE status = 'pending' AND tool <> ? \
             AND NOT EXISTS (SELECT 1 FROM notifications n WHERE n.decision = d.id) \
             ORDER BY requested_at LIMIT ?",
            vec![Arg::text(except), Arg::Int(limit.into())],
        );
        let rows = sql.all(&self.readers).await?;
        rows.iter().map(super::decision::read).collect()
    }
}
