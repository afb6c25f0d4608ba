//! From memory into blocks: those that are full for good, the others as they are, to be written
//! anew with more.

use super::block::{self, FULL};
use super::heads::{Entry, Heads};
use super::rows::{self, Table};
use super::writer::{Numbers, Writer};
use crate::StoreError;
use crate::series::{Point, SeriesError};
use crate::sqlite::sql::{self, Arg};
use sqlx::sqlite::SqliteConnection;
use std::sync::PoisonError;

/// How many points there may be in memory; when there are more, blocks are closed that are not full.
pub(super) const MOST_POINTS: usize = 4 << 20;

/// What becomes of one series.
struct Sealed {
    series: i64,
    /// Points that are in closed blocks now.
    closed: usize,
    /// The block that holds the others.
    open: Option<i64>,
}

/// Blocks to be written, and what they replace.
struct Sealing {
    numbers: Numbers,
    rows: Vec<Vec<Arg>>,
    replaced: Vec<i64>,
    sealed: Vec<Sealed>,
}

impl Sealing {
    fn new(numbers: Numbers) -> Self {
        Self {
            numbers,
            rows: Vec::new(),
            replaced: Vec::new(),
            sealed: Vec::new(),
        }
    }

    /// All points of a series: full blocks are closed, and the rest too if there is no room for it.
    fn add(&mut self, series: i64, entry: &Entry, close: bool) -> Result<(), SeriesError> {
        let points = &entry.head.points;
        self.replaced.extend(entry.head.open);
        let full = points.len() - points.len() % FULL;
        let (closed, rest) = points.split_at_checked(full).unwrap_or((points, &[]));
        for chunk in closed.chunks(FULL) {
            self.block(series, chunk, false)?;
        }
        let mut sealed = Sealed {
            series,
            closed: closed.len(),
            open: None,
        };
        if !rest.is_empty() {
            let number = self.block(series, rest, !close)?;
            if close {
                sealed.closed = points.len();
            } else {
                sealed.open = Some(number);
            }
        }
        self.sealed.push(sealed);
        Ok(())
    }

    fn block(&mut self, series: i64, points: &[Point], open: bool) -> Result<i64, SeriesError> {
        let number = self.numbers.next_block();
        let data = block::encode(points)
            .map_err(|error| StoreError::Unavailable(format!("points do not compress: {error}")))?;
        let time = |point: Option<&Point>| Arg::Int(point.map_or(0, |point| point.time));
        self.rows.push(vec![
            Arg::Int(number),
            Arg::Int(series),
            time(points.first()),
            time(points.last()),
            Arg::count(points.len() as u64),
            Arg::bool(open),
            Arg::Int(self.numbers.ahead),
            Arg::Blob(data.into()),
        ]);
        Ok(number)
    }

    async fn write(&self, conn: &mut SqliteConnection, all: bool) -> Result<(), sqlx::Error> {
        const REPLACED: &str = "DELETE FROM blocks WHERE id IN (SELECT value FROM json_each(?))";
        sql::run(conn, "BEGIN IMMEDIATE", &[]).await?;
        if !self.replaced.is_empty() {
            sql::run(conn, REPLACED, &[Arg::json(&self.replaced)]).await?;
        }
        rows::insert(conn, Table::Blocks, &self.rows).await?;
        if all {
            sql::run(conn, "DELETE FROM ahead", &[]).await?;
            let block = Arg::Int(self.numbers.block);
            sql::run(conn, "UPDATE checkpoint SET block = ?", &[block]).await?;
        }
        sql::run(conn, "COMMIT", &[]).await?;
        Ok(())
    }

    fn apply(self, heads: &mut Heads) {
        for sealed in self.sealed {
            heads.drop_first(sealed.series, sealed.closed);
            if let Some(entry) = heads.series.get_mut(&sealed.series) {
                entry.head.open = sealed.open;
                entry.head.dirty = false;
            }
        }
    }
}

impl Writer {
    /// Writes those of these series that fill a block. All points of such a series are in blocks
    /// then, so that its rows ahead need not be read at the next start.
    pub(super) async fn seal_full(&mut self, mut series: Vec<i64>) -> Result<(), SeriesError> {
        series.sort_unstable();
        series.dedup();
        let mut sealing = Sealing::new(self.numbers);
        {
            let heads = self.heads.read().unwrap_or_else(PoisonError::into_inner);
            for id in series {
                if let Some(entry) = heads.series.get(&id)
                    && entry.head.points.len() >= FULL
                {
                    sealing.add(id, entry, false)?;
                }
            }
        }
        if sealing.rows.is_empty() {
            return Ok(());
        }
        self.finish(sealing, false).await
    }

    /// Writes everything that is in memory, so that no row ahead is needed any more.
    pub(super) async fn settle(&mut self) -> Result<(), SeriesError> {
        let mut sealing = Sealing::new(self.numbers);
        {
            let heads = self.heads.read().unwrap_or_else(PoisonError::into_inner);
            let close = heads.points > MOST_POINTS;
            for (id, entry) in &heads.series {
                if entry.head.dirty || (close && !entry.head.points.is_empty()) {
                    sealing.add(*id, entry, close)?;
                }
            }
        }
        self.finish(sealing, true).await
    }

    async fn finish(&mut self, sealing: Sealing, all: bool) -> Result<(), SeriesError> {
        let written = sealing.write(&mut self.conn, all).await;
        self.ended(written).await?;
        self.numbers = sealing.numbers;
        if all {
            self.ahead = 0;
        }
        let mut heads = self.heads.write().unwrap_or_else(PoisonError::into_inner);
        sealing.apply(&mut heads);
        Ok(())
    }
}
