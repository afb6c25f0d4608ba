//! Principals: who may come in, as what, for which tenants.

use crate::StoreError;
use mandate_types::{Digest, PrincipalName, Role, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// A named user or token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Principal {
    /// Its name.
    pub name: PrincipalName,
    /// What it may do.
    pub role: Role,
    /// For which tenants; empty means all (operators and admins only).
    pub tenants: Vec<TenantId>,
    /// SHA-256 of the token; tokens have 256 random bits, so a slow hash adds nothing.
    #[serde(skip_serializing, default = "no_token")]
    pub token: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its token ends, if it does.
    pub expires_at: Option<Timestamp>,
}

fn no_token() -> Digest {
    Digest::of(b"")
}

/// Reading principals.
#[async_trait::async_trait]
pub trait PrincipalStore: Send + Sync {
    /// All of them, by name.
    async fn principals(&self) -> Result<Vec<Principal>, StoreError>;

    /// The one whose token has this digest.
    async fn principal_by_token(&self, token: &Digest) -> Result<Option<Principal>, StoreError>;
}
