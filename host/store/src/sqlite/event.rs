//! Events as rows.

use super::SqliteStore;
use super::sql::{self, Arg, Columns, Sql};
use crate::StoreError;
use crate::event::{Event, EventQuery, EventStore, NewEvent};
use mandate_types::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

/// Events that are removed at once; commits wait behind it.
pub(super) const PORTION: u64 = 2_000;

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
        if let Some(to) = query.to {
            sql.clause(" AND seq <= ?", Arg::count(to));
        }
        if let Some(until) = query.until {
            sql.clause(" AND time <= ?", until.into());
        }
        sql.push(if query.newest_first {
            " ORDER BY seq DESC LIMIT "
        } else {
            " ORDER BY seq LIMIT "
        })
        .bind(Arg::Int(query.limit.into()));
        sql.all(&self.readers).await?.iter().map(read).collect()
    }

    async fn last_event(&self) -> Result<u64, StoreError> {
        let sql = Sql::new("SELECT value FROM counters WHERE name = 'event'");
        sql.optional(&self.readers)
            .await?
            .map_or(Ok(0), |row| row.get_count("value"))
    }

    async fn first_event(&self) -> Result<u64, StoreError> {
        let sql = Sql::new("SELECT seq FROM events ORDER BY seq LIMIT 1");
        match sql.optional(&self.readers).await? {
            Some(row) => row.get_count("seq"),
            None => Ok(self.last_event().await?.saturating_add(1)),
        }
    }
}

/// Removes a portion of the oldest events: those before `before`, and those whose number is at
/// most `most`. Only ever the oldest go, so that what is kept has no gap. Returns how many went.
pub(super) async fn forget(
    conn: &mut SqliteConnection,
    before: Timestamp,
    most: u64,
) -> Result<u64, sqlx::Error> {
    const OLDEST: &str = "SELECT seq, time FROM events ORDER BY seq LIMIT ?";
    const FORGET: &str = "DELETE FROM events WHERE seq <= ?";
    let mut last = None;
    for row in &sql::rows(conn, OLDEST, &[Arg::count(PORTION)]).await? {
        let (seq, time): (i64, i64) = (row.try_get("seq")?, row.try_get("time")?);
        let old = time < before.micros() || u64::try_from(seq).is_ok_and(|seq| seq <= most);
        if !old {
            break;
        }
        last = Some(seq);
    }
    match last {
        Some(last) => sql::run(conn, FORGET, &[Arg::Int(last)]).await,
        None => Ok(0),
    }
}
