//! What the audit tells of: who did what. The names are the texts that are stored and sent.

use crate::{Digest, PrincipalName, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who did something: a principal, or the host itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct Actor(PrincipalName);

impl Actor {
    /// The host, by itself: nobody asked for it at that moment.
    pub fn host() -> Self {
        Self(PrincipalName::host())
    }
}

impl From<PrincipalName> for Actor {
    fn from(name: PrincipalName) -> Self {
        Self(name)
    }
}

impl From<&PrincipalName> for Actor {
    fn from(name: &PrincipalName) -> Self {
        Self(name.clone())
    }
}

impl AsRef<str> for Actor {
    fn as_ref(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where the audit was at a time, signed by the host: kept elsewhere, it shows whether anything up
/// to there was changed or removed afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The number of the last act.
    pub seq: u64,
    /// Its hash, which is over all before it.
    pub hash: Digest,
    /// When it was signed.
    pub at: Timestamp,
    /// The host's public key: ed25519, in base64.
    pub key: String,
    /// Of the three above with that key, in base64.
    pub signature: String,
}

/// What was done. What a plugin or a principal is called is in the act's subject.
pub struct Act;

#[allow(missing_docs)] // the names are the texts
impl Act {
    pub const TOKEN_CREATED: &'static str = "token_created";
    pub const TOKEN_REMOVED: &'static str = "token_removed";
    pub const SIGNED_IN: &'static str = "signed_in";
    pub const SIGN_IN_REFUSED: &'static str = "sign_in_refused";
    pub const PLUGIN_INSTALLED: &'static str = "plugin_installed";
    pub const PLUGIN_UPGRADED: &'static str = "plugin_upgraded";
    pub const PLUGIN_ROLLED_BACK: &'static str = "plugin_rolled_back";
    pub const PLUGIN_QUARANTINED: &'static str = "plugin_quarantined";
    pub const PLUGIN_ACTIVATED: &'static str = "plugin_activated";
    pub const PLUGIN_REMOVED: &'static str = "plugin_removed";
    pub const GRANT_CHANGED: &'static str = "grant_changed";
    pub const SETTINGS_CHANGED: &'static str = "settings_changed";
    pub const DECISION_REQUESTED: &'static str = "decision_requested";
    pub const DECISION_APPROVED: &'static str = "decision_approved";
    pub const DECISION_DENIED: &'static str = "decision_denied";
    pub const DECISION_JUDGED_DRY: &'static str = "decision_judged_dry";
    /// Nobody answered in time, or nobody began what was approved.
    pub const DECISION_EXPIRED: &'static str = "decision_expired";
    /// The tool was changed after it was asked, so an approval was not taken.
    pub const DECISION_WITHDRAWN: &'static str = "decision_withdrawn";
    /// What had expired is asked once more.
    pub const DECISION_ASKED_AGAIN: &'static str = "decision_asked_again";
    pub const QUESTION_ANSWERED: &'static str = "question_answered";
    /// A call cost more than was reserved for it.
    pub const COST_EXCEEDED: &'static str = "cost_exceeded";
    /// So much of a budget is spent or reserved.
    pub const BUDGET_WARNING: &'static str = "budget_warning";
    /// A tool cannot be called until its terms are accepted again.
    pub const TOOL_SUSPENDED: &'static str = "tool_suspended";
    pub const POLICY_CHANGED: &'static str = "policy_changed";
    pub const CONFIGURATION_CHANGED: &'static str = "configuration_changed";
    /// The key of a tenant's journals was destroyed.
    pub const JOURNALS_ERASED: &'static str = "journals_erased";
    pub const HALTED: &'static str = "halted";
    pub const RESUMED: &'static str = "resumed";
    /// A new key signs from here on.
    pub const AUDIT_KEY_MADE: &'static str = "audit_key_made";
    /// Acts were sealed at a start, because the host before ended without doing it.
    pub const AUDIT_SEALED_LATE: &'static str = "audit_sealed_late";
    /// At a start the table was not what the signed head says.
    pub const AUDIT_MISMATCH: &'static str = "audit_mismatch";
}
