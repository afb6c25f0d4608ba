//! Capability `telemetry`: what agents look at, behind a port that denies until a host has one.

use super::{At, Capability, Fail, Performed, Scope, unavailable};
use crate::guest::{Guest, Told};
use mandate_policy::{Refusal, TelemetryAccess};
use mandate_runtime::bindings::telemetry::{data, ingest, query};
use mandate_runtime::bindings::types::types::Error;
use mandate_types::{Effects, TenantId};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

/// Where telemetry is kept. Answers are for one tenant.
#[async_trait::async_trait]
pub trait Telemetry: Send + Sync {
    /// Series of a metric.
    async fn metrics(
        &self,
        tenant: &TenantId,
        query: query::MetricQuery,
    ) -> Result<Vec<data::Series>, Error>;
    /// The newest log lines, in the order of their time.
    async fn logs(
        &self,
        tenant: &TenantId,
        query: query::LogQuery,
    ) -> Result<Vec<data::LogLine>, Error>;
    /// The newest spans, in the order of their start.
    async fn spans(
        &self,
        tenant: &TenantId,
        query: query::SpanQuery,
    ) -> Result<Vec<data::Span>, Error>;
    /// Who depends on whom.
    async fn topology(&self, tenant: &TenantId) -> Result<Vec<data::Edge>, Error>;
    /// Adds points.
    async fn add_metrics(&self, tenant: &TenantId, series: Vec<data::Series>) -> Result<(), Error>;
    /// Adds log lines.
    async fn add_logs(&self, tenant: &TenantId, lines: Vec<data::LogLine>) -> Result<(), Error>;
    /// Adds spans.
    async fn add_spans(&self, tenant: &TenantId, spans: Vec<data::Span>) -> Result<(), Error>;
    /// Replaces the given topology.
    async fn set_topology(&self, tenant: &TenantId, edges: Vec<data::Edge>) -> Result<(), Error>;
}

/// The port of a host that keeps no telemetry: every question is `unavailable`.
pub struct NoTelemetry;

fn none<T>() -> Result<T, Error> {
    Err(unavailable("this host keeps no telemetry"))
}

#[async_trait::async_trait]
impl Telemetry for NoTelemetry {
    async fn metrics(
        &self,
        _: &TenantId,
        _: query::MetricQuery,
    ) -> Result<Vec<data::Series>, Error> {
        none()
    }
    async fn logs(&self, _: &TenantId, _: query::LogQuery) -> Result<Vec<data::LogLine>, Error> {
        none()
    }
    async fn spans(&self, _: &TenantId, _: query::SpanQuery) -> Result<Vec<data::Span>, Error> {
        none()
    }
    async fn topology(&self, _: &TenantId) -> Result<Vec<data::Edge>, Error> {
        none()
    }
    async fn add_metrics(&self, _: &TenantId, _: Vec<data::Series>) -> Result<(), Error> {
        none()
    }
    async fn add_logs(&self, _: &TenantId, _: Vec<data::LogLine>) -> Result<(), Error> {
        none()
    }
    async fn add_spans(&self, _: &TenantId, _: Vec<data::Span>) -> Result<(), Error> {
        none()
    }
    async fn set_topology(&self, _: &TenantId, _: Vec<data::Edge>) -> Result<(), Error> {
        none()
    }
}

/// Arguments as they are journalled: with the contract's words for cases, not this language's names
/// for them.
struct InWords<'a, T>(&'a T);

/// The contract's word for a case.
fn word(severity: data::Severity) -> &'static str {
    match severity {
        data::Severity::Debug => "debug",
        data::Severity::Info => "info",
        data::Severity::Warning => "warning",
        data::Severity::Error => "error",
        data::Severity::Fatal => "fatal",
    }
}

