//! Telemetry as the host's parts see it: the port of guests over the store, and the upkeep that
//! removes what is past its time. The routes are in `api/telemetry`.

pub mod ndjson;
pub mod otlp;
mod port;
mod words;

pub use ndjson::seconds;
pub use port::StoredTelemetry;
pub use words::aggregation;

use mandate_store::{SeriesSettings, SharedSeries};
use mandate_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often what is past its time is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// `[telemetry]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Days that telemetry is kept, by its own time; 0 is for ever.
    pub retention_days: u32,
    /// Bytes that telemetry may take on disk; the oldest goes first.
    pub max_bytes: u64,
    /// Metric series that one tenant may have.
    pub max_series: usize,
    /// The most bytes of a body with telemetry, as it is sent.
    pub body_limit: usize,
    /// The most bytes of such a body once it is inflated.
    pub inflated_limit: usize,
    /// Bytes of such bodies that are worked on at the same time; more are told to come again.
    pub work_limit: usize,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        let series = SeriesSettings::default();
        let kept = series.retention.map_or(0, |kept| kept.as_secs() / 86_400);
        Self {
            retention_days: u32::try_from(kept).unwrap_or(u32::MAX),
            max_bytes: series.max_bytes,
            max_series: series.max_series,
            body_limit: 16 << 20,
            inflated_limit: 64 << 20,
            work_limit: 256 << 20,
        }
    }
}

impl TelemetryConfig {
    /// As the store takes it.
    pub fn settings(&self) -> SeriesSettings {
        let days = u64::from(self.retention_days);
        SeriesSettings {
            retention: (days > 0).then(|| Duration::from_secs(days * 86_400)),
            max_bytes: self.max_bytes,
            max_series: self.max_series,
        }
    }
}

/// Removes what is past its time, now and then.
pub async fn sweep(series: SharedSeries) {
    loop {
        match series.sweep(Timestamp::now()).await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "telemetry past its time was removed"),
            Err(error) => tracing::warn!(%error, "telemetry past its time cannot be removed"),
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}
