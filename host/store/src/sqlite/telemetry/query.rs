//! Points as they are asked for: from blocks and memory, merged and summed up by series.

use super::TelemetryDb;
use super::block;
use super::heads::merge;
use crate::StoreError;
use crate::series::{Aggregation, Key, Point, PointQuery, Series, SeriesError, reduce};
use crate::sqlite::sql::{Arg, Columns as _, Sql};
use futures::TryStreamExt as _;
use futures::stream;
use mandate_types::TenantId;
use sqlx::sqlite::SqliteRow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

/// The most points of an answer.
const MOST_POINTS: usize = 100_000;
/// The most series of an answer.
const MOST_SERIES: usize = 10_000;
/// The most points that are read for an answer.
const MOST_READ: usize = 20_000_000;
/// Series that are read and summed up at once.
const PORTION: usize = 16;
/// Portions that are worked on at the same time.
const AT_ONCE: usize = 2;

fn invalid(text: String) -> SeriesError {
    SeriesError::Invalid(text)
}

/// A series that matches, with what is in memory of it.
struct Matched {
    id: i64,
    key: Key,
    head: Vec<Point>,
}

/// What has been read and answered so far.
#[derive(Default)]
struct Totals {
    read: AtomicUsize,
    answered: AtomicUsize,
}

impl Totals {
    fn read(&self, points: usize) -> Result<(), SeriesError> {
        if self.read.fetch_add(points, Ordering::Relaxed) + points > MOST_READ {
            return Err(invalid(format!(
                "this would read more than {MOST_READ} points: ask for a shorter range, or name labels so that fewer series match"
            )));
        }
        Ok(())
    }

    fn answered(&self, points: usize) -> Result<(), SeriesError> {
        if self.answered.fetch_add(points, Ordering::Relaxed) + points > MOST_POINTS {
            return Err(invalid(format!(
                "the answer would have more than {MOST_POINTS} points: ask for a longer step (with an aggregation), a shorter range, or name labels so that fewer series match"
            )));
        }
        Ok(())
    }
}

fn check(query: &PointQuery) -> Result<(), SeriesError> {
    if query.range.end <= query.range.start {
        return Err(invalid("range: expected an `end` after `start`".to_owned()));
    }
    if let Aggregation::Quantile(q) = query.aggregation
        && !(0.0..=1.0).contains(&q)
    {
        return Err(invalid(format!(
            "aggregation: expected a quantile from 0 to 1, found {q}"
        )));
    }
    Ok(())
}

impl TelemetryDb {
    pub(super) async fn read_points(
        &self,
        tenant: &TenantId,
        query: PointQuery,
    ) -> Result<Vec<Series>, SeriesError> {
        check(&query)?;
        // Memory first: what goes to blocks meanwhile is then seen twice, and not never.
        let mut matched = self.matched(tenant, &query)?;
        matched.sort_by(|a, b| a.key.cmp(&b.key));
        let mut portions = Vec::new();
        while !matched.is_empty() {
            let rest = matched.split_off(matched.len().min(PORTION));
            portions.push(std::mem::replace(&mut matched, rest));
        }
        let (query, totals) = (Arc::new(query), Arc::new(Totals::default()));
        let work = portions.into_iter().map(|portion| {
            let (query, totals) = (query.clone(), totals.clone());
            Ok(async move {
                let rows = self.blocks(&portion, &query).await?;
                let summed_up = move || sum_up(portion, &rows, &query, &totals);
                tokio::task::spawn_blocking(summed_up)
                    .await
                    .map_err(|error| {
                        StoreError::Corrupt(format!("points could not be summed up: {error}"))
                    })?
            })
        });
        let parts: Vec<Vec<Series>> = stream::iter(work)
            .try_buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(parts.into_iter().flatten().collect())
    }

    fn matched(&self, tenant: &TenantId, query: &PointQuery) -> Result<Vec<Matched>, SeriesError> {
        let (start, end) = (query.range.start.micros(), query.range.end.micros());
        let heads = self.heads.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for (id, entry) in heads.matching(tenant, &query.metric, &query.labels) {
            if all.len() == MOST_SERIES {
                return Err(invalid(format!(
                    "more than {MOST_SERIES} series of `{}` match: name more labels",
                    query.metric
                )));
            }
            let points = &entry.head.points;
            let from = points.partition_point(|point| point.time < start);
            let to = points.partition_point(|point| point.time < end);
            all.push(Matched {
                id,
                key: entry.key.clone(),
                head: points.get(from..to).unwrap_or_default().to_vec(),
            });
        }
        Ok(all)
    }

    /// The full blocks of some series that reach into the range, in the order of writing.
    async fn blocks(
        &self,
        portion: &[Matched],
        query: &PointQuery,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let mut sql = Sql::new("SELECT id, series, data FROM blocks WHERE series IN ");
        sql.list(portion.iter().map(|matched| Arg::Int(matched.id)))
            .clause(" AND last >= ?", query.range.start.into())
            .clause(" AND first < ?", query.range.end.into())
            .push(" AND open = 0 ORDER BY id");
        sql.all(&self.readers).await
    }
}

/// The series of a portion that have points.
fn sum_up(
    portion: Vec<Matched>,
    rows: &[SqliteRow],
    query: &PointQuery,
    totals: &Totals,
) -> Result<Vec<Series>, SeriesError> {
    let mut blocks: HashMap<i64, Vec<&SqliteRow>> = HashMap::new();
    for row in rows {
        blocks.entry(row.get_int("series")?).or_default().push(row);
    }
    let mut series = Vec::with_capacity(portion.len());
    for Matched { id, key, head } in portion {
        let mut points = Vec::new();
        for row in blocks.get(&id).into_iter().flatten() {
            match block::decode(&row.get_blob("data")?) {
                Ok(more) => {
                    totals.read(more.len())?;
                    join(&mut points, &more);
                }
                Err(error) => {
                    let block = row.get_int("id")?;
                    tracing::warn!(block, series = %key, %error, "a block of telemetry is damaged; its points are missing");
                }
            }
        }
        totals.read(head.len())?;
        join(&mut points, &head);
        let (start, end) = (query.range.start.micros(), query.range.end.micros());
        points.truncate(points.partition_point(|point| point.time < end));
        points.drain(..points.partition_point(|point| point.time < start));
        let points = reduce(points, query.aggregation, query.range, query.step);
        if !points.is_empty() {
            totals.answered(points.len())?;
            series.push(Series { key, points });
        }
    }
    Ok(series)
}

/// Adds what was written later.
fn join(points: &mut Vec<Point>, newer: &[Point]) {
    let in_order = match (points.last(), newer.first()) {
        (Some(last), Some(first)) => last.time < first.time,
        _ => true,
    };
    if in_order {
        points.extend_from_slice(newer);
    } else {
        *points = merge(points, newer);
    }
}
