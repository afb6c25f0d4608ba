//! Records: versioned documents in collections that plugins declare.

use crate::StoreError;
use mandate_types::{InvocationId, PluginName, PrincipalName, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an indexed field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum FieldKind {
    Text,
    Number,
    Boolean,
    /// An array of texts; only `contains` works on it.
    Texts,
}

/// A field by which records can be filtered and ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IndexedField {
    /// A top-level property of the body.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
}

/// A named set of records, declared by exactly one plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// The installed plugin that declares it.
    pub owner: PluginName,
    /// JSON Schema of the bodies; validated before anything is written.
    pub schema: Value,
    /// `INC-{8}`: the number is how many random digits or letters stand there.
    pub id_pattern: String,
    /// What can be filtered and ordered by.
    pub indexed: Vec<IndexedField>,
    /// Top-level text properties that are searched by words.
    pub full_text: Vec<String>,
    /// Whether its plugin was removed; the data stays, the routes do not.
    pub retired: bool,
}

/// One document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Record {
    /// Where it is.
    pub collection: String,
    /// Its id within collection and tenant.
    pub id: String,
    /// For whom.
    pub tenant: TenantId,
    /// 1 when created, one more with each change.
    pub version: u64,
    /// The document.
    pub body: Value,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who created it: a principal, or the principal at the root of an agent's causes.
    pub created_by: PrincipalName,
    /// The invocation that last wrote it; none for clients.
    pub written_in: Option<InvocationId>,
}

/// A change of a record. The body was validated.
#[derive(Clone, Debug)]
pub enum RecordWrite {
    /// A new record; its `version` is 1. [`crate::CommitError::Conflict`] if the id is taken.
    Create(Record),
    /// Replaces the body of the record with the version before `record.version`.
    Update(Record),
    /// Removes the record if it has this version.
    Delete {
        /// Where.
        collection: String,
        /// For whom.
        tenant: TenantId,
        /// Which.
        id: String,
        /// The version that must be the present one.
        version: u64,
    },
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    /// The value is an array; the field equals one of its items.
    OneOf,
    /// The field is an array and holds the value.
    Contains,
}

/// One condition of a query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// An indexed field, or `id`, `version`, `created_at`, `updated_at`.
    pub field: String,
    /// How.
    pub comparison: Comparison,
    /// With what.
    pub value: Value,
}

/// The order of a listing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Order {
    /// As in [`Condition::field`].
    pub field: String,
    /// From high to low.
    pub descending: bool,
}

/// Which records.
#[derive(Clone, Debug, Serialize)]
pub struct RecordQuery {
    /// Where.
    pub collection: String,
    /// Only of these tenants; `None` is all.
    pub tenants: Option<Vec<TenantId>>,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Words to find in the full-text fields; all must be there.
    pub text: Option<String>,
    /// Newest first when absent.
    pub order: Option<Order>,
    /// 1–1000.
    pub limit: u32,
    /// From the page before.
    pub cursor: Option<String>,
}

/// A page of records.
pub type RecordPage = crate::task::Page<Record>;

/// Reading records.
#[async_trait::async_trait]
pub trait RecordStore: Send + Sync {
    /// All collections, retired ones too.
    async fn collections(&self) -> Result<Vec<Collection>, StoreError>;

    /// One record.
    async fn record(
        &self,
        collection: &str,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<Record>, StoreError>;

    /// A page of records. The collection's declaration says which fields may be named.
    async fn find(
        &self,
        collection: &Collection,
        query: &RecordQuery,
    ) -> Result<RecordPage, StoreError>;
}
