//! Handing writes to the writer, and waiting for its answer.

use super::SqliteStore;
use super::event::PORTION;
use super::op::{Op, prepare};
use super::sql::{Columns, Sql};
use super::vault;
use super::writer::{Job, Request};
use crate::commit::{Commit, Committed, Lease, Write};
use crate::{CommitError, Event, EventStore as _, StoreError};
use mandate_types::{TenantId, Timestamp};
use std::sync::Arc;
use tokio::sync::{broadcast, oneshot, watch};

fn ended() -> StoreError {
    StoreError::Unavailable("the writer has ended: the host must be started again".to_owned())
}

impl SqliteStore {
    async fn ask<T>(&self, job: Job, reply: oneshot::Receiver<T>) -> Result<T, StoreError> {
        self.jobs.send(job).await.map_err(|_| ended())?;
        reply.await.map_err(|_| ended())
    }

    /// Has the writer do it, and waits until that is on disk.
    pub(super) async fn hand_over(
        &self,
        lease: Option<&Lease>,
        ops: Vec<Op>,
    ) -> Result<Committed, CommitError> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            lease: lease.cloned(),
            ops,
            reply,
        };
        self.ask(Job::Commit(request), answer).await?
    }
}

#[async_trait::async_trait]
impl Commit for SqliteStore {
    async fn commit(
        &self,
        lease: Option<&Lease>,
        writes: Vec<Write>,
    ) -> Result<Committed, CommitError> {
        let mut sealer = self.sealer(&writes).await?;
        let erased = vault::erased_by(&writes);
        let ops = prepare(writes, &mut sealer)?;
        if erased.is_empty() {
            self.hand_over(lease, ops).await
        } else {
            self.erase(erased, lease, ops).await
        }
    }

    async fn check(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Check(reply), answer).await?
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    fn acts_written(&self) -> watch::Receiver<u64> {
        self.acts.clone()
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let (reply, answer) = oneshot::channel();
            let (tasks, more) = self.ask(Job::Sweep(now, reply), answer).await??;
            removed += tasks;
            if !more {
                return Ok(removed);
            }
        }
    }

    async fn forget_journals(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let (reply, answer) = oneshot::channel();
            let job = Job::ForgetJournals { before, reply };
            let (executions, more) = self.ask(job, answer).await??;
            removed += executions;
            if !more {
                return Ok(removed);
            }
        }
    }

    async fn forget_events(&self, before: Timestamp, most: u64) -> Result<u64, StoreError> {
        let up_to = self.last_event().await?.saturating_sub(most);
        let mut removed = 0;
        loop {
            let (reply, answer) = oneshot::channel();
            let job = Job::Forget {
                before,
                up_to,
                reply,
            };
            let gone = self.ask(job, answer).await??;
            removed += gone;
            if gone < PORTION {
                return Ok(removed);
            }
        }
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let sql = Sql::new("SELECT tenant FROM tenants ORDER BY tenant");
        sql.all(&self.readers)
            .await?
            .iter()
            .map(|row| row.get_id("tenant"))
            .collect()
    }
}
