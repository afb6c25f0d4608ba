//! Policies: what operators wrote of what is judged how, each version as it was written.

use crate::StoreError;
use mandate_types::{Actor, Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// One version of the policy. The store does not know what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PolicyVersion {
    /// From 1, without a gap.
    pub generation: u64,
    /// SHA-256 of what it says, however that is written.
    pub digest: Digest,
    /// As it was written.
    pub text: String,
    /// How it came: `api`, or `file:` and the digest of a file that the configuration names.
    pub source: String,
    /// Who put it.
    pub put_by: Actor,
    /// When.
    pub put_at: Timestamp,
}

/// Reading policies.
#[async_trait::async_trait]
pub trait PolicyStore: Send + Sync {
    /// The newest; none if there never was one.
    async fn policy(&self) -> Result<Option<PolicyVersion>, StoreError>;

    /// At most `limit` of those before a generation, or of all, the newest first.
    async fn policies(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<PolicyVersion>, StoreError>;
}
