//! `/telemetry`: what agents look at, in and out. One file per kind; `otlp` takes what exporters
//! of OpenTelemetry send.

mod intake;
mod range;

pub mod logs;
pub mod metrics;
pub mod otlp;
pub mod spans;
pub mod topology;

pub use intake::Intake;

use super::error::ApiError;
use mandate_store::series::SeriesError;
use mandate_types::Problem;
use serde::Serialize;
use std::time::Duration;

/// What was written.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Accepted {
    /// Points, lines, spans or edges that were written; they are on disk.
    pub accepted: u64,
    /// Values that were null, and are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<u64>,
}

impl Accepted {
    fn of(count: usize) -> Self {
        Self {
            accepted: count as u64,
            missing: None,
        }
    }
}

impl From<SeriesError> for ApiError {
    fn from(error: SeriesError) -> Self {
        match error {
            SeriesError::Invalid(text) => Problem::invalid(text).into(),
            SeriesError::Busy => Self::overloaded(&error.to_string(), Duration::from_secs(1)),
            SeriesError::Store(error) => error.into(),
        }
    }
}
