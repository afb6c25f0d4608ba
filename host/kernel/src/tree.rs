//! What the invocations of one execution share: its lease, its stop handle, and the writes
//! that are not on disk yet.

mod buffer;
mod halting;
mod lineage;

use buffer::Buffer;
use lineage::sizes;
use mandate_runtime::Stop;
use mandate_store::{
    CommitError, Committed, Invocation, Lease, SharedStore, StepAnswer, StoreError, TaskChange,
    Wait, Write,
};
use mandate_types::{
    ExecutionId, Halt, InvocationId, PluginName, PrincipalName, Subject, TaskId, TaskStatus,
    TenantId, Timestamp, WaitReason,
};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use lineage::{Lineage, Replaying};

/// Buffered steps reach the disk at least this often, so that a running execution can be watched.
const FLUSH_EVERY: Duration = Duration::from_millis(200);
/// More buffered writes than this are flushed at the next step.
const FLUSH_AT: usize = 256;

/// Why an execution cannot go on here, although nobody ended it: it stays unfinished, and
/// whoever takes it up again replays it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Halted {
    /// It waits for something, and holds nothing meanwhile; for what is in [`Tree::waits`].
    #[error("the execution is parked")]
    Parked,
    /// Its journal cannot be read or written.
    #[error("the journal cannot be used: {0}")]
    Store(#[from] StoreError),
    /// An operator halted it, or what takes part in it.
    #[error("{0}")]
    ByOperator(Box<Halt>),
    /// Another host journals it.
    #[error("another host took the execution over")]
    LeaseLost,
    /// The replay did not ask what the journal says it asked.
    #[error(
        "the replay diverged at step {sequence} of {invocation}: the journal has {recorded}, the guest asked {asked}"
    )]
    Diverged {
        /// Where.
        invocation: String,
        /// At which step.
        sequence: u64,
        /// What the journal holds.
        recorded: String,
        /// What the guest did.
        asked: String,
    },
}

impl From<CommitError> for Halted {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::LeaseLost(_) => Self::LeaseLost,
            CommitError::Store(store) => Self::Store(store),
            CommitError::Halted(halt) => Self::ByOperator(halt),
            other => Self::Store(StoreError::Corrupt(other.to_string())),
        }
    }
}

/// One execution.
pub struct Tree {
    /// Its id.
    pub execution: ExecutionId,
    /// The task it is for.
    pub task: Option<TaskId>,
    /// How many causes stand above that task.
    pub task_depth: u32,
    /// The first task of the chain of causes.
    pub task_root: Option<TaskId>,
    /// For whom.
    pub tenant: TenantId,
    /// Who is at the root of its causes.
    pub principal: PrincipalName,
    /// The record that the task is about.
    pub subject: Option<Subject>,
    /// Whether it ran before: only then can the journal hold answers.
    pub resumed: bool,
    /// Stops every guest of the tree.
    pub stop: Stop,
    lease: Lease,
    cost: AtomicI64,
    simulated: AtomicBool,
    known: OnceLock<HashMap<InvocationId, u64>>,
    buffer: Arc<Mutex<Buffer>>,
    abandoned: std::sync::Mutex<Vec<Write>>,
    /// Who takes part, the root first.
    plugins: std::sync::Mutex<Vec<PluginName>>,
    halt: OnceLock<Halt>,
    waits: std::sync::Mutex<Vec<(Wait, WaitReason)>>,
    asked: AtomicBool,
    continuation: OnceLock<Value>,
    store: SharedStore,
}

/// What is known of an execution when it starts or goes on.
pub struct TreeStart {
    /// Its id.
    pub execution: ExecutionId,
    /// The task it is for.
    pub task: Option<TaskId>,
    /// How many causes stand above that task.
    pub task_depth: u32,
    /// The first task of the chain of causes.
    pub task_root: Option<TaskId>,
    /// For whom.
    pub tenant: TenantId,
    /// Who is at the root of its causes.
    pub principal: PrincipalName,
    /// The record that the task is about.
    pub subject: Option<Subject>,
    /// Whether it ran before.
    pub resumed: bool,
    /// Stops every guest of the tree.
    pub stop: Stop,
    /// Whom it begins with.
    pub plugin: PluginName,
    /// Of its lease: who writes with an older one is refused.
    pub epoch: u64,
}

impl Tree {
    /// An execution whose `writes` wait for its first commit.
    pub fn new(store: SharedStore, start: TreeStart, writes: Vec<Write>) -> Self {
        Self {
            lease: Lease {
                execution: start.execution.clone(),
                epoch: start.epoch,
            },
            execution: start.execution,
            task: start.task,
            task_depth: start.task_depth,
            task_root: start.task_root,
            tenant: start.tenant,
            principal: start.principal,
            subject: start.subject,
            resumed: start.resumed,
            stop: start.stop,
            cost: AtomicI64::new(0),
            simulated: AtomicBool::new(false),
            known: OnceLock::new(),
            buffer: Arc::new(Mutex::new(Buffer {
                writes,
                flushed: None,
                broken: None,
            })),
            abandoned: std::sync::Mutex::default(),
            plugins: std::sync::Mutex::new(vec![start.plugin]),
            halt: OnceLock::new(),
            waits: std::sync::Mutex::default(),
            asked: AtomicBool::new(start.resumed),
            continuation: OnceLock::new(),
            store,
        }
    }

