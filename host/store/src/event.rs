//! Events: what happened, numbered without gaps, for subscribers.

use crate::StoreError;
use mandate_types::{Subject, TaskId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An event before it has its number.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// When.
    pub time: Timestamp,
    /// One of [`mandate_types::EventKind`], or `<plugin>.<kind>`.
    pub kind: String,
    /// The record that it is about.
    pub subject: Option<Subject>,
    /// The task that it belongs to.
    pub task: Option<TaskId>,
    /// For whom.
    pub tenant: TenantId,
    /// By kind.
    pub data: Value,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    /// Its number; no reader sees n+1 before n.
    pub seq: u64,
    /// When.
    pub time: Timestamp,
    /// What kind.
    pub kind: String,
    /// The record that it is about.
    pub subject: Option<Subject>,
    /// The task that it belongs to.
    pub task: Option<TaskId>,
    /// For whom.
    pub tenant: TenantId,
    /// By kind.
    pub data: Value,
}

/// Which events, by number.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Only later than this number.
    pub after: u64,
    /// Only up to this number.
    pub to: Option<u64>,
    /// Only what happened until then.
    pub until: Option<Timestamp>,
    /// Only of these tenants; `None` is all.
    pub tenants: Option<Vec<TenantId>>,
    /// Only of these kinds, unless empty.
    pub kinds: Vec<String>,
    /// Only of this task.
    pub task: Option<TaskId>,
    /// Only about this record.
    pub subject: Option<Subject>,
    /// At most so many.
    pub limit: u32,
    /// The newest first, instead of the oldest.
    pub newest_first: bool,
}

/// Reading events.
#[async_trait::async_trait]
pub trait EventStore: Send + Sync {
    /// Events in order of their numbers, or the newest first.
    async fn events(&self, query: &EventQuery) -> Result<Vec<Event>, StoreError>;

    /// The number of the last event; 0 when there was none.
    async fn last_event(&self) -> Result<u64, StoreError>;

    /// The number of the oldest event that is still kept; one more than the last when there is none.
    async fn first_event(&self) -> Result<u64, StoreError>;
}
