//! The one thread that writes telemetry. It takes all batches that wait, writes them in one
//! transaction, and answers them once that is on disk: many callers share one flush of the disk.
//! A thread of its own, because compressing takes the processor for longer than others should wait.

use super::golden::Golden;
use super::heads::Heads;
use super::plan::Plan;
use super::rows;
use super::topology::Topology;
use crate::series::{Added, Edge, Excess, Key, LogLine, Point, SeriesError, SeriesSettings, Span};
use crate::sqlite::sql::{self, Arg};
use mandate_types::{TenantId, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{mpsc, oneshot};

/// The most batches that share a transaction.
const MOST: usize = 256;
/// How many bytes of rows ahead there may be before they are written to their blocks.
const AHEAD: usize = 64 << 20;

/// Something to write.
pub(super) enum Work {
    Points(Vec<(Key, Vec<Point>)>, Excess),
    Logs(Vec<LogLine>),
    Spans(Vec<Span>),
    Topology(Vec<Edge>),
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, SeriesError>>;

/// A batch that waits.
pub(super) struct Request {
    pub(super) tenant: TenantId,
    pub(super) work: Work,
    pub(super) reply: Answer<Added>,
}

/// What the writer does.
pub(super) enum Job {
    Write(Request),
    /// Removes a portion of what is past its time: how many rows, and whether there may be more.
    Sweep(Timestamp, Answer<(u64, bool)>),
    /// Writes what is in memory to blocks.
    Settle(Answer<()>),
}

pub(super) struct Writer {
    pub(super) conn: SqliteConnection,
    pub(super) options: SqliteConnectOptions,
    pub(super) settings: SeriesSettings,
    pub(super) heads: Arc<RwLock<Heads>>,
    pub(super) topology: Topology,
    pub(super) golden: Golden,
    pub(super) numbers: Numbers,
    /// Bytes in rows ahead.
    pub(super) ahead: usize,
}

/// The last numbers that were given out; none is given out twice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    pub(super) series: i64,
    pub(super) block: i64,
    pub(super) ahead: i64,
}

impl Numbers {
    pub(super) fn next_block(&mut self) -> i64 {
        self.block += 1;
        self.block
    }
}

impl Writer {
    /// Works until nobody can send any more.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut taken = Vec::with_capacity(MOST);
        loop {
            tokio::select! {
                count = jobs.recv_many(&mut taken, MOST) => if count == 0 { break },
                () = self.golden.due() => {
                    self.derive().await;
                    continue;
                }
            }
            let mut group = Vec::with_capacity(taken.len());
            for job in taken.drain(..) {
                match job {
                    Job::Write(request) => group.push(request),
                    // A caller that no longer listens needs no answer.
                    Job::Sweep(now, reply) => drop(reply.send(self.sweep(now).await)),
                    Job::Settle(reply) => drop(reply.send(self.settle().await)),
                }
            }
            if !group.is_empty() {
                self.group(group).await;
            }
        }
        if let Err(error) = self.conn.close().await {
            tracing::warn!(%error, "the telemetry database was not closed in order; nothing is lost");
        }
    }

    pub(super) async fn group(&mut self, requests: Vec<Request>) {
        let mut replies = Vec::with_capacity(requests.len());
        let mut plan = Plan::new(self.numbers, self.settings.max_series);
        {
            let heads = self.heads.read().unwrap_or_else(PoisonError::into_inner);
            for Request {
                tenant,
                work,
                reply,
            } in requests
            {
                match plan.admit(&heads, &mut self.topology, tenant, work) {
                    Ok(added) => replies.push((reply, added)),
                    Err(error) => drop(reply.send(Err(error))),
                }
            }
        }
        let written = self.write(&mut plan).await;
        if let Err(error) = &written {
            tracing::error!(%error, batches = replies.len(), "no telemetry could be written");
        } else {
            self.apply(&mut plan);
        }
        for (reply, added) in replies {
            drop(reply.send(written.clone().map(|()| added)));
        }
        if written.is_ok()
            && let Err(error) = self.put_away(&plan).await
        {
            // All of it is in rows ahead; the next group tries again.
            tracing::warn!(%error, "full blocks could not be written yet");
        }
    }

    /// Everything of a group, in one transaction.
    async fn write(&mut self, plan: &mut Plan) -> Result<(), SeriesError> {
        if plan.is_empty() {
            return Ok(());
        }
        let outcome = self.write_rows(plan).await;
        self.ended(outcome).await
    }

    async fn write_rows(&mut self, plan: &mut Plan) -> Result<(), sqlx::Error> {
        sql::run(&mut self.conn, "BEGIN IMMEDIATE", &[]).await?;
        plan.write(&mut self.conn).await?;
        sql::run(&mut self.conn, "COMMIT", &[]).await?;
        Ok(())
    }

    /// Leaves a transaction that failed, and connects anew if the connection may be what is broken.
    pub(super) async fn ended<T>(
        &mut self,
        outcome: Result<T, sqlx::Error>,
    ) -> Result<T, SeriesError> {
        let error = match outcome {
            Ok(done) => return Ok(done),
            Err(error) => sql::store_error(error),
        };
        // It may be over already: a full disk ends it.
        if let Err(error) = sql::run(&mut self.conn, "ROLLBACK", &[]).await {
            tracing::debug!(%error, "there was no transaction to leave");
        }
        if matches!(error, crate::StoreError::Unavailable(_))
            && let Err(error) = self.recover().await
        {
            tracing::error!(%error, "the telemetry database could not be opened again");
        }
        Err(error.into())
    }

    /// Connects anew, and reads again what is known: a commit whose end was not told may have
    /// happened.
    async fn recover(&mut self) -> Result<(), crate::StoreError> {
        let mut conn = self.options.connect().await.map_err(sql::store_error)?;
        let loaded = super::open::load(&mut conn).await?;
        self.conn = conn;
        self.numbers = loaded.numbers;
        self.ahead = loaded.ahead;
        self.topology = loaded.topology;
        *self.heads.write().unwrap_or_else(PoisonError::into_inner) = loaded.heads;
        Ok(())
    }

    /// What was written, in memory.
    fn apply(&mut self, plan: &mut Plan) {
        self.numbers = plan.numbers;
        self.ahead += plan.ahead_bytes;
        self.topology.written(&mut plan.seen);
        self.golden.mark(plan.entries.drain(..));
        let mut heads = self.heads.write().unwrap_or_else(PoisonError::into_inner);
        for (id, tenant, key) in plan.new_series.drain(..) {
            heads.insert(id, tenant, key);
        }
        for (id, points) in &plan.points {
            heads.add(*id, points);
        }
    }

    /// Writes blocks that are full now, and all others when there is too much in memory or ahead.
    async fn put_away(&mut self, plan: &Plan) -> Result<(), SeriesError> {
        let touched = plan.points.iter().map(|(id, _)| *id);
        self.seal_full(touched.collect()).await?;
        let points = {
            let heads = self.heads.read().unwrap_or_else(PoisonError::into_inner);
            heads.points
        };
        if self.ahead > AHEAD || points > super::seal::MOST_POINTS {
            self.settle().await?;
        }
        Ok(())
    }

    /// Derives the golden signals of minutes that are complete.
    async fn derive(&mut self) {
        match self.golden.derive(&mut self.conn, &self.heads).await {
            Ok(derived) => {
                for (tenant, batch) in derived {
                    let (reply, _) = oneshot::channel();
                    let work = Work::Points(batch.sorted(), Excess::LeaveOut);
                    self.group(vec![Request {
                        tenant,
                        work,
                        reply,
                    }])
                    .await;
                }
            }
            Err(error) => {
                let error = sql::store_error(error);
                tracing::warn!(%error, "golden signals could not be derived from spans yet");
            }
        }
    }
}

/// Deletes the given edges of a tenant and writes others in their place.
pub(super) async fn replace_topology(
    conn: &mut SqliteConnection,
    tenant: &TenantId,
    edges: &[Edge],
) -> Result<(), sqlx::Error> {
    const DELETE: &str = "DELETE FROM edges WHERE tenant = ? AND given = 1";
    sql::run(conn, DELETE, &[Arg::text(tenant.as_str())]).await?;
    let edges: Vec<Vec<Arg>> = edges
        .iter()
        .map(|edge| rows::edge(tenant, edge, None))
        .collect();
    rows::insert(conn, rows::Table::Edges, &edges).await
}
