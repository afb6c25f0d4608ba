//! Metrics, logs, spans and topology of the systems that agents look after.

use crate::Timestamp;
use crate::error::Error;
use crate::port::Port;

pub use crate::bindings::imports::mandate::telemetry::data::{
    Aggregation, Edge, Label, LogLine, Point, Range, Series, Severity, Span,
};
pub use crate::bindings::imports::mandate::telemetry::query::{LogQuery, MetricQuery, SpanQuery};

/// Reads and writes telemetry; from [`Host::telemetry`](crate::Host::telemetry). Reading needs the capability
/// `telemetry = ["read"]`, writing `["write"]`; without it the answer is [`Error::Denied`].
#[derive(Clone, Copy)]
pub struct Telemetry<'h> {
    pub(crate) port: &'h Port,
}

#[allow(clippy::missing_errors_doc)] // the same for all: denied, invalid, unavailable
impl Telemetry<'_> {
    /// The series of a metric that have points in a range. The time of a bucket is its start; a bucket
    /// without points is absent.
    pub fn metrics(&self, query: &MetricQuery) -> Result<Vec<Series>, Error> {
        self.port.metrics(query)
    }

    /// The newest log lines, in the order of their time.
    pub fn logs(&self, query: &LogQuery) -> Result<Vec<LogLine>, Error> {
        self.port.logs(query)
    }

    /// The newest spans, in the order of their start.
    pub fn spans(&self, query: &SpanQuery) -> Result<Vec<Span>, Error> {
        self.port.spans(query)
    }

    /// Which service depends on which: as it was given, and as spans have shown.
    pub fn topology(&self) -> Result<Vec<Edge>, Error> {
        self.port.topology()
    }

    /// Adds points to series.
    pub fn ingest_metrics(&self, series: &[Series]) -> Result<(), Error> {
        self.port.ingest_metrics(series)
    }

    /// Adds log lines.
    pub fn ingest_logs(&self, lines: &[LogLine]) -> Result<(), Error> {
        self.port.ingest_logs(lines)
    }

    /// Adds spans.
    pub fn ingest_spans(&self, spans: &[Span]) -> Result<(), Error> {
        self.port.ingest_spans(spans)
    }

    /// Replaces the given topology.
    pub fn ingest_topology(&self, edges: &[Edge]) -> Result<(), Error> {
        self.port.ingest_topology(edges)
    }
}

impl Range {
    /// The last `micros` microseconds before `end`, which is exclusive.
    pub fn before(end: Timestamp, micros: u64) -> Self {
        Self {
            start: end.saturating_sub(micros),
            end,
        }
    }
}

impl MetricQuery {
    /// All series of a metric, as their points came.
    pub fn raw(metric: &str, range: Range) -> Self {
        Self {
            metric: metric.to_owned(),
            labels: Vec::new(),
            range,
            aggregation: Aggregation::Raw,
            step_ms: 0,
        }
    }

    /// Only series with this label.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.push(Label {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    /// Aggregated in buckets of `step_ms` milliseconds.
    pub fn aggregated(mut self, aggregation: Aggregation, step_ms: u64) -> Self {
        self.aggregation = aggregation;
        self.step_ms = step_ms;
        self
    }
}
