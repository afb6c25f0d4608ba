//! Notifications: through which channel, and when, people are told of a pending decision.

use crate::StoreError;
use crate::decision::Decision;
use mandate_types::{DecisionId, Timestamp};
use serde::Serialize;

/// Where a notification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationStatus {
    /// It is to be delivered, at its time or as soon as that succeeds.
    Planned,
    /// It was delivered.
    Delivered,
    /// Its decision was answered before.
    Dropped,
}

impl NotificationStatus {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Delivered => "delivered",
            Self::Dropped => "dropped",
        }
    }

    /// From [`NotificationStatus::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Planned, Self::Delivered, Self::Dropped]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// One time that people are told of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Notification {
    /// Of which decision.
    #[serde(skip)]
    pub decision: DecisionId,
    /// From 0, in the order in which they are due.
    pub number: u32,
    /// Through which channel.
    pub channel: String,
    /// When it is to be delivered, or tried again.
    pub due_at: Timestamp,
    /// Where it stands.
    pub status: NotificationStatus,
    /// How often that was tried.
    pub attempts: u32,
    /// Why the last try failed.
    pub error: Option<String>,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
}

/// Reading notifications.
#[async_trait::async_trait]
pub trait NotificationStore: Send + Sync {
    /// Those of a decision, in order.
    async fn notifications(&self, decision: &DecisionId) -> Result<Vec<Notification>, StoreError>;

    /// Those whose time has come at `now`, the earliest first; their decision may be answered.
    async fn notifications_due(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Notification>, StoreError>;

    /// When the next one is due.
    async fn next_notification(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Pending decisions without notifications, the oldest first; none about the tool `except`.
    async fn unnotified(&self, except: &str, limit: u32) -> Result<Vec<Decision>, StoreError>;
}
