//! Packages (bytes, by digest) and installations (names, grants, settings).

use crate::StoreError;
use mandate_policy::Grant;
use mandate_types::{Digest, PluginName, PrincipalName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One component's bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    /// SHA-256 of the bytes without a signature section.
    pub digest: Digest,
    /// The whole file.
    pub bytes: Vec<u8>,
    /// When it came.
    pub stored_at: Timestamp,
}

/// Where an installation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstallationStatus {
    /// Takes work.
    Active,
    /// Takes no new work; what runs goes on.
    Quarantined,
}

/// A plugin under a name, with what the operator allows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Installation {
    /// Its name on this host.
    pub name: PluginName,
    /// The package that new work runs.
    pub digest: Digest,
    /// The package before, for rollback.
    pub previous: Option<Digest>,
    /// What the operator filled in.
    pub settings: Value,
    /// What the operator allows; `grant.generation` goes up with each change of anything here.
    pub grant: Grant,
    /// Where it is.
    pub status: InstallationStatus,
    /// When it was first installed.
    pub installed_at: Timestamp,
    /// When anything here last changed.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: PrincipalName,
}

/// How far a trigger has come: the last event it looked at, or the last tick it fired.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerState {
    /// `<plugin>/<n>`.
    pub name: String,
    /// The number of the last event looked at; 0 for schedules.
    pub event: u64,
    /// The last tick; none for events.
    pub tick: Option<Timestamp>,
}

/// Reading packages, installations and triggers.
#[async_trait::async_trait]
pub trait PluginStore: Send + Sync {
    /// All installations.
    async fn installations(&self) -> Result<Vec<Installation>, StoreError>;

    /// What was installed as `name` when that was last removed.
    async fn former_installation(
        &self,
        name: &PluginName,
    ) -> Result<Option<Installation>, StoreError>;

    /// A package's bytes.
    async fn package(&self, digest: &Digest) -> Result<Option<Package>, StoreError>;

    /// All trigger states.
    async fn triggers(&self) -> Result<Vec<TriggerState>, StoreError>;
}
