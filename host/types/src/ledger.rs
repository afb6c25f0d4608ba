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
    /// What models cost that one task asks, or one call of a client's: the id of the task or of
    /// the execution.
    Models(String),
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
            Self::Models(id) => write!(f, "models/{id}"),
        }
    }
}

impl Scope {
    /// Reads what its `Display` wrote; none when the text is no scope.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "host" {
            return Some(Self::Host);
        }
        let (kind, name) = text.split_once('/')?;
        Some(match kind {
            "tenant" => Self::Tenant(TenantId::parse(name).ok()?),
            "plugin" => Self::Plugin(PluginName::parse(name).ok()?),
            "task" => Self::Task(TaskId::parse(name).ok()?),
            "models" => Self::Models(name.to_owned()),
            "agent" | "target" => {
                let (tenant, name) = name.split_once('/')?;
                let tenant = TenantId::parse(tenant).ok()?;
                if kind == "target" {
                    let target = name.to_owned();
                    return Some(Self::Target { tenant, target });
                }
                let plugin = PluginName::parse(name).ok()?;
                Self::Agent { tenant, plugin }
            }
            _ => return None,
        })
    }

    /// The tenant in it; none for those that are not one tenant's, and for tasks.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Tenant(tenant) | Self::Agent { tenant, .. } | Self::Target { tenant, .. } => {
                Some(tenant)
            }
            Self::Host | Self::Plugin(_) | Self::Task(_) | Self::Models(_) => None,
        }
    }

    /// The plugin in it.
    pub fn plugin(&self) -> Option<&PluginName> {
        match self {
            Self::Plugin(plugin) | Self::Agent { plugin, .. } => Some(plugin),
            _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_back_as_it_was_written() {
        let tenant = TenantId::parse("acme").unwrap();
        let plugin = PluginName::parse("remediation").unwrap();
        let task = TaskId::fresh();
        let scopes = [
            Scope::Host,
            Scope::Tenant(tenant.clone()),
            Scope::Plugin(plugin.clone()),
            Scope::Agent {
                tenant: tenant.clone(),
                plugin,
            },
            Scope::Task(task.clone()),
            Scope::Target {
                tenant,
                target: "rack/7 left".to_owned(),
            },
            Scope::Models(task.to_string()),
        ];
        for scope in scopes {
            assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
        }
        for text in ["", "hosts", "tenant", "agent/acme", "floor/7"] {
            assert_eq!(Scope::parse(text), None, "{text}");
        }
    }
}