    /// An execution that is replayed: nothing of it is ever written.
    pub fn sealed(store: SharedStore, start: TreeStart) -> Self {
        let tree = Self::new(store, start, Vec::new());
        let refused = StoreError::Unavailable("a replay writes nothing".to_owned());
        Self {
            buffer: Arc::new(Mutex::new(Buffer {
                broken: Some(refused.into()),
                ..Buffer::default()
            })),
            ..tree
        }
    }

    /// How often the execution was taken over: what is made anew after that has another name.
    pub fn epoch(&self) -> u64 {
        self.lease.epoch
    }

    /// Remembers that somebody or something was asked for an effect, an answer or money.
    pub fn note_asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether there may be decisions, questions or reservations of this execution.
    pub fn may_have_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Remembers that the execution cannot go on before `wait` is over.
    pub fn wait_for(&self, wait: Wait, reason: WaitReason) {
        self.locked_waits().push((wait, reason));
    }

    /// What it cannot go on without, and the reason that people are told: the first in the order
    /// of [`WaitReason`], in which what needs a human comes before what needs time.
    pub fn waits(&self) -> Option<(Vec<Wait>, WaitReason)> {
        let waits = self.locked_waits();
        let reason = waits.iter().map(|(_, reason)| *reason).min()?;
        Some((waits.iter().map(|(wait, _)| wait.clone()).collect(), reason))
    }

    fn locked_waits(&self) -> std::sync::MutexGuard<'_, Vec<(Wait, WaitReason)>> {
        self.waits
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Remembers the invocations that the journal of a resumed execution holds.
    pub fn remember(&self, known: &[Invocation]) {
        // A tree is resumed once.
        let _ = self.known.set(sizes(known));
    }

    /// How many invocations the journal held of `id` and those below it; none if it was never
    /// begun.
    pub fn with_those_below(&self, id: &InvocationId) -> u64 {
        let known = self.known.get().and_then(|known| known.get(id));
        known.copied().unwrap_or(0)
    }

    /// What model calls of this execution cost, in micro-dollars.
    pub fn cost(&self) -> i64 {
        self.cost.load(Ordering::Relaxed)
    }

    /// The task goes on in another execution that begins with `input`.
    pub fn continue_with(&self, input: Value) {
        // Only its root does, and once.
        let _ = self.continuation.set(input);
    }

    /// What the task's next execution begins with, if it goes on in one.
    pub fn continuation(&self) -> Option<Value> {
        self.continuation.get().cloned()
    }

    /// Says of the task, once, that a simulated model answered.
    ///
    /// # Errors
    /// [`Halted`] when the journal cannot be written.
    pub async fn note_simulated(&self) -> Result<(), Halted> {
        let known = self.simulated.swap(true, Ordering::Relaxed);
        let Some(task) = self.task.clone().filter(|_| !known) else {
            return Ok(());
        };
        let change = Box::new(TaskChange {
            simulated: Some(true),
            updated_at: Timestamp::now(),
            ..TaskChange::default()
        });
        let from = &[TaskStatus::Running];
        let told = Write::ChangeTask {
            id: task,
            from,
            change,
        };
        self.push([told]).await
    }

    /// Adds to what it cost.
    pub fn add_cost(&self, micro_usd: i64) {
        self.cost.fetch_add(micro_usd, Ordering::Relaxed);
    }

    /// Remembers the end of an invocation that was dropped together with its caller. It is
    /// written with the end of whoever dropped it: if that never comes because the execution
    /// cannot go on here, the invocation has not ended.
    pub fn abandon(&self, ends: impl IntoIterator<Item = Write>) {
        self.abandoned().extend(ends);
    }

    /// The ends of the invocations that were dropped since the last time.
    pub fn take_abandoned(&self) -> Vec<Write> {
        std::mem::take(&mut *self.abandoned())
    }

    fn abandoned(&self) -> std::sync::MutexGuard<'_, Vec<Write>> {
        self.abandoned
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Keeps `writes` for the next commit; commits at once if that is due.
    ///
    /// # Errors
    /// [`Halted`] when the journal cannot be written.
    pub async fn push(&self, writes: impl IntoIterator<Item = Write>) -> Result<(), Halted> {
        let mut buffer = self.buffer.clone().lock_owned().await;
        for write in writes {
            buffer.keep(write);
        }
        let since = buffer.flushed.get_or_insert_with(Instant::now).elapsed();
        if since >= FLUSH_EVERY || buffer.writes.len() >= FLUSH_AT {
            self.flush_locked(buffer).await?;
        }
        Ok(())
    }

