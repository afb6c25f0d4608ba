//! What guests see of telemetry: the port of the kernel over the store.

use mandate_kernel::Telemetry;
use mandate_runtime::bindings::telemetry::data;
use mandate_runtime::bindings::telemetry::query as ask;
use mandate_runtime::bindings::types::types::{Error, Outage};
use mandate_store::SharedSeries;
use mandate_store::series::{
    Aggregation, Edge, Excess, LabelError, LogLine, LogQuery, PointBatch, PointQuery, Range,
    SeriesError, Severity, Span, SpanQuery, check_time,
};
use mandate_types::{TenantId, Timestamp};
use std::time::Duration;

/// Telemetry from the store.
pub struct StoredTelemetry(pub SharedSeries);

fn told(error: SeriesError) -> Error {
    match error {
        SeriesError::Invalid(text) => Error::Invalid(text),
        SeriesError::Busy => Error::Unavailable(Outage {
            reason: error.to_string(),
            retry_after_ms: Some(1_000),
        }),
        SeriesError::Store(error) => Error::Unavailable(Outage {
            reason: error.to_string(),
            retry_after_ms: None,
        }),
    }
}

/// The `place`th item of a list is wrong.
fn wrong(list: &str, place: usize, error: &LabelError) -> Error {
    Error::Invalid(format!("{list}[{place}]: {error}"))
}

