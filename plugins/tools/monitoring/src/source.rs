//! Where telemetry is read from: the host, or a store in memory in tests, which plays ranges and aggregation.

use mandate_sdk::Error;
use mandate_sdk::telemetry::{
    Edge, LogLine, LogQuery, MetricQuery, Series, Span, SpanQuery, Telemetry,
};

/// What can be read.
pub trait Source {
    /// Series of a metric.
    fn metrics(&self, query: &MetricQuery) -> Result<Vec<Series>, Error>;
    /// Log lines.
    fn logs(&self, query: &LogQuery) -> Result<Vec<LogLine>, Error>;
    /// Spans.
    fn spans(&self, query: &SpanQuery) -> Result<Vec<Span>, Error>;
    /// Who calls whom.
    fn topology(&self) -> Result<Vec<Edge>, Error>;
}

impl Source for Telemetry<'_> {
    fn metrics(&self, query: &MetricQuery) -> Result<Vec<Series>, Error> {
        Telemetry::metrics(self, query)
    }

    fn logs(&self, query: &LogQuery) -> Result<Vec<LogLine>, Error> {
        Telemetry::logs(self, query)
    }

    fn spans(&self, query: &SpanQuery) -> Result<Vec<Span>, Error> {
        Telemetry::spans(self, query)
    }

    fn topology(&self) -> Result<Vec<Edge>, Error> {
        Telemetry::topology(self)
    }
}
