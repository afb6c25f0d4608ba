//! The host's own logs and metrics. What agents look at is called telemetry, and is elsewhere.

mod traces;

pub use traces::Traces;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal as _;
use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Whose spans are exported.
const SPANS_OF: &str = "mandate_llm";

/// Bounds of latency histograms, in seconds: from cheap reads to long executions.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Starts logging to standard error: lines for people on a terminal, JSON elsewhere.
/// `MANDATE_LOG` filters, as `RUST_LOG` does: `info`, `mandate=debug`. Spans of model calls go to
/// whom the environment names; what is returned is stopped at the end.
///
/// # Errors
/// What is wrong with what the environment says about traces.
pub fn start_logging() -> anyhow::Result<Option<Traces>> {
    let traces = Traces::start();
    let spans = traces.as_ref().ok().and_then(Option::as_ref).map(|traces| {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(traces.tracer())
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        // The calls and what happens in them, also what the log leaves out.
        layer.with_filter(Targets::new().with_target(SPANS_OF, Level::DEBUG))
    });
    let filter = EnvFilter::try_from_env("MANDATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if std::io::stderr().is_terminal() {
        lines.compact().boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(spans)
        .init();
    traces
}

/// Starts collecting metrics.
///
/// # Errors
/// When metrics are collected already.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .context("metrics cannot be collected")
}
