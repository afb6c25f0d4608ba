//! The one task that writes. It takes all commits that wait, applies them in one transaction of
//! the database, and answers them once that is on disk: many callers share one flush of the disk.

use super::apply::{Batch, Came, Known, Refused};
use super::bulk::{Bulk, Texts};
use super::cache::TaskCache;
use super::op::Op;
use super::sql::{self, Arg, Columns};
use crate::commit::{Committed, Lease};
use crate::event::NewEvent;
use crate::{CommitError, Event, StoreError};
use mandate_types::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// The most commits that share a transaction.
const MOST: usize = 256;

/// A commit that waits for the writer.
pub(super) struct Request {
    pub(super) lease: Option<Lease>,
    pub(super) ops: Vec<Op>,
    pub(super) reply: oneshot::Sender<Result<Committed, CommitError>>,
}

/// What the writer does.
pub(super) enum Job {
    Commit(Request),
    /// Tries a write.
    Check(oneshot::Sender<Result<(), StoreError>>),
    /// Removes a portion of what is past its time: how many tasks, and whether there may be more.
    Sweep(Timestamp, oneshot::Sender<Result<(u64, bool), StoreError>>),
    /// Removes a portion of the journals of tasks that ended before: how many executions, and whether there may be more.
    ForgetJournals {
        before: Timestamp,
        reply: oneshot::Sender<Result<(u64, bool), StoreError>>,
    },
    /// Removes a portion of the oldest events: how many.
    Forget {
        before: Timestamp,
        up_to: u64,
        reply: oneshot::Sender<Result<u64, StoreError>>,
    },
}

/// Why a batch was not written.
enum Failure {
    /// At least one commit may not happen: each is tried apart.
    Apart,
    /// None can happen now.
    All(StoreError),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Database(error) => error.into(),
            Refused::Commit(_) => Self::Apart,
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if sql::concerns_all(&error) {
            Self::All(sql::store_error(error))
        } else {
            Self::Apart
        }
    }
}

pub(super) struct Writer {
    pub(super) conn: SqliteConnection,
    pub(super) options: SqliteConnectOptions,
    pub(super) known: Known,
    pub(super) texts: Texts,
    pub(super) tasks: Arc<TaskCache>,
    pub(super) events: broadcast::Sender<Arc<Event>>,
    pub(super) last_act: watch::Sender<u64>,
    /// Held as long as the connection.
    pub(super) lock: File,
}

impl Writer {
    /// Reads what it must know.
    pub(super) async fn load(conn: &mut SqliteConnection) -> Result<Known, StoreError> {
        async fn read(
            conn: &mut SqliteConnection,
            text: &'static str,
        ) -> Result<Vec<sqlx::sqlite::SqliteRow>, StoreError> {
            sql::rows(conn, text, &[]).await.map_err(sql::store_error)
        }
        let mut known = Known::default();
        for row in read(conn, "SELECT name, value FROM counters").await? {
            let value = row.get_count("value")?;
            match row.get_text("name")?.as_str() {
                "event" => known.last_event = value,
                "act" => known.last_act = value,
                _ => {}
            }
        }
        // Numbers are never given twice, whatever was done to the counter.
        for row in read(conn, "SELECT coalesce(max(seq), 0) AS last FROM audit").await? {
            known.last_act = known.last_act.max(row.get_count("last")?);
        }
        let mut collections = HashMap::new();
        for row in read(conn, "SELECT name, declaration FROM collections").await? {
            collections.insert(
                row.get_text("name")?,
                Arc::new(row.get_json("declaration")?),
            );
        }
        known.collections = Arc::new(collections);
        let tenants = read(conn, "SELECT tenant FROM tenants").await?;
        known.tenants = Arc::new(
            tenants
                .iter()
                .map(|row| row.get_id("tenant"))
                .collect::<Result<_, _>>()?,
        );
        known.halts = Arc::new(super::halt::load(conn).await?);
        Ok(known)
    }

