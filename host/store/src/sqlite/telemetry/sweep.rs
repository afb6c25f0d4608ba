//! What is past its time goes, and the oldest when there is too much: in portions, so that others
//! may write between them.

use super::writer::Writer;
use crate::series::SeriesError;
use crate::sqlite::sql::{self, Arg, Columns as _};
use mandate_types::Timestamp;
use sqlx::sqlite::SqliteConnection;
use std::sync::PoisonError;

/// The most rows of a table that go at once.
const PORTION: i64 = 2_000;
/// Pages that are given back to the system at once.
const PAGES: &str = "PRAGMA incremental_vacuum(4096)";

/// Deletes the oldest rows before a time, and finds the time before which a portion is.
const TABLES: [(&str, &str); 3] = [
    (
        "DELETE FROM blocks WHERE id IN (SELECT id FROM blocks WHERE last < ? ORDER BY last LIMIT ?)",
        "SELECT last AS time FROM blocks ORDER BY last LIMIT 1 OFFSET ?",
    ),
    (
        "DELETE FROM logs WHERE (tenant, time, hash) IN (SELECT tenant, time, hash FROM logs WHERE time < ? ORDER BY time LIMIT ?)",
        "SELECT time FROM logs ORDER BY time LIMIT 1 OFFSET ?",
    ),
    (
        "DELETE FROM spans WHERE id IN (SELECT id FROM spans WHERE start < ? ORDER BY start LIMIT ?)",
        "SELECT start AS time FROM spans ORDER BY start LIMIT 1 OFFSET ?",
    ),
];

impl Writer {
    /// Removes a portion: how many rows went, and whether there may be more.
    pub(super) async fn sweep(&mut self, now: Timestamp) -> Result<(u64, bool), SeriesError> {
        let by_time = self.settings.retention.map(|kept| now.minus(kept).micros());
        let outcome = self.portion(by_time).await;
        let (removed, cutoff) = self.ended(outcome).await?;
        if let Some(cutoff) = cutoff {
            self.drop_points(cutoff);
        }
        if let Some(cutoff) = by_time {
            self.topology.forget_before(cutoff);
        }
        if removed > 0 {
            return Ok((removed, true));
        }
        let outcome = self.forget_series().await;
        self.ended(outcome).await?;
        Ok((removed, false))
    }

    async fn portion(&mut self, by_time: Option<i64>) -> Result<(u64, Option<i64>), sqlx::Error> {
        let too_much = used(&mut self.conn).await? > self.settings.max_bytes;
        let by_size = if too_much {
            oldest(&mut self.conn).await?
        } else {
            None
        };
        let Some(cutoff) = by_time.max(by_size) else {
            return Ok((0, None));
        };
        if by_size.is_some() && by_size > by_time {
            tracing::warn!(
                before = %Timestamp::from_micros(cutoff),
                "telemetry takes more than [telemetry] max_bytes: the oldest is removed"
            );
        }
        let conn = &mut self.conn;
        let mut removed = 0;
        sql::run(conn, "BEGIN IMMEDIATE", &[]).await?;
        for (delete, _) in TABLES {
            removed += sql::run(conn, delete, &[Arg::Int(cutoff), Arg::Int(PORTION)]).await?;
        }
        if let Some(cutoff) = by_time {
            const EDGES: &str = "DELETE FROM edges WHERE given = 0 AND seen < ?";
            sql::run(conn, EDGES, &[Arg::Int(cutoff)]).await?;
        }
        sql::run(conn, "COMMIT", &[]).await?;
        if removed > 0 {
            sql::run(conn, PAGES, &[]).await?;
        }
        Ok((removed, Some(cutoff)))
    }

    /// Takes points before `cutoff` out of memory. Their rows ahead go with the next checkpoint; a
    /// start before that reads them once more, and the next sweep finds them.
    fn drop_points(&self, cutoff: i64) {
        let mut heads = self.heads.write().unwrap_or_else(PoisonError::into_inner);
        let old: Vec<(i64, usize)> = heads
            .series
            .iter()
            .map(|(id, entry)| {
                let points = &entry.head.points;
                (*id, points.partition_point(|point| point.time < cutoff))
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        for (id, count) in old {
            heads.drop_first(id, count);
        }
    }

    /// Forgets series that have no points any more, so that they do not count.
    async fn forget_series(&mut self) -> Result<(), sqlx::Error> {
        const EMPTY: &str = "SELECT id FROM series AS s WHERE NOT EXISTS (SELECT 1 FROM blocks AS b WHERE b.series = s.id)";
        const DELETE: &str = "DELETE FROM series WHERE id IN (SELECT value FROM json_each(?))";
        let rows = sql::rows(&mut self.conn, EMPTY, &[]).await?;
        let empty: Vec<i64> = {
            let heads = self.heads.read().unwrap_or_else(PoisonError::into_inner);
            let idle = |id: &i64| {
                let entry = heads.series.get(id);
                entry.is_none_or(|entry| entry.head.points.is_empty())
            };
            rows.iter()
                .filter_map(|row| row.get_int("id").ok())
                .filter(idle)
                .collect()
        };
        if empty.is_empty() {
            return Ok(());
        }
        sql::run(&mut self.conn, DELETE, &[Arg::json(&empty)]).await?;
        let mut heads = self.heads.write().unwrap_or_else(PoisonError::into_inner);
        for id in empty {
            heads.remove(id);
        }
        Ok(())
    }
}

/// Bytes of the file that hold something.
async fn used(conn: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    const SIZE: &str = "SELECT (page_count - freelist_count) * page_size AS bytes FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    let row = sql::first(conn, SIZE, &[]).await?;
    Ok(row
        .and_then(|row| row.get_count("bytes").ok())
        .unwrap_or_default())
}

/// The time before which the oldest portion of any table is.
async fn oldest(conn: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    let mut oldest: Option<i64> = None;
    for (_, select) in TABLES {
        // A table with less than a portion goes as far as it has rows.
        for offset in [PORTION, PORTION / 16, 0] {
            let Some(row) = sql::first(conn, select, &[Arg::Int(offset)]).await? else {
                continue;
            };
            if let Ok(time) = row.get_int("time") {
                oldest = Some(oldest.map_or(time, |other| other.min(time)));
            }
            break;
        }
    }
    // The row itself goes too.
    Ok(oldest.map(|time| time.saturating_add(1)))
}
