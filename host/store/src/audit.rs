//! The audit: who did what, numbered without gaps in the transaction of the deed, and chained by
//! hashes afterwards. Rows are never changed or removed.

use crate::StoreError;
use crate::task::Page;
use mandate_types::{Actor, Digest, TenantId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

/// An act before it has its number.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAct {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What was done: one of [`mandate_types::Act`].
    pub act: &'static str,
    /// To what: `plugin/x`, `principal/ann`, `decision/dec-…`.
    pub subject: String,
    /// For whom, if it is about one tenant; others only who sees all tenants can read.
    pub tenant: Option<TenantId>,
    /// What changed, by act. Never a secret.
    pub data: Value,
}

/// An act as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditedAct {
    /// Its number, from 1, without a gap.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who did it; `mandate` is the host itself.
    pub actor: String,
    /// What was done.
    pub act: String,
    /// To what.
    pub subject: String,
    /// For whom, if it is about one tenant.
    pub tenant: Option<String>,
    /// What changed, by act: the JSON text as it is stored, because the hash is over its bytes.
    #[serde(serialize_with = "as_json", deserialize_with = "json_text")]
    #[schema(value_type = Object)]
    pub data: String,
    /// Chains it to the act before; none until it is sealed, within a second or so.
    pub hash: Option<Digest>,
}

fn as_json<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let json: &RawValue = serde_json::from_str(text).map_err(serde::ser::Error::custom)?;
    json.serialize(serializer)
}

fn json_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(|json| json.get().to_owned())
}

/// A row of the audit that does not read back as an act: it was changed by hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the act {seq} cannot be read: {reason}")]
pub struct UnreadableAct {
    /// Its number.
    pub seq: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Which acts.
#[derive(Clone, Debug, Default)]
pub struct ActQuery {
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only these, unless empty.
    pub acts: Vec<String>,
    /// Only to this.
    pub subject: Option<String>,
    /// Only of these tenants; `None` is all, and what is for none.
    pub tenants: Option<Vec<TenantId>>,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Only before this time.
    pub until: Option<Timestamp>,
    /// The oldest first, instead of the newest.
    pub oldest_first: bool,
    /// At most so many.
    pub limit: u32,
    /// Where to go on.
    pub cursor: Option<String>,
}

/// Reading the audit.
#[async_trait::async_trait]
pub trait AuditStore: Send + Sync {
    /// Acts, the newest first unless the query says otherwise.
    async fn acts(&self, query: &ActQuery) -> Result<Page<AuditedAct>, StoreError>;

    /// At most `limit` acts after the number `after`, in order, each as far as it can be read.
    async fn acts_after(
        &self,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Result<AuditedAct, UnreadableAct>>, StoreError>;

    /// The number and the hash of the last act that is sealed.
    async fn last_sealed(&self) -> Result<Option<(u64, Digest)>, StoreError>;
}

/// An audit that can only be read.
pub type SharedAudit = Arc<dyn AuditStore>;
