//! What is written together: one transaction of the writes of one step, with the conditions
//! under which they may happen at all.

use crate::StoreError;
use crate::audit::NewAct;
use crate::decision::{Decision, DecisionChange, Question, Wait, WaitKey, Woken};
use crate::delivery::Delivery;
use crate::event::{Event, NewEvent};
use crate::journal::{Ending, Execution, Invocation, LogLine, Step, StepAnswer};
use crate::ledger::LedgerEntry;
use crate::notification::Notification;
use crate::plugin::{Installation, Package, TriggerState};
use crate::policy::PolicyVersion;
use crate::principal::Principal;
use crate::record::{Collection, RecordWrite};
use crate::task::{Task, TaskChange};
use mandate_types::{
    Ceiling, DecisionId, DecisionStatus, Digest, ExecutionId, Halt, HaltScope, InvocationId,
    MicroUsd, PluginName, PrincipalName, QuestionId, TaskId, TaskStatus, TenantId, Timestamp,
};
use std::sync::Arc;

/// The right to journal an execution: at most one host has it, and every write checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which execution.
    pub execution: ExecutionId,
    /// Goes up each time that a host takes the execution over.
    pub epoch: u64,
}

/// One change. All changes of a commit happen, or none does.
#[derive(Clone, Debug)]
pub enum Write {
    /// A new task.
    CreateTask(Box<Task>),
    /// A change of a task that must be in one of the states `from`.
    ChangeTask {
        /// Which task.
        id: TaskId,
        /// The states in which the change is allowed.
        from: &'static [TaskStatus],
        /// What changes.
        change: Box<TaskChange>,
    },
    /// A new decision.
    CreateDecision(Box<Decision>),
    /// A change of a decision that must be in one of the states `from`, and must not have expired
    /// at `live_at`.
    ChangeDecision {
        /// Which decision.
        id: DecisionId,
        /// The states in which the change is allowed.
        from: &'static [DecisionStatus],
        /// When it happens, if an expired one must not change so.
        live_at: Option<Timestamp>,
        /// What changes.
        change: Box<DecisionChange>,
    },
    /// Reserves money, unless a sum would then be above its ceiling: [`CommitError::Exceeded`].
    /// An entry that exists already, unsettled, changes nothing.
    Reserve {
        /// What is reserved.
        entry: Box<LedgerEntry>,
        /// What must hold with it.
        ceilings: Vec<Ceiling>,
    },
    /// What a reservation came to; one that has ended already changes nothing.
    Settle {
        /// Which entry.
        id: String,
        /// What it cost; a refund counts as nothing. Zero releases it.
        actual: MicroUsd,
        /// Whether nobody knows, and it is booked in full.
        uncertain: bool,
        /// When.
        at: Timestamp,
    },
    /// A budget had no room for what was asked: people are told, once per period, as of any other
    /// threshold.
    Exhausted {
        /// Which.
        ceiling: Box<Ceiling>,
        /// What is committed and reserved under it.
        spent: MicroUsd,
        /// For whom it was asked.
        tenant: TenantId,
        /// In which task.
        task: Option<TaskId>,
        /// When.
        at: Timestamp,
    },
    /// A new question.
    AskQuestion(Box<Question>),
    /// The answer to an open question.
    AnswerQuestion {
        /// Which.
        id: QuestionId,
        /// What.
        answer: serde_json::Value,
        /// Who.
        by: PrincipalName,
        /// When.
        at: Timestamp,
    },
    /// An answered question allowed something, which begins now: it is never acted on twice.
    ActOnAnswer(QuestionId),
    /// Parks an execution until one of `waits` is over; [`CommitError::Conflict`] if one is
    /// already.
    Park {
        /// Which.
        execution: ExecutionId,
        /// Its task.
        task: Option<TaskId>,
        /// For what.
        waits: Vec<Wait>,
        /// When.
        at: Timestamp,
    },
    /// Lets everything go on that waits for `key`: its tasks become `running`. Who is told is in
    /// [`Committed::woken`].
    Wake {
        /// What is there.
        key: WaitKey,
        /// When.
        at: Timestamp,
    },
    /// Takes back what an execution that ends still asks: its open decisions and questions.
    Withdraw {
        /// Which execution.
        execution: ExecutionId,
        /// When.
        at: Timestamp,
    },
    /// The plugin must still be installed under this generation of its grant:
    /// [`CommitError::GrantChanged`].
    GrantIs {
        /// Whose.
        plugin: PluginName,
        /// Which.
        generation: u64,
    },
    /// Removes a finished task with its executions, invocations, steps and logs.
    DeleteTask(TaskId),
    /// A new execution, leased by the host that writes it.
    StartExecution(Box<Execution>),
    /// Takes an execution over: its lease epoch becomes `epoch`, which must be one more than it was.
    /// What its model calls reserved that were under way is booked in full, as uncertain.
    TakeExecution {
        /// Which execution.
        id: ExecutionId,
        /// The new epoch.
        epoch: u64,
    },
    /// A new invocation.
    StartInvocation(Box<Invocation>),
    /// The end of an invocation.
    EndInvocation {
        /// Which invocation.
        id: InvocationId,
        /// How it ended.
        ending: Box<Ending>,
    },
    /// A step: an intent, or one that is answered at once. Replaces nothing: a step that
    /// exists already is [`CommitError::StepExists`].
    Step(Box<Step>),
    /// The answer to a step that was written as an intent.
    AnswerStep(Box<StepAnswer>),
    /// Gives up what the journals of a tenant hold so far: their key is destroyed once this is on disk. What comes
    /// after is written under a new one.
    EraseJournals {
        /// Whose.
        tenant: TenantId,
        /// When.
        at: Timestamp,
    },
    /// A line of a plugin's log.
    Log(Box<LogLine>),
    /// A record.
    Record(Box<RecordWrite>),
    /// An event; numbered in the order of commits.
    Event(Box<NewEvent>),
    /// Remembers that `key` of `principal` made `task`.
    IdempotencyKey {
        /// Whose key.
        principal: PrincipalName,
        /// The key as sent.
        key: String,
        /// Digest of the request it came with.
        request: Digest,
        /// What it made.
        task: TaskId,
        /// For expiry.
        at: Timestamp,
    },
    /// A new delivery; one with the same key is [`CommitError::Conflict`].
    CreateDelivery(Box<Delivery>),
    /// How a delivery that is still to be done stands now: status, attempts, key, body, answer, end.
    ChangeDelivery(Box<Delivery>),
    /// Notifications of a decision; those that are planned already stay as they are.
    PlanNotifications(Vec<Notification>),
    /// How a notification that is still to be delivered stands now.
    ChangeNotification(Box<Notification>),
    /// Forgets what was still to be delivered of a decision, unless that is pending.
    DropNotifications(DecisionId),
    /// A package of bytes; the same digest again changes nothing.
    PutPackage(Box<Package>),
    /// An installation, new or changed; its `generation` must be one more than stored (1 if new).
    PutInstallation(Box<Installation>),
    /// Removes an installation, which is then a former one; its packages and its records stay.
    RemoveInstallation(Box<Installation>),
    /// A collection, new or changed, with its indexes.
    PutCollection(Box<Collection>),
    /// How far a trigger has come.
    PutTrigger(Box<TriggerState>),
    /// Takes the terms of a tool out of its plugin's grant, which becomes the next generation, so
    /// that it cannot be called before an operator accepts it anew. It is audited if it changes
    /// anything.
    SuspendTool {
        /// Whose.
        plugin: PluginName,
        /// Its short name.
        tool: String,
        /// The decision whose call cost more than was reserved.
        decision: DecisionId,
        /// When.
        at: Timestamp,
    },
    /// A principal, new or changed.
    PutPrincipal(Box<Principal>),
    /// Forgets a principal.
    RemovePrincipal(PrincipalName),
    /// A new version of the policy; [`CommitError::Conflict`] unless its generation is the next.
    PutPolicy(Box<PolicyVersion>),
    /// An act, for the audit; numbered in the order of commits.
    Audit(Box<NewAct>),
    /// The hashes that chain acts, by their numbers.
    SealActs(Vec<(u64, Digest)>),
    /// Halts a scope; one that is halted already is [`CommitError::Conflict`].
    PutHalt(Box<Halt>),
    /// Ends the halt of a scope.
    RemoveHalt(HaltScope),
    /// Changes nothing. If work for this tenant in which these plugins take part is halted, nothing
    /// of the commit is written: [`CommitError::Halted`].
    NotHalted {
        /// For whom.
        tenant: TenantId,
        /// Who takes part.
        plugins: Vec<PluginName>,
    },
}