fn time(micros: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

fn micros(time: Timestamp) -> u64 {
    u64::try_from(time.micros()).unwrap_or(0)
}

fn range(range: data::Range) -> Range {
    Range {
        start: time(range.start),
        end: time(range.end),
    }
}

fn pairs(labels: Vec<data::Label>) -> Vec<(String, String)> {
    labels
        .into_iter()
        .map(|label| (label.name, label.value))
        .collect()
}

fn labels(pairs: Vec<(String, String)>) -> Vec<data::Label> {
    pairs
        .into_iter()
        .map(|(name, value)| data::Label { name, value })
        .collect()
}

fn aggregation(aggregation: data::Aggregation) -> Aggregation {
    match aggregation {
        data::Aggregation::Raw => Aggregation::Raw,
        data::Aggregation::Mean => Aggregation::Mean,
        data::Aggregation::Minimum => Aggregation::Minimum,
        data::Aggregation::Maximum => Aggregation::Maximum,
        data::Aggregation::Sum => Aggregation::Sum,
        data::Aggregation::Count => Aggregation::Count,
        data::Aggregation::Rate => Aggregation::Rate,
        data::Aggregation::Quantile(q) => Aggregation::Quantile(q),
    }
}

fn severity(severity: data::Severity) -> Severity {
    match severity {
        data::Severity::Debug => Severity::Debug,
        data::Severity::Info => Severity::Info,
        data::Severity::Warning => Severity::Warning,
        data::Severity::Error => Severity::Error,
        data::Severity::Fatal => Severity::Fatal,
    }
}

fn severity_back(severity: Severity) -> data::Severity {
    match severity {
        Severity::Debug => data::Severity::Debug,
        Severity::Info => data::Severity::Info,
        Severity::Warning => data::Severity::Warning,
        Severity::Error => data::Severity::Error,
        Severity::Fatal => data::Severity::Fatal,
    }
}

fn limit(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn batch(series: &[data::Series]) -> Result<PointBatch, Error> {
    let mut batch = PointBatch::default();
    for (place, one) in series.iter().enumerate() {
        let mut labels: Vec<(&str, &str)> = one
            .labels
            .iter()
            .map(|label| (label.name.as_str(), label.value.as_str()))
            .collect();
        batch
            .series(&one.metric, &mut labels)
            .map_err(|error| wrong("series", place, &error))?;
        for point in &one.points {
            let time = time(point.time);
            check_time("time", time).map_err(|error| wrong("series", place, &error))?;
            batch.point(time.micros(), point.value);
        }
    }
    Ok(batch)
}

#[async_trait::async_trait]
impl Telemetry for StoredTelemetry {
    async fn metrics(
        &self,
        tenant: &TenantId,
        query: ask::MetricQuery,
    ) -> Result<Vec<data::Series>, Error> {
        let query = PointQuery {
            metric: query.metric,
            labels: pairs(query.labels),
            range: range(query.range),
            aggregation: aggregation(query.aggregation),
            step: Duration::from_millis(query.step_ms),
        };
        let found = self.0.points(tenant, query).await.map_err(told)?;
        let series = found.into_iter().map(|one| data::Series {
            metric: one.key.metric().to_owned(),
            labels: one
                .key
                .labels()
                .map(|(name, value)| data::Label {
                    name: name.to_owned(),
                    value: value.to_owned(),
                })
                .collect(),
            points: one
                .points
                .into_iter()
                .map(|point| data::Point {
                    time: micros(Timestamp::from_micros(point.time)),
                    value: point.value,
                })
                .collect(),
        });
        Ok(series.collect())
    }

    async fn logs(
        &self,
        tenant: &TenantId,
        query: ask::LogQuery,
    ) -> Result<Vec<data::LogLine>, Error> {
        let query = LogQuery {
            service: query.service,
            at_least: query.at_least.map(severity),
            text: query.text,
            range: range(query.range),
            limit: limit(query.limit),
        };
        let found = self.0.logs(tenant, query).await.map_err(told)?;
        let lines = found.into_iter().map(|line| data::LogLine {
            time: micros(line.time),
            service: line.service,
            severity: severity_back(line.severity),
            message: line.message,
            labels: labels(line.labels),
        });
        Ok(lines.collect())
    }

    async fn spans(
        &self,
        tenant: &TenantId,
        query: ask::SpanQuery,
    ) -> Result<Vec<data::Span>, Error> {
        let query = SpanQuery {
            service: query.service,
            trace_id: query.trace_id,
            errors_only: query.errors_only,
            range: range(query.range),
            limit: limit(query.limit),
        };
        let found = self.0.spans(tenant, query).await.map_err(told)?;
        let spans = found.into_iter().map(|span| data::Span {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_id: span.parent_id,
            service: span.service,
            operation: span.operation,
            start: micros(span.start),
            duration_us: span.duration_us,
            error: span.error,
            labels: labels(span.labels),
        });
        Ok(spans.collect())
    }

    async fn topology(&self, tenant: &TenantId) -> Result<Vec<data::Edge>, Error> {
        let edges = self.0.topology(tenant).await.map_err(told)?;
        let edges = edges.into_iter().map(|edge| data::Edge {
            caller: edge.caller,
            callee: edge.callee,
        });
        Ok(edges.collect())
    }

    async fn add_metrics(&self, tenant: &TenantId, series: Vec<data::Series>) -> Result<(), Error> {
        let batch = batch(&series)?;
        let added = self.0.add_points(tenant, batch, Excess::Refuse).await;
        added.map(drop).map_err(told)
    }

    async fn add_logs(&self, tenant: &TenantId, lines: Vec<data::LogLine>) -> Result<(), Error> {
        let mut all = Vec::with_capacity(lines.len());
        for (place, line) in lines.into_iter().enumerate() {
            let mut line = LogLine {
                time: time(line.time),
                service: line.service,
                severity: severity(line.severity),
                message: line.message,
                labels: pairs(line.labels),
            };
            line.check()
                .map_err(|error| wrong("lines", place, &error))?;
            all.push(line);
        }
        let added = self.0.add_logs(tenant, all, Excess::Refuse).await;
        added.map(drop).map_err(told)
    }

    async fn add_spans(&self, tenant: &TenantId, spans: Vec<data::Span>) -> Result<(), Error> {
        let mut all = Vec::with_capacity(spans.len());
        for (place, span) in spans.into_iter().enumerate() {
            let mut span = Span {
                trace_id: span.trace_id,
                span_id: span.span_id,
                parent_id: span.parent_id,
                service: span.service,
                operation: span.operation,
                start: time(span.start),
                duration_us: span.duration_us,
                error: span.error,
                labels: pairs(span.labels),
            };
            span.check()
                .map_err(|error| wrong("spans", place, &error))?;
            all.push(span);
        }
        let added = self.0.add_spans(tenant, all, Excess::Refuse).await;
        added.map(drop).map_err(told)
    }

    async fn set_topology(&self, tenant: &TenantId, edges: Vec<data::Edge>) -> Result<(), Error> {
        let mut all = Vec::with_capacity(edges.len());
        for (place, edge) in edges.into_iter().enumerate() {
            let edge = Edge {
                caller: edge.caller,
                callee: edge.callee,
            };
            edge.check()
                .map_err(|error| wrong("edges", place, &error))?;
            all.push(edge);
        }
        self.0.set_topology(tenant, all).await.map_err(told)
    }
}