    /// Works until nobody can send any more.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut taken = Vec::with_capacity(MOST);
        while jobs.recv_many(&mut taken, MOST).await > 0 {
            let mut group = Vec::with_capacity(taken.len());
            for job in taken.drain(..) {
                match job {
                    Job::Commit(request) => group.push(request),
                    // A caller that no longer listens needs no answer.
                    Job::Check(reply) => drop(reply.send(self.check().await)),
                    Job::Sweep(now, reply) => drop(reply.send(self.sweep(now).await)),
                    Job::ForgetJournals { before, reply } => {
                        let gone = super::sweep::journals(&mut self.conn, before).await;
                        if gone.is_err() {
                            self.undo().await;
                        }
                        drop(reply.send(gone.map_err(sql::store_error)));
                    }
                    Job::Forget {
                        before,
                        up_to,
                        reply,
                    } => {
                        let gone = super::event::forget(&mut self.conn, before, up_to).await;
                        drop(reply.send(gone.map_err(sql::store_error)));
                    }
                }
            }
            if !group.is_empty() {
                self.group(group).await;
            }
        }
        if let Err(error) = self.conn.close().await {
            tracing::warn!(%error, "the database was not closed in order; nothing is lost");
        }
        drop(self.lock);
    }

    async fn group(&mut self, requests: Vec<Request>) {
        let outcome = match self.together(&requests).await {
            Ok((known, came)) => Ok((known, came.into_iter().map(Ok).collect())),
            Err(failure) => {
                self.undo().await;
                match failure {
                    Failure::All(error) => Err(error),
                    Failure::Apart => self.apart(&requests).await,
                }
            }
        };
        match outcome {
            Ok((known, results)) => self.answer(known, requests, results),
            Err(error) => {
                tracing::error!(%error, commits = requests.len(), "nothing could be written");
                self.recover(&error).await;
                for request in requests {
                    drop(request.reply.send(Err(error.clone().into())));
                }
            }
        }
    }

    /// Publishes the events, then answers the callers.
    fn answer(
        &mut self,
        known: Known,
        requests: Vec<Request>,
        results: Vec<Result<Came, CommitError>>,
    ) {
        let mut seq = self.known.last_event;
        self.known = known;
        let last_act = self.known.last_act;
        self.last_act
            .send_if_modified(|last| std::mem::replace(last, last_act) != last_act);
        // Before anybody can know of the change.
        for op in requests.iter().flat_map(|request| &request.ops) {
            if let Op::ChangeTask { id, .. } | Op::DeleteTask(id) = op {
                self.tasks.forget(id);
            }
        }
        for woken in results.iter().flatten().flat_map(|came| &came.woken) {
            if let Some(task) = &woken.task {
                self.tasks.forget(task);
            }
        }
        for (request, result) in requests.into_iter().zip(results) {
            let answer = result.map(|came| {
                let mut events = Vec::new();
                let mut tell = |new: NewEvent| {
                    seq += 1;
                    let event = Arc::new(Event {
                        seq,
                        time: new.time,
                        kind: new.kind,
                        subject: new.subject,
                        task: new.task,
                        tenant: new.tenant,
                        data: new.data,
                    });
                    // Nobody may be listening.
                    let _ = self.events.send(Arc::clone(&event));
                    events.push(event);
                };
                let mut raised = came.raised.into_iter().peekable();
                for (place, op) in request.ops.into_iter().enumerate() {
                    if let Op::Event { event, .. } = op {
                        tell(event);
                    }
                    while let Some(due) = raised.next_if(|due| due.after == place) {
                        tracing::warn!(data = %due.event.data, "{}", due.event.kind);
                        tell(due.event);
                    }
                }
                Committed {
                    events,
                    woken: came.woken,
                }
            });
            drop(request.reply.send(answer));
        }
    }

    fn batch<'a>(&mut self, careful: bool) -> Batch<'a, '_> {
        Batch {
            conn: &mut self.conn,
            texts: &mut self.texts,
            known: self.known.clone(),
            bulk: Bulk::default(),
            epochs: HashMap::new(),
            came: Came::default(),
            place: 0,
            careful,
        }
    }

    /// The quick way: all in one go, rows of a kind together. Fails as a whole.
    async fn together(&mut self, requests: &[Request]) -> Result<(Known, Vec<Came>), Failure> {
        sql::run(&mut self.conn, "BEGIN IMMEDIATE", &[]).await?;
        let mut batch = self.batch(false);
        batch
            .read_epochs(requests.iter().filter_map(|r| r.lease.as_ref()))
            .await?;
        let mut came = Vec::with_capacity(requests.len());
        for request in requests {
            batch.commit(request.lease.as_ref(), &request.ops).await?;
            came.push(std::mem::take(&mut batch.came));
        }
        batch.flush().await?;
        let known = batch.known;
        self.end(&known).await?;
        Ok((known, came))
    }

    /// The careful way: each commit on its own savepoint, so that it fails alone.
    async fn apart(
        &mut self,
        requests: &[Request],
    ) -> Result<(Known, Vec<Result<Came, CommitError>>), StoreError> {
        let outcome = self.each(requests).await.map_err(sql::store_error);
        if outcome.is_err() {
            self.undo().await;
        }
        outcome
    }

    async fn each(
        &mut self,
        requests: &[Request],
    ) -> Result<(Known, Vec<Result<Came, CommitError>>), sqlx::Error> {
        sql::run(&mut self.conn, "BEGIN IMMEDIATE", &[]).await?;
        let mut batch = self.batch(true);
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            let known = batch.known.clone();
            sql::run(batch.conn, "SAVEPOINT one", &[]).await?;
            let refused = match batch.commit(request.lease.as_ref(), &request.ops).await {
                Ok(()) => None,
                Err(Refused::Database(error)) if sql::concerns_all(&error) => return Err(error),
                Err(Refused::Database(error)) => Some(sql::store_error(error).into()),
                Err(Refused::Commit(error)) => Some(error),
            };
            if refused.is_some() {
                sql::run(batch.conn, "ROLLBACK TO one", &[]).await?;
                batch.known = known;
                batch.bulk.clear();
                batch.epochs.clear();
            }
            sql::run(batch.conn, "RELEASE one", &[]).await?;
            let came = std::mem::take(&mut batch.came);
            results.push(refused.map_or(Ok(came), Err));
        }
        let known = batch.known;
        self.end(&known).await?;
        Ok((known, results))
    }

    async fn end(&mut self, known: &Known) -> Result<(), sqlx::Error> {
        const COUNT: &str = "UPDATE counters SET value = ? WHERE name = ?";
        for (name, before, now) in [
            ("event", self.known.last_event, known.last_event),
            ("act", self.known.last_act, known.last_act),
        ] {
            if now != before {
                sql::run(&mut self.conn, COUNT, &[Arg::count(now), Arg::text(name)]).await?;
            }
        }
        sql::run(&mut self.conn, "COMMIT", &[]).await?;
        Ok(())
    }

    /// Leaves the transaction. It may be over already: a full disk ends it.
    async fn undo(&mut self) {
        if let Err(error) = sql::run(&mut self.conn, "ROLLBACK", &[]).await {
            tracing::debug!(%error, "there was no transaction to leave");
        }
    }

    /// Connects anew if the connection may be what is broken, and reads again what it knows: a
    /// commit whose end was not told may have happened.
    async fn recover(&mut self, error: &StoreError) {
        if !matches!(error, StoreError::Unavailable(_)) {
            return;
        }
        match self.connect().await {
            Ok((conn, known)) => (self.conn, self.known) = (conn, known),
            Err(error) => tracing::error!(%error, "the database could not be opened again"),
        }
    }

    async fn connect(&self) -> Result<(SqliteConnection, Known), StoreError> {
        let mut conn = self.options.connect().await.map_err(sql::store_error)?;
        let known = Self::load(&mut conn).await?;
        Ok((conn, known))
    }

    async fn check(&mut self) -> Result<(), StoreError> {
        let outcome = self.probe().await.map_err(sql::store_error);
        if let Err(error) = &outcome {
            self.undo().await;
            self.recover(error).await;
        }
        outcome
    }

    /// Takes new pages, so that a full disk is noticed, and leaves nothing behind.
    async fn probe(&mut self) -> Result<(), sqlx::Error> {
        for text in [
            "BEGIN IMMEDIATE",
            "INSERT INTO probe (id, filler) VALUES (2, zeroblob(16384))",
            "DELETE FROM probe WHERE id = 2",
            "UPDATE probe SET filler = randomblob(8192) WHERE id = 1",
            "COMMIT",
        ] {
            sql::run(&mut self.conn, text, &[]).await?;
        }
        Ok(())
    }

    async fn sweep(&mut self, now: Timestamp) -> Result<(u64, bool), StoreError> {
        let outcome = super::sweep::portion(&mut self.conn, now)
            .await
            .map_err(sql::store_error);
        match outcome {
            Ok((0, _)) => {}
            Ok(_) => self.tasks.forget_all(),
            Err(_) => self.undo().await,
        }
        outcome
    }
}
