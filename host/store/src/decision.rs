//! Decisions, and the questions that people are asked: what executions wait for.

use crate::StoreError;
use crate::event::NewEvent;
use crate::task::Page;
use mandate_types::{
    DecisionId, DecisionStatus, Digest, Effects, ExecutionId, InvocationId, MicroUsd, PluginName,
    PrincipalName, QuestionId, QuestionKind, QuestionStatus, Risk, Subject, TaskId, TenantId,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// An effect that an agent or a client wants to have, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Decision {
    /// What was asked, and how it was judged: never changes. First, because it opens with a
    /// sentence for people.
    #[serde(flatten)]
    pub request: DecisionRequest,
    /// Its id.
    pub id: DecisionId,
    /// Where it is.
    pub status: DecisionStatus,
    /// When it was asked.
    pub requested_at: Timestamp,
    /// When it becomes denied by itself.
    pub expires_at: Option<Timestamp>,
    /// When policy or a human answered.
    pub resolved_at: Option<Timestamp>,
    /// The human; none when policy answered.
    pub resolved_by: Option<PrincipalName>,
    /// Whether who asked answered.
    pub self_approved: bool,
    /// What the human said with it.
    pub comment: Option<String>,
    /// The tool's invocation that runs under it.
    pub child: Option<InvocationId>,
    /// When that ended.
    pub ended_at: Option<Timestamp>,
    /// What it cost.
    pub actual_cost: Option<MicroUsd>,
    /// What the tool answered: `{"ok": …}` or `{"error": …}`.
    pub result: Option<Value>,
}

impl Decision {
    /// An event about it: what subscribers are told when it is asked, and when it is answered.
    pub fn event(&self, kind: &str, time: Timestamp) -> NewEvent {
        let request = &self.request;
        NewEvent {
            time,
            kind: kind.to_owned(),
            subject: request.subject.clone(),
            task: request.task.clone(),
            tenant: request.tenant.clone(),
            data: json!({
                "decision": self.id,
                "status": self.status,
                "sentence": request.sentence,
                "execution": request.execution,
                "plugin": request.plugin,
                "tool": request.tool,
                "target": request.target,
                "cost_micro_usd": request.cost,
                "level": request.level,
                "rule": request.rule,
                "reason": request.reason,
                "expires_at": self.expires_at,
                "resolved_by": self.resolved_by,
            }),
        }
    }
}

/// What is asked, and how policy judged it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DecisionRequest {
    /// What, on what, at what cost, how to undo it, what happens if nobody answers.
    pub sentence: String,
    /// For whom.
    pub tenant: TenantId,
    /// In which task.
    pub task: Option<TaskId>,
    /// The task at the root of its causes.
    pub root_task: Option<TaskId>,
    /// The record that the task is about.
    pub subject: Option<Subject>,
    /// In which execution.
    pub execution: ExecutionId,
    /// Whose step it is; the tool's own invocation when a client calls it.
    pub invocation: InvocationId,
    /// The step's number; 0 when a client calls.
    pub sequence: u64,
    /// Its place in an `invoke-many`.
    pub index: u32,
    /// Who is at the root of its causes.
    pub principal: PrincipalName,
    /// Who asks; none when a client does.
    pub plugin: Option<PluginName>,
    /// The plugins from the root to who asks.
    pub chain: Vec<PluginName>,
    /// `plugin.tool`
    pub tool: String,
    /// The exact component.
    pub tool_digest: Digest,
    /// The exact arguments.
    pub arguments: Value,
    /// Their digest.
    pub arguments_digest: Digest,
    /// Of the tool's plugin.
    pub grant_generation: u64,
    /// As accepted.
    pub effects: Effects,
    /// Whether calling it twice with the same key has one effect, as accepted.
    pub idempotent: bool,
    /// What it is done to.
    pub target: Option<String>,
    /// Why, as who asks says.
    pub why: Option<String>,
    /// The largest of what is known of it; none when that is not known.
    pub cost: Option<MicroUsd>,
    /// Expected, as who asks says.
    pub gain: Option<MicroUsd>,
    /// (gain − cost) / cost.
    pub roi: Option<f64>,
    /// As who asks says.
    pub risk: Option<Risk>,
    /// Whether it can be undone, as far as anybody says.
    pub reversible: bool,
    /// How.
    pub undo: Option<String>,
    /// Of who asks, 0–1.
    pub confidence: Option<f64>,
    /// The autonomy level, 1–3.
    pub level: u8,
    /// `approve`, `escalate` or `deny`.
    pub verdict: String,
    /// The rule that gave the verdict.
    pub rule: String,
    /// Why, for people.
    pub reason: String,
    /// On which facts: what policy was given.
    pub facts: Value,
    /// Ceilings over which an approval lifts it, by name.
    pub lifts: Vec<String>,
}

/// What changes of a decision.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // the fields are those of `Decision`; absent ones stay
pub struct DecisionChange {
    pub status: Option<DecisionStatus>,
    pub resolved_at: Option<Timestamp>,
    pub resolved_by: Option<PrincipalName>,
    pub self_approved: Option<bool>,
    pub comment: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub child: Option<InvocationId>,
    pub ended_at: Option<Timestamp>,
    pub actual_cost: Option<MicroUsd>,
    pub result: Option<Value>,
}

