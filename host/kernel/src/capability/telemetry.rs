//! Capability `telemetry`: what agents look at, behind a port that denies until a host has one.

use super::{At, Capability, Fail, Performed, Scope, unavailable};
use crate::guest::{Guest, Told};
use mandate_policy::{Refusal, TelemetryAccess};
use mandate_runtime::bindings::telemetry::{data, ingest, query};
use mandate_runtime::bindings::types::types::Error;
use mandate_types::{Effects, TenantId};
use serde::Serialize;

/// Where telemetry is kept. Answers are for one tenant.
#[async_trait::async_trait]
pub trait Telemetry: Send + Sync {
    /// Series of a metric.
    async fn metrics(
        &self,
        tenant: &TenantId,
        query: query::MetricQuery,
    ) -> Result<Vec<data::Series>, Error>;
    /// Log lines, newest first.
    async fn logs(
        &self,
        tenant: &TenantId,
        query: query::LogQuery,
    ) -> Result<Vec<data::LogLine>, Error>;
    /// Spans, newest first.
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

/// One call: its type, its function, its access and the port's method.
macro_rules! call {
    ($name:ident, $interface:literal, $function:literal, $access:ident, $effects:ident,
     $arguments:ty => $answer:ty, $method:ident) => {
        #[derive(Serialize)]
        struct $name($arguments);

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