impl Serialize for InWords<'_, query::MetricQuery> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        enum Aggregation {
            Raw,
            Mean,
            Minimum,
            Maximum,
            Sum,
            Count,
            Rate,
            Quantile(f64),
        }
        let aggregation = match self.0.aggregation {
            data::Aggregation::Raw => Aggregation::Raw,
            data::Aggregation::Mean => Aggregation::Mean,
            data::Aggregation::Minimum => Aggregation::Minimum,
            data::Aggregation::Maximum => Aggregation::Maximum,
            data::Aggregation::Sum => Aggregation::Sum,
            data::Aggregation::Count => Aggregation::Count,
            data::Aggregation::Rate => Aggregation::Rate,
            data::Aggregation::Quantile(q) => Aggregation::Quantile(q),
        };
        let query::MetricQuery {
            metric,
            labels,
            range,
            aggregation: _,
            step_ms,
        } = self.0;
        let mut fields = serializer.serialize_struct("MetricQuery", 5)?;
        fields.serialize_field("metric", metric)?;
        fields.serialize_field("labels", labels)?;
        fields.serialize_field("range", range)?;
        fields.serialize_field("aggregation", &aggregation)?;
        fields.serialize_field("step_ms", step_ms)?;
        fields.end()
    }
}

impl Serialize for InWords<'_, query::LogQuery> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let query::LogQuery {
            service,
            at_least,
            text,
            range,
            limit,
        } = self.0;
        let mut fields = serializer.serialize_struct("LogQuery", 5)?;
        fields.serialize_field("service", service)?;
        fields.serialize_field("at_least", &at_least.map(word))?;
        fields.serialize_field("text", text)?;
        fields.serialize_field("range", range)?;
        fields.serialize_field("limit", limit)?;
        fields.end()
    }
}

impl Serialize for InWords<'_, data::LogLine> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let data::LogLine {
            time,
            service,
            severity,
            message,
            labels,
        } = self.0;
        let mut fields = serializer.serialize_struct("LogLine", 5)?;
        fields.serialize_field("time", time)?;
        fields.serialize_field("service", service)?;
        fields.serialize_field("severity", word(*severity))?;
        fields.serialize_field("message", message)?;
        fields.serialize_field("labels", labels)?;
        fields.end()
    }
}

impl Serialize for InWords<'_, Vec<data::LogLine>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(InWords))
    }
}

/// Arguments without cases.
macro_rules! as_they_are {
    ($($type:ty),+) => {$(
        impl Serialize for InWords<'_, $type> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }
    )+};
}

as_they_are!(
    query::SpanQuery,
    Vec<data::Series>,
    Vec<data::Span>,
    Vec<data::Edge>
);

/// One call: its type, its function, its access and the port's method.
macro_rules! call {
    ($name:ident, $interface:literal, $function:literal, $access:ident, $effects:ident,
     $arguments:ty => $answer:ty, $method:ident) => {
        struct $name($arguments);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                InWords(&self.0).serialize(serializer)
            }
        }

        impl Capability for $name {
            const INTERFACE: &'static str = $interface;
            const FUNCTION: &'static str = $function;
            const EFFECTS: Effects = Effects::$effects;
            type Answer = $answer;

            fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
                scope
                    .plugin
                    .grant()
                    .capabilities
                    .telemetry(TelemetryAccess::$access)
            }

            async fn perform(self, at: At) -> Result<Performed<$answer>, Fail> {
                let telemetry = at.scope.kernel.telemetry();
                let answer = telemetry.$method(&at.scope.tree.tenant, self.0).await?;
                Ok(Performed::read(answer))
            }
        }
    };
}

call!(Metrics, "mandate:telemetry/query", "metrics", Read, None,
      query::MetricQuery => Vec<data::Series>, metrics);
call!(Logs, "mandate:telemetry/query", "logs", Read, None,
      query::LogQuery => Vec<data::LogLine>, logs);
call!(Spans, "mandate:telemetry/query", "spans", Read, None,
      query::SpanQuery => Vec<data::Span>, spans);
