//! What a group of batches comes to: which series are new, and which rows are written.

use super::ahead::{AheadRow, Portion};
use super::heads::Heads;
use super::rows::{self, Table};
use super::topology::{self, Seen, Topology};
use super::writer::{Numbers, Work, replace_topology};
use crate::series::{Added, Edge, Excess, Key, Point, SeriesError};
use crate::sqlite::sql::Arg;
use mandate_types::TenantId;
use sqlx::sqlite::SqliteConnection;
use std::collections::HashMap;

/// Rows of a group, until they are written.
pub(super) struct Plan {
    pub(super) numbers: Numbers,
    pub(super) new_series: Vec<(i64, TenantId, Key)>,
    pub(super) points: Vec<Portion>,
    pub(super) ahead_bytes: usize,
    pub(super) seen: Seen,
    /// Services that were asked something, and the minute: their golden signals changed.
    pub(super) entries: Vec<(TenantId, String, i64)>,
    new_ids: HashMap<(TenantId, Key), i64>,
    new_of: HashMap<TenantId, usize>,
    logs: Vec<Vec<Arg>>,
    spans: Vec<Vec<Arg>>,
    given: Vec<(TenantId, Vec<Edge>)>,
    max_series: usize,
}

impl Plan {
    pub(super) fn new(numbers: Numbers, max_series: usize) -> Self {
        Self {
            numbers,
            new_series: Vec::new(),
            points: Vec::new(),
            ahead_bytes: 0,
            seen: Seen::new(),
            entries: Vec::new(),
            new_ids: HashMap::new(),
            new_of: HashMap::new(),
            logs: Vec::new(),
            spans: Vec::new(),
            given: Vec::new(),
            max_series,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty()
            && self.logs.is_empty()
            && self.spans.is_empty()
            && self.given.is_empty()
    }

    /// Takes a batch in.
    pub(super) fn admit(
        &mut self,
        heads: &Heads,
        topology: &mut Topology,
        tenant: TenantId,
        work: Work,
    ) -> Result<Added, SeriesError> {
        match work {
            Work::Points(batch, excess) => return self.admit_points(heads, &tenant, batch, excess),
            Work::Logs(lines) => self
                .logs
                .extend(lines.iter().map(|line| rows::log(&tenant, line))),
            Work::Spans(spans) => {
                for (span, entry) in topology.observe(&tenant, &spans, &mut self.seen) {
                    if entry {
                        let minute = super::golden::minute(span.start);
                        let last = self.entries.last();
                        let same = last.is_some_and(|(of, service, at)| {
                            *of == tenant && *service == span.service && *at == minute
                        });
                        if !same {
                            let service = span.service.clone();
                            self.entries.push((tenant.clone(), service, minute));
                        }
                    }
                    self.spans.push(rows::span(&tenant, span, entry));
                }
            }
            Work::Topology(edges) => self.given.push((tenant, edges)),
        }
        Ok(Added::default())
    }

    fn admit_points(
        &mut self,
        heads: &Heads,
        tenant: &TenantId,
        batch: Vec<(Key, Vec<Point>)>,
        excess: Excess,
    ) -> Result<Added, SeriesError> {
        let new = self.new_of.get(tenant).copied().unwrap_or(0);
        let mut room = self
            .max_series
            .saturating_sub(heads.count(tenant).saturating_add(new));
        let most = self.max_series;
        let full = || {
            format!(
                "tenant `{tenant}` would have more than {most} series: leave out labels whose values never end (ids, addresses), or raise [telemetry] max_series"
            )
        };
        let known: Vec<Option<i64>> = batch
            .iter()
            .map(|(key, _)| {
                heads
                    .id(tenant, key)
                    .or_else(|| self.new_ids.get(&(tenant.clone(), key.clone())).copied())
            })
            .collect();
        if excess == Excess::Refuse && known.iter().filter(|id| id.is_none()).count() > room {
            return Err(SeriesError::Invalid(full()));
        }
        let mut added = Added::default();
        for ((key, points), known) in batch.into_iter().zip(known) {
            let id = match known {
                Some(id) => id,
                None if room > 0 => {
                    room -= 1;
                    self.make(tenant, key)
                }
                None => {
                    added.left_out += points.len() as u64;
                    added.reason.get_or_insert_with(full);
                    continue;
                }
            };
            self.points.push((id, points));
        }
        Ok(added)
    }

    fn make(&mut self, tenant: &TenantId, key: Key) -> i64 {
        self.numbers.series += 1;
        let id = self.numbers.series;
        self.new_ids.insert((tenant.clone(), key.clone()), id);
        *self.new_of.entry(tenant.clone()).or_default() += 1;
        self.new_series.push((id, tenant.clone(), key));
        id
    }

    /// Writes all rows, within a transaction of the caller's.
    pub(super) async fn write(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let series: Vec<Vec<Arg>> = self
            .new_series
            .iter()
            .map(|(id, tenant, key)| {
                vec![
                    Arg::Int(*id),
                    Arg::text(tenant.as_str()),
                    Arg::Blob(key.as_bytes().into()),
                ]
            })
            .collect();
        rows::insert(conn, Table::Series, &series).await?;
        let mut ahead = AheadRow::new();
        for (id, points) in &self.points {
            ahead.add(*id, points);
        }
        if !ahead.is_empty() {
            self.numbers.ahead += 1;
            self.ahead_bytes = ahead.len();
            let row = vec![
                Arg::Int(self.numbers.ahead),
                Arg::Blob(ahead.bytes().into()),
            ];
            rows::insert(conn, Table::Ahead, &[row]).await?;
        }
        rows::insert(conn, Table::Logs, &self.logs).await?;
        rows::insert(conn, Table::Spans, &self.spans).await?;
        for (tenant, edges) in &self.given {
            replace_topology(conn, tenant, edges).await?;
        }
        rows::insert(conn, Table::Edges, &topology::rows_of(&self.seen)).await
    }
}