    /// Keeps an answer: in the step itself if that is still waiting, so that the journal is
    /// written once.
    ///
    /// # Errors
    /// [`Halted`] when the journal cannot be written.
    pub async fn answer(&self, answer: StepAnswer) -> Result<(), Halted> {
        self.buffer.lock().await.answer(answer);
        Ok(())
    }

    /// Commits everything that waits, and `writes` with it, unless that is halted. What was begun is finished also if
    /// the caller is dropped meanwhile, as guests are when they are cut off: otherwise nobody
    /// would know whether it is on disk.
    ///
    /// # Errors
    /// The commit's own error when `writes` conflict with what is stored: then what waited
    /// still waits. Anything else ends the execution here.
    pub async fn commit(&self, mut writes: Vec<Write>) -> Result<Committed, CommitError> {
        writes.push(Write::NotHalted {
            tenant: self.tenant.clone(),
            plugins: self.plugins(),
        });
        self.settle(writes).await
    }

    /// As [`Tree::commit`], also while it is halted: for what was done already, and to put at rest.
    ///
    /// # Errors
    /// As [`Tree::commit`].
    pub async fn settle(&self, writes: Vec<Write>) -> Result<Committed, CommitError> {
        let mut buffer = self.buffer.clone().lock_owned().await;
        if let Some(broken) = &buffer.broken {
            return Err(CommitError::Store(StoreError::Unavailable(
                broken.to_string(),
            )));
        }
        let mut all = buffer.writes.clone();
        all.extend(writes);
        let (store, lease) = (self.store.clone(), self.lease.clone());
        let written = tokio::spawn(async move {
            let outcome = store.commit(Some(&lease), all).await;
            match &outcome {
                Ok(_) => {
                    buffer.writes.clear();
                    buffer.flushed = Some(Instant::now());
                }
                Err(error @ (CommitError::Store(_) | CommitError::LeaseLost(_))) => {
                    buffer.broken = Some(error.clone().into());
                }
                Err(_) => {}
            }
            outcome
        });
        written
            .await
            .unwrap_or_else(|lost| Err(broke_off(&lost).into()))
    }

    /// Commits everything that waits.
    ///
    /// # Errors
    /// [`Halted`] when the journal cannot be written.
    pub async fn flush(&self) -> Result<(), Halted> {
        let buffer = self.buffer.clone().lock_owned().await;
        self.flush_locked(buffer).await
    }

    /// As [`Tree::commit`], finished whatever becomes of the caller.
    async fn flush_locked(&self, mut buffer: OwnedMutexGuard<Buffer>) -> Result<(), Halted> {
        if let Some(broken) = &buffer.broken {
            return Err(broken.clone());
        }
        buffer.flushed = Some(Instant::now());
        if buffer.writes.is_empty() {
            return Ok(());
        }
        let (store, lease) = (self.store.clone(), self.lease.clone());
        let written = tokio::spawn(async move {
            let writes = std::mem::take(&mut buffer.writes);
            if let Err(error) = store.commit(Some(&lease), writes).await {
                let halted = Halted::from(error);
                buffer.broken = Some(halted.clone());
                return Err(halted);
            }
            Ok(())
        });
        written
            .await
            .unwrap_or_else(|lost| Err(broke_off(&lost).into()))
    }
}

/// The host is going down, or made a mistake while it wrote.
fn broke_off(lost: &tokio::task::JoinError) -> StoreError {
    StoreError::Unavailable(format!("a commit broke off: {lost}"))
}

/// What tests of this room's parts begin with.
#[cfg(test)]
mod samples {
    use super::*;
    use mandate_types::{
        Digest, GuestKind, InvocationStatus, Limits, MicroUsd, PluginName, Timestamp,
    };

    pub fn invocation() -> Invocation {
        Invocation {
            id: InvocationId::fresh(),
            execution: ExecutionId::fresh(),
            task: None,
            parent: None,
            parent_step: None,
            depth: 0,
            kind: GuestKind::Tool,
            plugin: PluginName::parse("text").unwrap(),
            digest: Digest::of(b"text"),
            contract: None,
            settings: None,
            function: "word-count".to_owned(),
            input: serde_json::Value::Null,
            tenant: TenantId::default(),
            principal: PrincipalName::parse("p").unwrap(),
            subject: None,
            grant_generation: 1,
            limits: Limits::default(),
            seed: Vec::new(),
            status: InvocationStatus::Running,
            result: None,
            error: None,
            started_at: Timestamp::from_micros(1),
            ended_at: None,
            steps: 0,
            peak_memory_bytes: 0,
            cost_micro_usd: MicroUsd::ZERO,
            erased: false,
        }
    }
}
