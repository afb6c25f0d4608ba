//! Tasks: units of work that somebody asked for.

use crate::StoreError;
use mandate_types::{
    Digest, ExecutionId, InvocationId, MicroUsd, PluginName, PrincipalName, Subject, TaskId,
    TaskStatus, TenantId, Timestamp, WaitReason,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskError {
    /// For programs: `limit`, `trap`, `failed`, `denied`, `invalid`, `unavailable`, …
    pub kind: String,
    /// For people: what was wrong, and what to do.
    pub message: String,
    /// Whether the same task may succeed later.
    pub retryable: bool,
}

/// A task as clients see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// One line.
    pub title: String,
    /// More, if there is more.
    pub description: String,
    /// Decides which agent does it.
    pub kind: String,
    /// What it is done to: a host, a service, a repository.
    pub target: Option<String>,
    /// 0–9, 9 first.
    pub priority: u8,
    /// For the agent, by the agent's schema.
    pub input: Value,
    /// The conversation that it belongs to.
    pub session: Option<String>,
    /// The record that it is about.
    pub subject: Option<Subject>,
    /// For whom.
    pub tenant: TenantId,
    /// Who asked for it.
    pub created_by: PrincipalName,
    /// The agents that do it; filled from `kind` when empty.
    pub assigned_agents: Vec<PluginName>,
    /// Where it is.
    pub status: TaskStatus,
    /// What it waits for, while it is `waiting`.
    pub waiting_for: Option<WaitReason>,
    /// How far it is, 0–1, as the agent last said.
    pub progress: Option<f64>,
    /// What the agent last said of its progress.
    pub progress_message: Option<String>,
    /// The whole report of the agent.
    pub result: Option<Value>,
    /// The report's output.
    pub output: Option<Value>,
    /// One or two sentences for people.
    pub summary: Option<String>,
    /// The agent's own judgement, 0–1.
    pub quality_score: Option<f64>,
    /// Of the executions of this task that ended, how many succeeded, 0–1.
    pub success_rate: Option<f64>,
    /// What it has cost, over all executions.
    pub cost_micro_usd: MicroUsd,
    /// Whether a simulated model answered any of its calls.
    pub simulated: bool,
    /// How long its last execution took.
    pub duration_seconds: Option<f64>,
    /// Whatever the client wants to keep with it.
    pub metadata: Value,
    /// Why it failed.
    pub error: Option<TaskError>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When anything of it changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Its present or last execution.
    pub execution: Option<ExecutionId>,
    /// What its present execution began with instead of `input`, if the one before asked for that
    /// with its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation: Option<Value>,
    /// How many executions it has had.
    pub attempts: u32,
    /// How many more executions a retryable failure starts by itself.
    pub retries_left: u32,
    /// The task whose execution created this one.
    pub parent: Option<TaskId>,
    /// The first of the chain of causes: this task itself, or the root of `parent`.
    pub root: TaskId,
    /// How many causes (tasks, events, schedules) stand above it.
    pub depth: u32,
    /// The step that created it, if an agent did.
    pub created_in: Option<InvocationId>,
    /// `schedule:<plugin>/<n>` or `event:<seq>` if a trigger created it.
    pub trigger: Option<String>,
    /// When it and its journal may be removed, if they are kept only briefly.
    pub expires_at: Option<Timestamp>,
    /// Whether it is to be started; a held task waits until somebody executes it.
    #[serde(skip)]
    pub queued: bool,
}

impl Task {
    /// A task that is accepted and queued, with the defaults of everything that is not said.
    pub fn new(
        id: TaskId,
        kind: String,
        title: String,
        tenant: TenantId,
        created_by: PrincipalName,
        now: Timestamp,
    ) -> Self {
        Self {
            root: id.clone(),
            id,
            title,
            description: String::new(),
            kind,
            target: None,
            priority: 5,
            input: Value::Null,
            session: None,
            subject: None,
            tenant,
            created_by,
            assigned_agents: Vec::new(),
            status: TaskStatus::Pending,
            waiting_for: None,
            progress: None,
            progress_message: None,
            result: None,
            output: None,
            summary: None,
            quality_score: None,
            success_rate: None,
            cost_micro_usd: MicroUsd::ZERO,
            simulated: false,
            duration_seconds: None,
            metadata: Value::Object(serde_json::Map::new()),
            error: None,
            created_at: now,
            updated_at: now,
            completed_at: None,
            execution: None,
            continuation: None,
            attempts: 0,
            retries_left: 0,
            parent: None,
            depth: 0,
            created_in: None,
            trigger: None,
            expires_at: None,
            queued: true,
        }
    }
}

impl Task {
    /// What its present or next execution begins with.
    pub fn begins_with(&self) -> &Value {
        self.continuation.as_ref().unwrap_or(&self.input)
    }
}

/// What changes of a task; `None` leaves it.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // the fields are those of `Task`
pub struct TaskChange {
    pub status: Option<TaskStatus>,
    pub queued: Option<bool>,
    pub waiting_for: Option<Option<WaitReason>>,
    pub progress: Option<f64>,
    pub progress_message: Option<String>,
    pub result: Option<Option<Value>>,
    pub output: Option<Option<Value>>,
    pub summary: Option<Option<String>>,
    pub quality_score: Option<Option<f64>>,
    pub success_rate: Option<f64>,
    /// A simulated model answered.
    pub simulated: Option<bool>,
    /// Added to what it has cost.
    pub add_cost: MicroUsd,
    pub duration_seconds: Option<Option<f64>>,
    pub error: Option<Option<TaskError>>,
    pub completed_at: Option<Option<Timestamp>>,
    pub execution: Option<ExecutionId>,
    pub continuation: Option<Option<Value>>,
    pub attempts: Option<u32>,
    pub retries_left: Option<u32>,
    pub assigned_agents: Option<Vec<PluginName>>,
    pub expires_at: Option<Option<Timestamp>>,
    pub updated_at: Timestamp,
}

/// Which tasks, newest first.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // the fields are those of `Task`
pub struct TaskQuery {
    /// Only of these tenants; `None` is all.
    pub tenants: Option<Vec<TenantId>>,
    pub status: Vec<TaskStatus>,
    pub kind: Option<String>,
    pub agent: Option<PluginName>,
    pub created_by: Option<PrincipalName>,
    pub session: Option<String>,
    pub subject: Option<Subject>,
    pub parent: Option<TaskId>,
    pub root: Option<TaskId>,
    pub created_after: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
    /// 1–1000.
    pub limit: u32,
    pub cursor: Option<String>,
}

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items, in the listing's order.
    pub items: Vec<T>,
    /// For the next page; none on the last.
    pub cursor: Option<String>,
}

/// Reading tasks.
#[async_trait::async_trait]
pub trait TaskStore: Send + Sync {
    /// One task.
    async fn task(&self, id: &TaskId) -> Result<Option<Task>, StoreError>;

    /// A page of tasks.
    async fn tasks(&self, query: &TaskQuery) -> Result<Page<Task>, StoreError>;

    /// The tasks that a host must start or go on with after its own start: queued pending
    /// ones and running ones, by priority and age.
    async fn unfinished(&self) -> Result<Vec<Task>, StoreError>;

    /// The task that an idempotency key made, with the digest of its request.
    async fn idempotent(
        &self,
        principal: &PrincipalName,
        key: &str,
    ) -> Result<Option<(TaskId, Digest)>, StoreError>;

    /// How many tasks are in each state, for the metrics.
    async fn task_counts(&self) -> Result<Vec<(TaskStatus, u64)>, StoreError>;
}
