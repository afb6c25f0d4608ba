//! For whom and for what money is counted, and how much of it may be committed.

use crate::{MicroUsd, PluginName, TaskId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Over what money is summed.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything on this host.
    Host,
    /// All that is done for a tenant.
    Tenant(TenantId),
    /// All that a plugin asks for, whoever it works for.
    Plugin(PluginName),
    /// All that a plugin asks for on behalf of a tenant.
    Agent {
        /// For whom.
        tenant: TenantId,
        /// Who asks.
        plugin: PluginName,
    },
    /// A chain of causes: the task at its root, and all tasks below.
    Task(TaskId),
    /// What is done to one target of a tenant.
    Target {
        /// For whom.
        tenant: TenantId,
        /// To what.
        target: String,
    },
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Tenant(tenant) => write!(f, "tenant/{tenant}"),
            Self::Plugin(plugin) => write!(f, "plugin/{plugin}"),
            Self::Agent { tenant, plugin } => write!(f, "agent/{tenant}/{plugin}"),
            Self::Task(task) => write!(f, "task/{task}"),
            Self::Target { tenant, target } => write!(f, "target/{tenant}/{target}"),
        }
    }
}

/// The most that may be committed and reserved over a scope since a time. Whoever reserves money
/// names the ceilings under which it was judged; they are checked when it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ceiling {
    /// What gave it: `autonomy:target`, `budget:tenant-month`.
    pub name: String,
    /// Over what is summed.
    pub scope: Scope,
    /// From when on.
    pub since: Timestamp,
    /// The largest sum, with what is to be reserved.
    pub most: MicroUsd,
    /// When the sum begins anew, if that is at a fixed time.
    pub resets_at: Option<Timestamp>,
}
