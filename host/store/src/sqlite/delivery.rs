//! Deliveries as rows.

use super::SqliteStore;
use super::sql::{Arg, Columns, Sql, corrupt};
use crate::StoreError;
use crate::delivery::{Delivery, DeliveryKey, DeliveryStatus, DeliveryStore};
use mandate_types::DeliveryId;
use sqlx::sqlite::SqliteRow;

/// Takes [`row`].
pub(super) const CREATE: &str = "INSERT INTO deliveries (id, plugin, webhook, tenant, principal, key, status, \
    attempts, body, answer, at, ended_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// Takes [`change_row`]; changes nothing unless it is still to be done.
pub(super) const CHANGE: &str = "UPDATE deliveries SET status = ?2, attempts = ?3, key = ?4, body = ?5, answer = ?6, \
    ended_at = ?7 WHERE id = ?1 AND status = 'accepted'";

pub(super) fn change_row(delivery: &Delivery) -> Vec<Arg> {
    vec![
        Arg::text(&delivery.id),
        Arg::text(delivery.status.as_str()),
        Arg::count(delivery.attempts.into()),
        Arg::opt_text(delivery.key.as_ref()),
        Arg::json(&delivery.body),
        Arg::opt(delivery.answer.as_ref(), Arg::json),
        Arg::opt(delivery.ended_at, Arg::from),
    ]
}

pub(super) fn row(delivery: &Delivery) -> Vec<Arg> {
    vec![
        Arg::text(&delivery.id),
        Arg::text(&delivery.plugin),
        Arg::text(&delivery.webhook),
        Arg::text(&delivery.tenant),
        Arg::text(&delivery.principal),
        Arg::opt_text(delivery.key.as_ref()),
        Arg::text(delivery.status.as_str()),
        Arg::count(delivery.attempts.into()),
        Arg::json(&delivery.body),
        Arg::opt(delivery.answer.as_ref(), Arg::json),
        delivery.at.into(),
        Arg::opt(delivery.ended_at, Arg::from),
    ]
}

fn read(row: &SqliteRow) -> Result<Delivery, StoreError> {
    let status = row.get_text("status")?;
    Ok(Delivery {
        id: row.get_id("id")?,
        plugin: row.get_id("plugin")?,
        webhook: row.get_text("webhook")?,
        tenant: row.get_id("tenant")?,
        principal: row.get_id("principal")?,
        key: row.get_opt_id("key")?,
        status: DeliveryStatus::parse(&status)
            .ok_or_else(|| corrupt("status", format!("`{status}`")))?,
        attempts: row.get_small("attempts")?,
        body: row.get_value("body")?,
        answer: row.get_opt_json("answer")?,
        at: row.get_time("at")?,
        ended_at: row.get_opt_time("ended_at")?,
    })
}

#[async_trait::async_trait]
impl DeliveryStore for SqliteStore {
    async fn delivery(&self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let sql = Sql::with("SELECT * FROM deliveries WHERE id = ?", vec![Arg::text(id)]);
        let found = sql.optional(&self.readers).await?;
        found.as_ref().map(read).transpose()
    }

    async fn delivered(&self, key: &DeliveryKey) -> Result<Option<Delivery>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM deliveries WHERE plugin = ? AND webhook = ? AND tenant = ? AND key = ?",
            vec![
                Arg::text(&key.plugin),
                Arg::text(&key.webhook),
                Arg::text(&key.tenant),
                Arg::text(&key.key),
            ],
        );
        let found = sql.optional(&self.readers).await?;
        found.as_ref().map(read).transpose()
    }

    async fn undelivered(&self) -> Result<Vec<Delivery>, StoreError> {
        let sql = Sql::new("SELECT * FROM deliveries WHERE status = 'accepted' ORDER BY at, id");
        sql.all(&self.readers).await?.iter().map(read).collect()
    }
}