/// Which decisions.
#[derive(Clone, Debug, Default)]
pub struct DecisionQuery {
    /// Of these tenants; none means all.
    pub tenants: Option<Vec<TenantId>>,
    /// In one of these states; empty means all.
    pub status: Vec<DecisionStatus>,
    /// Of one task.
    pub task: Option<TaskId>,
    /// Of one execution.
    pub execution: Option<ExecutionId>,
    /// Asked for by one plugin.
    pub plugin: Option<PluginName>,
    /// Of one tool, `plugin.tool`.
    pub tool: Option<String>,
    /// On one target.
    pub target: Option<String>,
    /// Asked at or after.
    pub after: Option<Timestamp>,
    /// Asked before.
    pub before: Option<Timestamp>,
    /// 1–1000.
    pub limit: u32,
    /// From the page before.
    pub cursor: Option<String>,
}

/// A question to people.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Question {
    /// Its id.
    pub id: QuestionId,
    /// Why it is asked.
    pub kind: QuestionKind,
    /// Where it is.
    pub status: QuestionStatus,
    /// For whom.
    pub tenant: TenantId,
    /// In which task.
    pub task: Option<TaskId>,
    /// The record that the task is about.
    pub subject: Option<Subject>,
    /// In which execution.
    pub execution: ExecutionId,
    /// Whose step it is.
    pub invocation: InvocationId,
    /// The step's number.
    pub sequence: u64,
    /// Its place in an `invoke-many`.
    pub index: u32,
    /// Who asks.
    pub plugin: PluginName,
    /// The question.
    pub text: String,
    /// JSON Schema of the answer.
    pub schema: Value,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// What somebody answered.
    pub answer: Option<Value>,
    /// Who.
    pub answered_by: Option<PrincipalName>,
    /// When.
    pub answered_at: Option<Timestamp>,
}

/// Which questions.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // as in `DecisionQuery`
pub struct QuestionQuery {
    pub tenants: Option<Vec<TenantId>>,
    pub status: Option<QuestionStatus>,
    pub task: Option<TaskId>,
    pub execution: Option<ExecutionId>,
    pub limit: u32,
    pub cursor: Option<String>,
}

/// What a parked execution waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitKey {
    /// A human's answer to an escalated decision.
    Decision(DecisionId),
    /// A human's answer to a question.
    Question(QuestionId),
    /// A time, at one step.
    Sleep(InvocationId, u64, u32),
}

impl fmt::Display for WaitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decision(id) => write!(f, "decision/{id}"),
            Self::Question(id) => write!(f, "question/{id}"),
            Self::Sleep(invocation, sequence, index) => {
                write!(f, "sleep/{invocation}/{sequence}/{index}")
            }
        }
    }
}

impl std::str::FromStr for WaitKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not what an execution waits for");
        let (kind, rest) = text.split_once('/').ok_or_else(wrong)?;
        match kind {
            "decision" => rest.parse().map(Self::Decision).map_err(|_| wrong()),
            "question" => rest.parse().map(Self::Question).map_err(|_| wrong()),
            "sleep" => {
                let mut parts = rest.split('/');
                let (Some(invocation), Some(sequence), Some(index), None) =
                    (parts.next(), parts.next(), parts.next(), parts.next())
                else {
                    return Err(wrong());
                };
                Ok(Self::Sleep(
                    invocation.parse().map_err(|_| wrong())?,
                    sequence.parse().map_err(|_| wrong())?,
                    index.parse().map_err(|_| wrong())?,
                ))
            }
            _ => Err(wrong()),
        }
    }
}

/// One reason why an execution is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// For what.
    pub key: WaitKey,
    /// At the latest until then.
    pub wake_at: Option<Timestamp>,
}

/// An execution that goes on, because what it waited for is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Woken {
    /// Which.
    pub execution: ExecutionId,
    /// Its task; none when a client called a tool.
    pub task: Option<TaskId>,
}

/// Reading decisions, questions, and who waits.
#[async_trait::async_trait]
pub trait DecisionStore: Send + Sync {
    /// One decision.
    async fn decision(&self, id: &DecisionId) -> Result<Option<Decision>, StoreError>;

    /// The newest decision about a step.
    async fn decision_of(
        &self,
        invocation: &InvocationId,
        sequence: u64,
        index: u32,
    ) -> Result<Option<Decision>, StoreError>;

    /// A page of decisions, the newest first.
    async fn decisions(&self, query: &DecisionQuery) -> Result<Page<Decision>, StoreError>;

    /// Pending and approved decisions whose time was over at `now`, the oldest first.
    async fn expired(&self, now: Timestamp, limit: u32) -> Result<Vec<Decision>, StoreError>;

    /// One question.
    async fn question(&self, id: &QuestionId) -> Result<Option<Question>, StoreError>;

    /// The newest question of a step.
    async fn question_of(
        &self,
        invocation: &InvocationId,
        sequence: u64,
        index: u32,
    ) -> Result<Option<Question>, StoreError>;

    /// A page of questions, the newest first.
    async fn questions(&self, query: &QuestionQuery) -> Result<Page<Question>, StoreError>;

    /// Executions whose wait was over at `now`, each with what it waits for.
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<(WaitKey, Woken)>, StoreError>;

    /// When the next one wakes or expires.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Executions of tools that clients called, with a decision, which are neither ended nor parked.
    async fn unfinished_calls(&self) -> Result<Vec<ExecutionId>, StoreError>;

    /// What an execution is parked for; nothing if it is not.
    async fn waits(&self, execution: &ExecutionId) -> Result<Vec<Wait>, StoreError>;

    /// How many executions are parked.
    async fn parked(&self) -> Result<u64, StoreError>;
}