/// What came of a commit.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The events of the commit, numbered, in order.
    pub events: Vec<Arc<Event>>,
    /// The executions that go on.
    pub woken: Vec<Woken>,
}

/// Why nothing of a commit was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Another host journals this execution now.
    #[error("the lease on {0} was lost to another host")]
    LeaseLost(ExecutionId),
    /// The task is not in a state that allows the change.
    #[error("the task {id} is {status}")]
    TaskState {
        /// Which task.
        id: TaskId,
        /// The state it is in.
        status: TaskStatus,
    },
    /// The step is in the journal already.
    #[error("step {sequence}/{index} of {invocation} is in the journal already")]
    StepExists {
        /// Of which invocation.
        invocation: InvocationId,
        /// Its number.
        sequence: u64,
        /// Its place in an `invoke-many`.
        index: u32,
    },
    /// The decision is not in a state that allows the change.
    #[error("the decision {id} is {status}")]
    DecisionState {
        /// Which decision.
        id: DecisionId,
        /// The state it is in; `expired` also when its time is over and nobody wrote that yet.
        status: DecisionStatus,
    },
    /// More money than a ceiling allows.
    #[error("{} allows {} over {}, of which {spent} are committed or reserved", ceiling.name, ceiling.most, ceiling.scope)]
    Exceeded {
        /// Which.
        ceiling: Box<Ceiling>,
        /// What is committed and reserved without this.
        spent: MicroUsd,
    },
    /// The operator changed what the plugin may do.
    #[error("the grant of {0} changed")]
    GrantChanged(PluginName),
    /// There is no such row.
    #[error("there is no {0}")]
    NotFound(String),
    /// The record or row changed since it was read, or its id is taken.
    #[error("{0}")]
    Conflict(String),
    /// The idempotency key was used before, for this task.
    #[error("the idempotency key was used before")]
    KeyUsed {
        /// What it made then.
        task: TaskId,
        /// The digest of the request it came with then.
        request: Digest,
    },
    /// What was to be written is halted.
    #[error("{0}")]
    Halted(Box<Halt>),
    /// The database could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writing. Commits of many callers may share one transaction of the database; each still
