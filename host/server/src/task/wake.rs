//! Parked executions go on: when somebody answered, when their time came, or when nobody
//! answered in time. Nothing of them is in memory meanwhile.

use super::Tasks;
use crate::approval::audited;
use futures::StreamExt as _;
use mandate_kernel::{Called, Halted};
use mandate_store::{CommitError, Decision, DecisionChange, WaitKey, Woken, Write};
use mandate_types::{Act, DecisionStatus, EventKind, ExecutionId, PrincipalName, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The clock is looked at again at least this often: it may be set.
const LONGEST_NAP: Duration = Duration::from_secs(30);
/// How long to wait when the database cannot be read or written.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How many are looked at in one query.
const BATCH: u32 = 256;
/// How many are written at the same time: they share transactions.
const TOGETHER: usize = 64;
/// How many calls of clients go on at the same time.
const CALLS: usize = 16;

impl Tasks {
    /// Goes on with executions whose waits are over, in this order.
    pub async fn woken(self: &Arc<Self>, woken: Vec<Woken>) {
        let mut calls = Vec::new();
        for one in woken {
            let Some(id) = one.task else {
                calls.push(one.execution);
                continue;
            };
            match self.store().task(&id).await {
                // The end of the run that parked may not be through yet: then it comes after that.
                Ok(Some(task)) => self.queue().add_anew(Arc::new(task)),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(task = %id, %error, "a task that goes on cannot be read; the next start takes it up");
                }
            }
        }
        self.pump();
        if !calls.is_empty() {
            tokio::spawn(self.clone().resume_calls(calls));
        }
    }

    /// Goes on with calls of clients that waited, or that were under way when the host stopped.
    pub(super) async fn resume_calls(self: Arc<Self>, calls: Vec<ExecutionId>) {
        let resumed = futures::stream::iter(calls).for_each_concurrent(CALLS, async |execution| {
            match self.kernel.resume_call(&execution).await {
                Ok(Called::Held { halt, .. }) | Err(Halted::ByOperator(halt)) => {
                    self.hold_call(execution, &halt);
                }
                Ok(_) | Err(Halted::LeaseLost) => {}
                Err(error) => {
                    tracing::error!(%execution, %error, "a client's call cannot go on; the next start takes it up");
                }
            }
        });
        resumed.await;
    }

    /// Ends waits whose time is over, as it passes.
    pub(super) async fn watch_waits(self: Arc<Self>) {
        loop {
            let nap = match self.end_waits().await {
                Ok(nap) => nap,
                Err(error) => {
                    tracing::error!(%error, "what waits for a time cannot be taken up");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                () = self.kernel.timers().notified() => {}
            }
        }
    }

    /// Ends all waits whose time is over, and says when to look again.
    async fn end_waits(self: &Arc<Self>) -> Result<Duration, CommitError> {
        loop {
            let now = Timestamp::now();
            let expired = self.store().expired(now, BATCH).await?;
            let due = self.store().due(now, BATCH).await?;
            if expired.is_empty() && due.is_empty() {
                let next = self.store().next_due().await?;
                let nap = next.map_or(LONGEST_NAP, |next| next.since(Timestamp::now()));
                return Ok(nap.clamp(Duration::from_millis(1), LONGEST_NAP));
            }
            let ends = expired
                .into_iter()
                .map(|decision| expire(decision, now))
                .chain(
                    due.into_iter()
                        .map(|(key, _)| vec![Write::Wake { key, at: now }]),
                );
            let mut ended = futures::stream::iter(ends)
                .map(|writes| self.store().commit(None, writes))
                .buffered(TOGETHER);
            while let Some(committed) = ended.next().await {
                match committed {
                    Ok(committed) => self.woken(committed.woken).await,
                    // Somebody answered just before.
                    Err(CommitError::DecisionState { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

/// Nobody answered in time, or nobody began what was approved: that is a denial.
fn expire(decision: Decision, now: Timestamp) -> Vec<Write> {
    let id = decision.id.clone();
    let change = DecisionChange {
        status: Some(DecisionStatus::Expired),
        // Who approved it in vain stays on record.
        resolved_at: decision.resolved_at.or(Some(now)),
        ..DecisionChange::default()
    };
    let expired = Decision {
        status: DecisionStatus::Expired,
        resolved_at: change.resolved_at,
        ..decision
    };
    let act = audited(&expired, Act::DECISION_EXPIRED, &PrincipalName::host(), now);
    vec![
        Write::ChangeDecision {
            id: id.clone(),
            from: &[DecisionStatus::Pending, DecisionStatus::Approved],
            live_at: None,
            change: Box::new(change),
        },
        Write::Audit(Box::new(act)),
        Write::Event(Box::new(expired.event(EventKind::DECISION_RESOLVED, now))),
        Write::Wake {
            key: WaitKey::Decision(id),
            at: now,
        },
    ]
}
