//! Tools that look at telemetry and change nothing: series, log lines, spans and topology as they are, whether
//! components are healthy, and which component is the likely cause of a symptom.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod frame;
mod golden;
mod health;
mod logs;
mod metrics;
mod rank;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod topology;
mod traces;
mod window;

pub use health::Health;
pub use logs::Logs;
pub use metrics::Metrics;
pub use rank::Rank;
pub use topology::Topology;
pub use traces::Traces;

mandate_sdk::tools!(Metrics, Logs, Traces, Topology, Health, Rank);