call!(AddMetrics, "mandate:telemetry/ingest", "metrics", Write, Internal,
      Vec<data::Series> => (), add_metrics);
call!(AddLogs, "mandate:telemetry/ingest", "logs", Write, Internal,
      Vec<data::LogLine> => (), add_logs);
call!(AddSpans, "mandate:telemetry/ingest", "spans", Write, Internal,
      Vec<data::Span> => (), add_spans);
call!(SetTopology, "mandate:telemetry/ingest", "topology", Write, Internal,
      Vec<data::Edge> => (), set_topology);

#[derive(Serialize)]
struct Topology;

impl Capability for Topology {
    const INTERFACE: &'static str = "mandate:telemetry/query";
    const FUNCTION: &'static str = "topology";
    type Answer = Vec<data::Edge>;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        scope
            .plugin
            .grant()
            .capabilities
            .telemetry(TelemetryAccess::Read)
    }

    async fn perform(self, at: At) -> Result<Performed<Vec<data::Edge>>, Fail> {
        let telemetry = at.scope.kernel.telemetry();
        Ok(Performed::read(
            telemetry.topology(&at.scope.tree.tenant).await?,
        ))
    }
}

impl data::Host for Guest {}

impl query::Host for Guest {
    async fn metrics(
        &mut self,
        query: query::MetricQuery,
    ) -> Told<Result<Vec<data::Series>, Error>> {
        self.step(Metrics(query)).await
    }

    async fn logs(&mut self, query: query::LogQuery) -> Told<Result<Vec<data::LogLine>, Error>> {
        self.step(Logs(query)).await
    }

    async fn spans(&mut self, query: query::SpanQuery) -> Told<Result<Vec<data::Span>, Error>> {
        self.step(Spans(query)).await
    }

    async fn topology(&mut self) -> Told<Result<Vec<data::Edge>, Error>> {
        self.step(Topology).await
    }
}

impl ingest::Host for Guest {
    async fn metrics(&mut self, series: Vec<data::Series>) -> Told<Result<(), Error>> {
        self.step(AddMetrics(series)).await
    }

    async fn logs(&mut self, lines: Vec<data::LogLine>) -> Told<Result<(), Error>> {
        self.step(AddLogs(lines)).await
    }

    async fn spans(&mut self, spans: Vec<data::Span>) -> Told<Result<(), Error>> {
        self.step(AddSpans(spans)).await
    }

    async fn topology(&mut self, edges: Vec<data::Edge>) -> Told<Result<(), Error>> {
        self.step(SetTopology(edges)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_are_journalled_in_the_words_of_the_contract() {
        let range = data::Range { start: 1, end: 2 };
        let mut metrics = query::MetricQuery {
            metric: "cpu".into(),
            labels: Vec::new(),
            range,
            aggregation: data::Aggregation::Quantile(0.5),
            step_ms: 7,
        };
        let said = serde_json::to_value(Metrics(metrics.clone())).unwrap();
        let range_said = json!({"start": 1, "end": 2});
        assert_eq!(
            said,
            json!({"metric": "cpu", "labels": [], "range": range_said,
                "aggregation": {"quantile": 0.5}, "step_ms": 7})
        );
        metrics.aggregation = data::Aggregation::Raw;
        let said = serde_json::to_value(Metrics(metrics)).unwrap();
        assert_eq!(said["aggregation"], "raw");
        let logs = query::LogQuery {
            service: None,
            at_least: Some(data::Severity::Warning),
            text: None,
            range,
            limit: 5,
        };
        let said = serde_json::to_value(Logs(logs)).unwrap();
        assert_eq!(said["at_least"], "warning");
        let line = data::LogLine {
            time: 1,
            service: "a".into(),
            severity: data::Severity::Fatal,
            message: "m".into(),
            labels: Vec::new(),
        };
        let said = serde_json::to_value(AddLogs(vec![line])).unwrap();
        assert_eq!(said[0]["severity"], "fatal");
    }
}
