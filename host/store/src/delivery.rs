//! What was delivered to webhooks.

use crate::StoreError;
use mandate_types::{DeliveryId, Digest, PluginName, PrincipalName, TenantId, Timestamp};
use serde::Serialize;
use serde_json::Value;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It is kept, and will be done, also after a crash.
    Accepted,
    /// The tool took it.
    Done,
    /// The tool did not take it, and is not asked again.
    Failed,
}

impl DeliveryStatus {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// From [`DeliveryStatus::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Accepted, Self::Done, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// Which deliveries are one: those to a webhook, for a tenant, with the same key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct DeliveryKey {
    /// The plugin.
    pub plugin: PluginName,
    /// The webhook's path.
    pub webhook: String,
    /// For whom.
    pub tenant: TenantId,
    /// Digest of what the sender tells deliveries apart by.
    pub key: Digest,
}

/// A delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The plugin.
    pub plugin: PluginName,
    /// The webhook's path.
    pub webhook: String,
    /// For whom.
    pub tenant: TenantId,
    /// Who delivered it.
    pub principal: PrincipalName,
    /// Digest of what the sender tells deliveries apart by, if he does.
    pub key: Option<Digest>,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// How often the tool was called.
    pub attempts: u32,
    /// What was delivered; null once it is not needed any more.
    pub body: Value,
    /// What the tool answered, or the problem that it failed with.
    pub answer: Option<Value>,
    /// When it was delivered.
    pub at: Timestamp,
    /// When it was done or given up.
    pub ended_at: Option<Timestamp>,
}

/// Reading deliveries.
#[async_trait::async_trait]
pub trait DeliveryStore: Send + Sync {
    /// One delivery.
    async fn delivery(&self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// The delivery with this key, as long as it is remembered.
    async fn delivered(&self, key: &DeliveryKey) -> Result<Option<Delivery>, StoreError>;

    /// Those that still have to be done, the oldest first.
    async fn undelivered(&self) -> Result<Vec<Delivery>, StoreError>;
}
