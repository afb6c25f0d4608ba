//! An alert as it is kept: one record for each thing that a source may complain about, however often it does.

use incident_contract::incident::Severity;
use incident_contract::{Signal, Time};
use mandate_sdk::prelude::*;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The collection.
pub const COLLECTION: &str = "alerts";

/// Changes of which the times are kept; more than make an alert flapping.
pub const MOST_CHANGES: usize = 16;

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// What it tells of goes on.
    Firing,
    /// It goes on, and somebody looks at it.
    Acknowledged,
    /// A human does not want to hear of it.
    Suppressed,
    /// It is expected: somebody works there.
    Maintenance,
    /// It is over.
    Resolved,
}

impl AlertStatus {
    /// Whether a human said that it is not to be followed.
    pub fn is_muted(self) -> bool {
        matches!(self, Self::Suppressed | Self::Maintenance)
    }
}

/// What the source said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reported {
    /// It goes on.
    Firing,
    /// It is over.
    Resolved,
}

/// How bad the source thinks it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    /// Worth a note.
    Low,
    /// For information.
    Info,
    /// It may become a problem.
    Warning,
    /// It is a problem. Also what a source that says nothing is taken to mean.
    High,
    /// It hurts now.
    Critical,
}

impl AlertSeverity {
    /// From whatever word a source uses; unsure means higher.
    pub fn from_word(word: &str) -> Self {
        match word.trim().to_lowercase().as_str() {
            "critical" | "crit" | "page" | "emergency" | "fatal" | "disaster" | "p1" | "sev1"
            | "sev-1" => Self::Critical,
            "warning" | "warn" | "minor" | "average" | "p3" | "sev3" | "sev-3" => Self::Warning,
            "info" | "information" | "informational" | "notice" | "none" | "p4" | "sev4"
            | "sev-4" => Self::Info,
            "low" | "debug" | "p5" | "sev5" | "sev-5" => Self::Low,
            _ => Self::High,
        }
    }

    /// What an incident is worth that this alert begins.
    pub fn of_incident(self) -> Severity {
        match self {
            Self::Critical => Severity::Critical,
            Self::High => Severity::High,
            Self::Warning => Severity::Medium,
            Self::Info | Self::Low => Severity::Low,
        }
    }
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// What the source tells its alerts apart by.
    #[schemars(length(max = 200))]
    pub fingerprint: String,
    /// Who sent it: `alertmanager`, `cloudwatch`.
    #[schemars(length(max = 100))]
    pub source: String,
    /// What it is called there.
    #[schemars(length(max = 200))]
    pub name: String,
    /// Where it stands.
    pub status: AlertStatus,
    /// What the source said last; differs from the status while an alert is held open, or a human decided.
    pub reported: Reported,
    /// How bad the source thinks it is.
    pub severity: AlertSeverity,
    /// The component that it is about, if the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub service: Option<String>,
    /// What is wrong with it, if the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// One line for people.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub summary: String,
    /// What the source says of where it is.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What the source says for people.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// When it began, the last time.
    pub starts_at: Time,
    /// When it ended, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// When the source last spoke of it.
    pub last_seen_at: Time,
    /// How often the source spoke of it.
    pub count: u64,
    /// How often it changed between firing and resolved, as far as known.
    pub flaps: u32,
    /// When it changed, the last times only.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub changes: Vec<Time>,
    /// It changes so often that it is held open until it is quiet.
    #[serde(default)]
    pub flapping: bool,
    /// The incident that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub incident: Option<String>,
    /// Where the source shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub url: Option<String>,
}

impl Alert {
    /// Whether an incident has to care for it. One that is only held open begins nothing.
    pub fn needs_incident(&self) -> bool {
        let followed = matches!(self.status, AlertStatus::Firing | AlertStatus::Acknowledged);
        followed && self.reported == Reported::Firing
    }
}

/// The id of the record for what a source tells apart by `fingerprint`.
pub fn id_of(source: &str, fingerprint: &str) -> String {
    format!("ALT-{}", short_digest(&[source, fingerprint]))
}

/// 16 hexadecimal digits that stand for some texts.
pub fn short_digest(texts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        // With its length, so that no two lists of texts are one text.
        digest.update(text.len().to_le_bytes());
        digest.update(text.as_bytes());
    }
    let mut id = String::new();
    for byte in digest.finalize().iter().take(8) {
        // Writing to a String does not fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}
