//! Events as rows.

use super::SqliteStore;
use super::sql::{Arg, Columns, Sql};
use crate::StoreError;
use crate::event::{Event, EventQuery, EventStore, NewEvent};
use sqlx::sqlite::SqliteRow;

pub(super) const COLUMNS: &str = "seq, time, kind, subject, task, tenant, data";

/// Without the number, which the writer puts in front.
pub(super) fn row(event: &NewEvent) -> Vec<Arg> {
    vec![
        event.time.into(),
        Arg::text(&event.kind),
        Arg::opt_text(event.subject.as_ref()),
        Arg::opt_text(event.task.as_ref()),
        Arg::text(&event.tenant),
        Arg::json(&event.data),
    ]
}

fn read(row: &SqliteRow) -> Result<Event, StoreError> {
    Ok(Event {
        seq: row.get_count("seq")?,
        time: row.get_time("time")?,
        kind: row.get_text("kind")?,
        subject: row.get_opt_id("subject")?,
        task: row.get_opt_id("task")?,
        tenant: row.get_id("tenant")?,
        data: row.get_value("data")?,
    })
}

#[async_trait::async_trait]
impl EventStore for SqliteStore {
    async fn events(&self, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
        let mut sql = Sql::with(
            "SELECT * FROM events WHERE seq > ?",
            vec![Arg::count(query.after)],
        );
        if let Some(tenants) = &query.tenants {
            sql.push(" AND tenant IN ")
                .list(tenants.iter().map(Arg::text));
        }
        if !query.kinds.is_empty() {
            sql.push(" AND kind IN ")
                .list(query.kinds.iter().map(Arg::text));
        }
        if let Some(task) = &query.task {
            sql.clause(" AND task = ?", Arg::text(task));
        }
        if let Some(subject) = &query.subject {
            sql.clause(" AND subject = ?", Arg::text(subject));
        }
        sql.push(" ORDER BY seq LIMIT ")
            .bind(Arg::Int(query.limit.into()));
        sql.all(&self.readers).await?.iter().map(read).collect()
    }

    async fn last_event(&self) -> Result<u64, StoreError> {
        let sql = Sql::new("SELECT value FROM counters WHERE name = 'event'");
        sql.optional(&self.readers)
            .await?
            .map_or(Ok(0), |row| row.get_count("value"))
    }
}
