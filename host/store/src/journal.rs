//! Executions, invocations and their steps: enough to replay every one of them.

use crate::StoreError;
use crate::task::Page;
use mandate_types::{
    Digest, Effects, ExecutionId, GuestKind, InvocationId, InvocationStatus, Limits, MicroUsd,
    PluginName, PrincipalName, StepState, Subject, TaskId, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The invocation of an agent (or a client's call of a tool), with those below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// The task it is for; none when a client called a tool directly.
    pub task: Option<TaskId>,
    /// Counts the executions of its task from 1.
    pub attempt: u32,
    /// The invocation at its root.
    pub root: InvocationId,
    /// For whom.
    pub tenant: TenantId,
    /// Who is at the root of its causes.
    pub principal: PrincipalName,
    /// Goes up each time that a host takes it over.
    pub lease_epoch: u64,
    /// When it started.
    pub started_at: Timestamp,
}

/// One call of one guest in one fresh instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Invocation {
    /// Its id; a child's derives from the step that made it.
    pub id: InvocationId,
    /// The tree it belongs to.
    pub execution: ExecutionId,
    /// The task of that tree.
    pub task: Option<TaskId>,
    /// Who made it; none for the root.
    pub parent: Option<InvocationId>,
    /// The step of the parent that made it.
    pub parent_step: Option<u64>,
    /// How far below the root.
    pub depth: u32,
    /// Agent or tool.
    pub kind: GuestKind,
    /// The installed name of the plugin.
    pub plugin: PluginName,
    /// The exact component, pinned.
    pub digest: Digest,
    /// The version of the contract that its plugin was written for; none in rows of hosts
    /// that did not keep it.
    pub contract: Option<String>,
    /// What the operator had filled in when it started; none in rows of hosts that did not
    /// keep it. May hold what only operators see.
    #[serde(skip)]
    pub settings: Option<Value>,
    /// The tool's name, or the task's kind.
    pub function: String,
    /// Task input or tool arguments.
    pub input: Value,
    /// For whom.
    pub tenant: TenantId,
    /// Who is at the root of its causes.
    pub principal: PrincipalName,
    /// The record that its task is about.
    pub subject: Option<Subject>,
    /// The generation of the grant that it started under.
    pub grant_generation: u64,
    /// Pinned at the start.
    pub limits: Limits,
    /// Secret; the source of everything random that the guest sees.
    #[serde(skip)]
    pub seed: Vec<u8>,
    /// Where it is.
    pub status: InvocationStatus,
    /// What it answered.
    pub result: Option<Value>,
    /// How it failed.
    pub error: Option<crate::TaskError>,
    /// When it started; also where the guest's clock starts.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How many steps it made.
    pub steps: u64,
    /// The most memory it held, in bytes.
    pub peak_memory_bytes: u64,
    /// What its own steps cost, without those below.
    pub cost_micro_usd: MicroUsd,
    /// The journals of its tenant were erased: `input`, `result` and `error` are null, whatever they were.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

/// How an invocation ended.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the fields are those of `Invocation`
pub struct Ending {
    pub tenant: TenantId,
    pub status: InvocationStatus,
    pub result: Option<Value>,
    pub error: Option<crate::TaskError>,
    pub ended_at: Timestamp,
    pub steps: u64,
    pub peak_memory_bytes: u64,
    pub cost_micro_usd: MicroUsd,
}

/// One call across the sandbox boundary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Step {
    /// Whose.
    pub invocation: InvocationId,
    /// Counts the calls of the invocation from 1.
    pub sequence: u64,
    /// The place within an `invoke-many`; 0 elsewhere.
    pub index: u32,
    /// For whom: that of its invocation.
    pub tenant: TenantId,
    /// `mandate:records/records`, …
    pub interface: String,
    /// `create`, `complete`, …
    pub function: String,
    /// What was asked.
    pub arguments: Value,
    /// Its digest; compared on replay.
    pub arguments_digest: Digest,
    /// The class that the host gives this call.
    pub effects: Effects,
    /// Intended or answered.
    pub state: StepState,
    /// `{"ok": …}` or `{"error": …}`, once it is answered.
    pub answer: Option<Value>,
    /// Whether the seam refused it.
    pub refused: bool,
    /// The invocation that it made.
    pub child: Option<InvocationId>,
    /// What it cost.
    pub cost_micro_usd: MicroUsd,
    /// When it was asked.
    pub at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// How long its guest had run when this was written last, in microseconds, without replay and
    /// without being parked; none in rows of hosts that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_us: Option<u64>,
    /// The journals of its tenant were erased: `arguments` and `answer` are null, whatever they were.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

/// The answer to a step written as an intent.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the fields are those of `Step`
pub struct StepAnswer {
    pub invocation: InvocationId,
    pub sequence: u64,
    pub index: u32,
    pub tenant: TenantId,
    pub answer: Value,
    pub refused: bool,
    pub cost_micro_usd: MicroUsd,
    pub answered_at: Timestamp,
    pub active_us: Option<u64>,
}

/// How grave a log line is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// A line of a plugin's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogLine {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// How grave.
    pub level: LogLevel,
    /// What.
    pub message: String,
    /// Who.
    pub plugin: PluginName,
    /// In which invocation.
    pub invocation: InvocationId,
    /// For which task.
    pub task: Option<TaskId>,
    /// About which record.
    pub subject: Option<Subject>,
    /// For whom.
    pub tenant: TenantId,
}

/// Reading journals.
#[async_trait::async_trait]
pub trait JournalStore: Send + Sync {
    /// One execution.
    async fn execution(&self, id: &ExecutionId) -> Result<Option<Execution>, StoreError>;

    /// The executions of a task, oldest first.
    async fn executions(&self, task: &TaskId) -> Result<Vec<Execution>, StoreError>;

    /// One invocation, to go on with it: one that was erased is [`StoreError::Erased`].
    async fn invocation(&self, id: &InvocationId) -> Result<Option<Invocation>, StoreError>;

    /// The invocations of an execution, oldest first; of those that were erased, what is left.
    async fn invocations(&self, execution: &ExecutionId) -> Result<Vec<Invocation>, StoreError>;

    /// All steps of one invocation, in order, to replay them: one that was erased is [`StoreError::Erased`].
    async fn steps(&self, invocation: &InvocationId) -> Result<Vec<Step>, StoreError>;

    /// A page of the steps of a whole execution, by time; of those that were erased, what is left.
    async fn execution_steps(
        &self,
        execution: &ExecutionId,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Step>, StoreError>;

    /// The newest log lines first, of a plugin, a task or a subject; `tenants` as in `TaskQuery`.
    async fn logs(
        &self,
        tenants: Option<&[TenantId]>,
        plugin: Option<&PluginName>,
        task: Option<&TaskId>,
        subject: Option<&Subject>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<LogLine>, StoreError>;
}
