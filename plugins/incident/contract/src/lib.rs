//! What the incident plugins say to each other, in one place: the incident record, which `incidents` owns and the
//! commander keeps, and the ranking of suspects, which `monitoring` makes and the agents read.
//!
//! No schema is written twice: what is derived from these types is what the host enforces.

pub mod incident;
pub mod ranking;
pub mod runbook;

use serde::{Deserialize, Serialize};

/// A moment, in RFC 3339.
pub type Time = chrono::DateTime<chrono::Utc>;

/// Arguments of a tool: a JSON object whose schema is the tool's.
pub type Arguments = serde_json::Map<String, serde_json::Value>;

/// A moment from the host's clock.
pub fn time(micros: u64) -> Time {
    i64::try_from(micros)
        .ok()
        .and_then(Time::from_timestamp_micros)
        .unwrap_or_default()
}

/// A moment in the host's microseconds; what lies before 1970 is 0.
pub fn micros(time: Time) -> u64 {
    u64::try_from(time.timestamp_micros()).unwrap_or_default()
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Inclusive.
    pub start: Time,
    /// Exclusive.
    pub end: Time,
}

/// What can be wrong with a service as its callers see it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// It answers slowly.
    Latency,
    /// It answers with errors, or not at all.
    Availability,
}

/// What a component suffers from, as far as the evidence tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Slow, for no reason that can be seen.
    Latency,
    /// Errors, for no reason that can be seen.
    Errors,
    /// Memory grows until it restarts.
    Leak,
    /// The processor is busy.
    Cpu,
    /// A pool, queue or quota is full.
    Saturation,
    /// It began with a deployment.
    BadDeployment,
    /// Something that it depends on, and that is not watched, is gone.
    DependencyLoss,
    /// It began with a change of configuration.
    Configuration,
}
