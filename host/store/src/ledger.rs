//! Money that was reserved, and what became of it.

use crate::StoreError;
use crate::task::Page;
use mandate_types::{
    DecisionId, ExecutionId, MicroUsd, PluginName, Scope, TaskId, TenantId, Timestamp,
};
use serde::Serialize;

/// What money is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpendingKind {
    /// An effect in the outside world.
    Effect,
    /// A call of a language model.
    Model,
}

impl SpendingKind {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Effect => "effect",
            Self::Model => "model",
        }
    }

    /// From [`SpendingKind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Effect, Self::Model]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// One reservation.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct LedgerEntry {
    /// That of the decision, or of the attempt.
    pub id: String,
    /// For what.
    pub kind: SpendingKind,
    /// For whom.
    pub tenant: TenantId,
    /// Who asked; none when a client did.
    pub plugin: Option<PluginName>,
    /// In which execution.
    pub execution: ExecutionId,
    /// In which task.
    pub task: Option<TaskId>,
    /// Under which decision.
    pub decision: Option<DecisionId>,
    /// At which provider of models.
    pub provider: Option<String>,
    /// At which of its models.
    pub model: Option<String>,
    /// The most that it may cost.
    pub reserved: MicroUsd,
    /// What it cost; none as long as that is not known.
    pub settled: Option<MicroUsd>,
    /// Whether it was booked in full because nobody knows what it cost.
    pub uncertain: bool,
    /// When it was reserved.
    pub at: Timestamp,
    /// When it was settled or released.
    pub ended_at: Option<Timestamp>,
    /// Over what it counts; empty when it is read back.
    #[serde(skip)]
    pub scopes: Vec<Scope>,
}

/// Which entries.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // as in `DecisionQuery`
pub struct LedgerQuery {
    pub tenants: Option<Vec<TenantId>>,
    pub kind: Option<SpendingKind>,
    pub execution: Option<ExecutionId>,
    pub task: Option<TaskId>,
    pub limit: u32,
    pub cursor: Option<String>,
}

/// What is spent and reserved over one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Over what.
    pub scope: Scope,
    /// What ended cost.
    pub settled: MicroUsd,
    /// What has not ended may still cost.
    pub reserved: MicroUsd,
}

/// Which scopes.
#[derive(Clone, Debug)]
pub struct SpentQuery {
    /// How the texts of the scopes begin: `host`, `tenant/`.
    pub scopes: &'static str,
    /// Since when money counts.
    pub since: Timestamp,
    /// Only money that was spent for these.
    pub tenants: Option<Vec<TenantId>>,
    /// The most scopes: those come first over which most is spent.
    pub limit: u32,
}

/// Reading the ledger.
#[async_trait::async_trait]
pub trait LedgerStore: Send + Sync {
    /// What is committed and reserved for effects over each scope since its time, in the order of
    /// the questions. Refunds never lower it.
    async fn spent(&self, over: &[(Scope, Timestamp)]) -> Result<Vec<MicroUsd>, StoreError>;

    /// The scopes of one kind over which something was spent, on effects or models, the most
    /// first.
    async fn spent_by_scope(&self, query: &SpentQuery) -> Result<Vec<Spent>, StoreError>;

    /// A page of entries, the newest first.
    async fn ledger(&self, query: &LedgerQuery) -> Result<Page<LedgerEntry>, StoreError>;
}
