//! Telemetry in one SQLite file: points compressed in blocks per series, lines and spans in rows,
//! one thread that writes, a few connections that read.

mod ahead;
mod block;
mod golden;
mod heads;
mod lines;
mod open;
mod plan;
mod query;
mod rows;
mod seal;
mod sweep;
mod topology;
mod writer;

use crate::series::{
    Added, Edge, Excess, LogLine, LogQuery, PointBatch, PointQuery, Series, SeriesError,
    SeriesStore, Span, SpanQuery,
};
use heads::Heads;
use mandate_types::{TenantId, Timestamp};
use sqlx::sqlite::SqlitePool;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use writer::{Answer, Job, Request, Work};

/// How many batches may wait before callers do.
const QUEUE: usize = 256;
/// How long a caller waits for a place among them.
const PATIENCE: Duration = Duration::from_secs(10);

/// Telemetry in one file below the data directory.
pub struct TelemetryDb {
    readers: SqlitePool,
    heads: Arc<RwLock<Heads>>,
    jobs: mpsc::Sender<Job>,
    retention: Option<Duration>,
}

/// Nobody writes any more: the thread is gone.
fn gone() -> SeriesError {
    crate::StoreError::Unavailable("telemetry is not written any more; the log says why".to_owned())
        .into()
}

impl TelemetryDb {
    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, SeriesError> {
        let (reply, answer) = oneshot::channel();
        match tokio::time::timeout(PATIENCE, self.jobs.send(job(reply))).await {
            Ok(Ok(())) => answer.await.map_err(|_| gone())?,
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(SeriesError::Busy),
        }
    }

    async fn write(&self, tenant: &TenantId, work: Work) -> Result<Added, SeriesError> {
        let tenant = tenant.clone();
        self.ask(|reply| {
            Job::Write(Request {
                tenant,
                work,
                reply,
            })
        })
        .await
    }

    /// The time before which nothing is kept.
    fn cutoff(&self) -> i64 {
        self.retention
            .map_or(i64::MIN, |kept| Timestamp::now().minus(kept).micros())
    }

    /// Leaves out what is older than what is kept, or says that there is such.
    fn recent<T>(
        &self,
        items: &mut Vec<T>,
        excess: Excess,
        time: impl Fn(&T) -> i64,
        added: &mut Added,
    ) -> Result<(), SeriesError> {
        let cutoff = self.cutoff();
        let Some(old) = items.iter().map(&time).find(|time| *time < cutoff) else {
            return Ok(());
        };
        let reason = format!(
            "{} is longer ago than this host keeps telemetry ({} days): set [telemetry] retention_days to more, or to 0 to keep it for ever",
            Timestamp::from_micros(old),
            self.retention.unwrap_or_default().as_secs() / 86_400
        );
        if excess == Excess::Refuse {
            return Err(SeriesError::Invalid(reason));
        }
        let before = items.len();
        items.retain(|item| time(item) >= cutoff);
        added.left_out += (before - items.len()) as u64;
        added.reason.get_or_insert(reason);
        Ok(())
    }
}

/// Two reports about the same batch as one.
fn both(mut first: Added, second: Added) -> Added {
    first.left_out += second.left_out;
    first.reason = first.reason.or(second.reason);
    first
}

#[async_trait::async_trait]
impl SeriesStore for TelemetryDb {
    async fn add_points(
        &self,
        tenant: &TenantId,
        batch: PointBatch,
        excess: Excess,
    ) -> Result<Added, SeriesError> {
        let mut added = Added::default();
        let mut batch = batch.sorted();
        for (_, points) in &mut batch {
            self.recent(points, excess, |point| point.time, &mut added)?;
        }
        batch.retain(|(_, points)| !points.is_empty());
        if batch.is_empty() {
            return Ok(added);
        }
        let work = Work::Points(batch, excess);
        Ok(both(added, self.write(tenant, work).await?))
    }

    async fn add_logs(
        &self,
        tenant: &TenantId,
        mut lines: Vec<LogLine>,
        excess: Excess,
    ) -> Result<Added, SeriesError> {
        let mut added = Added::default();
        self.recent(&mut lines, excess, |line| line.time.micros(), &mut added)?;
        if lines.is_empty() {
            return Ok(added);
        }
        Ok(both(added, self.write(tenant, Work::Logs(lines)).await?))
    }

    async fn add_spans(
        &self,
        tenant: &TenantId,
        mut spans: Vec<Span>,
        excess: Excess,
    ) -> Result<Added, SeriesError> {
        let mut added = Added::default();
        self.recent(&mut spans, excess, |span| span.start.micros(), &mut added)?;
        if spans.is_empty() {
            return Ok(added);
        }
        Ok(both(added, self.write(tenant, Work::Spans(spans)).await?))
    }

    async fn set_topology(&self, tenant: &TenantId, edges: Vec<Edge>) -> Result<(), SeriesError> {
        if edges.len() > topology::MOST_EDGES {
            return Err(SeriesError::Invalid(format!(
                "topology: expected at most {} edges, found {}",
                topology::MOST_EDGES,
                edges.len()
            )));
        }
        self.write(tenant, Work::Topology(edges)).await.map(drop)
    }

    async fn points(
        &self,
        tenant: &TenantId,
        query: PointQuery,
    ) -> Result<Vec<Series>, SeriesError> {
        self.read_points(tenant, query).await
    }

    async fn logs(&self, tenant: &TenantId, query: LogQuery) -> Result<Vec<LogLine>, SeriesError> {
        self.read_logs(tenant, query).await
    }

    async fn spans(&self, tenant: &TenantId, query: SpanQuery) -> Result<Vec<Span>, SeriesError> {
        self.read_spans(tenant, query).await
    }

    async fn topology(&self, tenant: &TenantId) -> Result<Vec<Edge>, SeriesError> {
        self.read_topology(tenant).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64, SeriesError> {
        let mut all = 0;
        loop {
            let (removed, more) = self.ask(|reply| Job::Sweep(now, reply)).await?;
            all += removed;
            if !more {
                return Ok(all);
            }
        }
    }

    async fn settle(&self) -> Result<(), SeriesError> {
        self.ask(Job::Settle).await
    }
}