/// succeeds or fails alone, and `commit` returns only once it is on disk.
#[async_trait::async_trait]
pub trait Commit: Send + Sync {
    /// Does all of `writes`, or none of it.
    ///
    /// # Errors
    /// [`CommitError`]; nothing was written then.
    async fn commit(
        &self,
        lease: Option<&Lease>,
        writes: Vec<Write>,
    ) -> Result<Committed, CommitError>;

    /// Whether a write would succeed now: tries one.
    ///
    /// # Errors
    /// [`StoreError`] when it would not.
    async fn check(&self) -> Result<(), StoreError>;

    /// Reads the numbered events of all commits from now on, in order and without gaps. A
    /// receiver that falls behind is told so by the channel and reads the rest from
    /// [`crate::EventStore::events`].
    fn subscribe(&self) -> tokio::sync::broadcast::Receiver<Arc<Event>>;

    /// The number of the last act of the audit, as it grows.
    fn acts_written(&self) -> tokio::sync::watch::Receiver<u64>;

    /// Removes finished tasks of `tenant`s whose `expires_at` has passed, and old idempotency
    /// keys, deliveries, logs, and executions that are for no task. Returns how many tasks were removed.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Removes the executions of tasks that ended before `before`, with their invocations and steps; the tasks stay.
    /// Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn forget_journals(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Removes events before `before`, and the oldest beyond the newest `most`. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn forget_events(&self, before: Timestamp, most: u64) -> Result<u64, StoreError>;

    /// The names of tenants that have rows, for listings.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError>;
}
