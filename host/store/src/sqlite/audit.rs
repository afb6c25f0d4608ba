//! The audit as rows.

use super::SqliteStore;
use super::cursor;
use super::open::reading;
use super::sql::{Arg, Columns, Sql};
use crate::StoreError;
use crate::audit::{ActQuery, AuditStore, AuditedAct, NewAct, UnreadableAct};
use crate::task::Page;
use mandate_types::Digest;
use serde_json::value::RawValue;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use std::path::Path;

pub(super) const COLUMNS: &str = "seq, at, actor, act, subject, tenant, data";

/// Takes the numbers and hashes as JSON pairs.
pub(super) const SEAL: &str = "UPDATE audit SET hash = sealed.value ->> 1 \
    FROM json_each(?) AS sealed WHERE audit.seq = sealed.value ->> 0";

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 16;

/// Without the number, which the writer puts in front.
pub(super) fn row(act: &NewAct) -> Vec<Arg> {
    vec![
        act.at.into(),
        Arg::text(&act.actor),
        Arg::text(act.act),
        Arg::text(&act.subject),
        Arg::opt_text(act.tenant.as_ref()),
        Arg::json(&act.data),
    ]
}

fn read(row: &SqliteRow) -> Result<AuditedAct, StoreError> {
    let data = row.get_text("data")?;
    // Not a byte more than the JSON: the hash is over the text.
    let json = serde_json::from_str::<&RawValue>(&data);
    if !json.is_ok_and(|json| json.get().len() == data.len()) {
        return Err(super::sql::corrupt("data", "not the JSON that was written"));
    }
    Ok(AuditedAct {
        seq: row.get_count("seq")?,
        at: row.get_time("at")?,
        actor: row.get_text("actor")?,
        act: row.get_text("act")?,
        subject: row.get_text("subject")?,
        tenant: row.get_opt_text("tenant")?,
        data,
        hash: row.get_opt_id("hash")?,
    })
}

const LISTING: &str = "audit";

async fn acts(readers: &SqlitePool, query: &ActQuery) -> Result<Page<AuditedAct>, StoreError> {
    let mut sql = Sql::new("SELECT * FROM audit WHERE seq > 0");
    if let Some(tenants) = &query.tenants {
        sql.push(" AND tenant IN ")
            .list(tenants.iter().map(Arg::text));
    }
    if let Some(actor) = &query.actor {
        sql.clause(" AND actor = ?", Arg::text(actor));
    }
    if !query.acts.is_empty() {
        sql.push(" AND act IN ")
            .list(query.acts.iter().map(Arg::text));
    }
    if let Some(subject) = &query.subject {
        sql.clause(" AND subject = ?", Arg::text(subject));
    }
    if let Some(since) = query.since {
        sql.clause(" AND at >= ?", since.into());
    }
    if let Some(until) = query.until {
        sql.clause(" AND at < ?", until.into());
    }
    let (later, order) = if query.oldest_first {
        (" AND seq > ?", " ORDER BY seq LIMIT ")
    } else {
        (" AND seq < ?", " ORDER BY seq DESC LIMIT ")
    };
    if let Some(text) = &query.cursor {
        let [seq] = cursor::decode(LISTING, text)?;
        sql.clause(later, seq);
    }
    sql.push(order)
        .bind(Arg::Int(i64::from(super::page_size(query.limit)) + 1));
    let rows = sql.all(readers).await?;
    let named = |row: &SqliteRow| {
        let seq = row.get_count("seq")?;
        read(row).map_err(|error| StoreError::Corrupt(format!("act {seq} of the audit: {error}")))
    };
    super::page(&rows, query.limit, named, |act| {
        cursor::encode(LISTING, &[Arg::count(act.seq)])
    })
}

async fn acts_after(
    readers: &SqlitePool,
    after: u64,
    limit: u32,
) -> Result<Vec<Result<AuditedAct, UnreadableAct>>, StoreError> {
    let sql = Sql::with(
        "SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?",
        vec![Arg::count(after), Arg::Int(limit.into())],
    );
    let rows = sql.all(readers).await?;
    rows.iter()
        .map(|row| {
            let seq = row.get_count("seq")?;
            Ok(read(row).map_err(|error| UnreadableAct {
                seq,
                reason: error.to_string(),
            }))
        })
        .collect()
}

async fn last_sealed(readers: &SqlitePool) -> Result<Option<(u64, Digest)>, StoreError> {
    let sql =
        Sql::new("SELECT seq, hash FROM audit WHERE hash IS NOT NULL ORDER BY seq DESC LIMIT 1");
    sql.optional(readers)
        .await?
        .map(|row| Ok((row.get_count("seq")?, row.get_id("hash")?)))
        .transpose()
}

macro_rules! reads {
    ($store:ty) => {
        #[async_trait::async_trait]
        impl AuditStore for $store {
            async fn acts(&self, query: &ActQuery) -> Result<Page<AuditedAct>, StoreError> {
                acts(&self.readers, query).await
            }

            async fn acts_after(
                &self,
                after: u64,
                limit: u32,
            ) -> Result<Vec<Result<AuditedAct, UnreadableAct>>, StoreError> {
                acts_after(&self.readers, after, limit).await
            }

            async fn last_sealed(&self) -> Result<Option<(u64, Digest)>, StoreError> {
                last_sealed(&self.readers).await
            }
        }
    };
}

reads!(SqliteStore);
reads!(AuditReader);

/// The audit of a database that another process may be writing.
pub struct AuditReader {
    readers: SqlitePool,
}

impl AuditReader {
    /// Over `mandate.db` below `data_dir`; changes nothing there.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            readers: reading(&data_dir.join("mandate.db"), STATEMENTS),
        }
    }
}
