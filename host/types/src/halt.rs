//! The kill switch as data: what is halted, since when, by whom and why.

use crate::{PluginName, PrincipalName, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a halt covers. As text: `host`, `tenant/acme`, `plugin/incident-triage`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HaltScope {
    /// Everything.
    Host,
    /// What is done for a tenant.
    Tenant(TenantId),
    /// What a plugin does, and the executions in which it takes part.
    Plugin(PluginName),
}

/// A text that names nothing which can be halted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be halted: expected `host`, `tenant/NAME` or `plugin/NAME`")]
pub struct HaltScopeError(String);

impl utoipa::PartialSchema for HaltScope {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for HaltScope {}

impl FromStr for HaltScope {
    type Err = HaltScopeError;

    fn from_str(text: &str) -> Result<Self, HaltScopeError> {
        let wrong = || HaltScopeError(text.chars().take(80).collect());
        match text.split_once('/') {
            None if text == "host" => Ok(Self::Host),
            Some(("tenant", name)) => TenantId::parse(name).map(Self::Tenant).map_err(|_| wrong()),
            Some(("plugin", name)) => PluginName::parse(name)
                .map(Self::Plugin)
                .map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for HaltScope {
    type Error = HaltScopeError;

    fn try_from(text: String) -> Result<Self, HaltScopeError> {
        text.parse()
    }
}

impl From<HaltScope> for String {
    fn from(scope: HaltScope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for HaltScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Tenant(tenant) => write!(f, "tenant/{tenant}"),
            Self::Plugin(plugin) => write!(f, "plugin/{plugin}"),
        }
    }
}

/// Until it is resumed, nothing that it covers starts or has effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Halt {
    /// What is halted.
    pub scope: HaltScope,
    /// For people.
    pub reason: String,
    /// Who halted it.
    pub by: PrincipalName,
    /// Since when.
    pub at: Timestamp,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            HaltScope::Host => f.write_str("the host")?,
            HaltScope::Tenant(tenant) => write!(f, "the tenant `{tenant}`")?,
            HaltScope::Plugin(plugin) => write!(f, "the plugin `{plugin}`")?,
        }
        let Self { reason, by, at, .. } = self;
        write!(f, " is halted since {at} by `{by}`: {reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back_as_it_is_written() {
        for text in ["host", "tenant/acme", "plugin/incident-triage"] {
            let scope: HaltScope = text.parse().unwrap();
            assert_eq!(scope.to_string(), text);
            let json = serde_json::to_value(&scope).unwrap();
            assert_eq!(serde_json::from_value::<HaltScope>(json).unwrap(), scope);
        }
        for wrong in [
            "",
            "Host",
            "host/",
            "tenant",
            "tenant/",
            "plugin/A B",
            "task/x",
        ] {
            assert!(wrong.parse::<HaltScope>().is_err(), "{wrong}");
        }
    }
}
