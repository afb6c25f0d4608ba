//! Spans of model calls for whoever collects traces, where `OTEL_EXPORTER_OTLP_ENDPOINT` says.
//! Of what the OpenTelemetry specification lets the environment say, this holds: endpoint, headers,
//! compression and timeout of OTLP, in general or for traces, `OTEL_TRACES_EXPORTER=none`,
//! `OTEL_SDK_DISABLED`, sampling, batches, the service's name and attributes.

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full, Limited};
use mandate_llm::exchange::{HttpClient as Connections, client};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::WithHttpConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter, Tracer};
use std::time::Duration;

/// Where these variables are empty, nothing is exported.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
/// What is spoken.
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
/// Until there is a connection to the collector.
const CONNECT: Duration = Duration::from_secs(5);
/// For all of an export, whatever the environment says.
const LONGEST: Duration = Duration::from_secs(60);
/// For the last one, when the host stops.
const LAST: Duration = Duration::from_secs(3);
/// Of the collector's answer no more than this is read, in bytes.
const MOST_ANSWER: usize = 64 << 10;
/// A list by the conventions; fields of a span have no lists.
const LISTS: [&str; 1] = ["gen_ai.response.finish_reasons"];

/// The exporter; what it has not sent goes when it is stopped.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts it, if the environment says where to.
    ///
    /// # Errors
    /// What is wrong with what the environment says.
    pub fn start() -> anyhow::Result<Option<Self>> {
        let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is =
            |name: &str, value: &str| said(name).is_some_and(|it| it.eq_ignore_ascii_case(value));
        let is_off = is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none");
        if is_off || ENDPOINTS.into_iter().all(|name| said(name).is_none()) {
            return Ok(None);
        }
        for name in PROTOCOLS {
            if let Some(other) = said(name).filter(|it| it != "http/protobuf") {
                bail!("{name}: expected `http/protobuf`, got `{other}`");
            }
        }
        let connections = client(crate::models::tls()?, CONNECT);
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Through {
                connections,
                runtime: tokio::runtime::Handle::current(),
            })
            .build()
            .context("traces cannot be exported: look at OTEL_EXPORTER_OTLP_*")?;
        let mut resource = Resource::builder()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let named = said("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        if said("OTEL_SERVICE_NAME").is_none() && !named.contains("service.name=") {
            resource = resource.with_service_name("mandate");
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(WithLists(exporter))
            .with_resource(resource.build());
        Ok(Some(Self(provider.build())))
    }

    /// What makes the spans.
    pub fn tracer(&self) -> Tracer {
        self.0.tracer("mandate")
    }

    /// Sends what is left.
    pub async fn stop(self) {
        // It waits for a thread that waits for connections of this runtime.
        let stopped = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST));
        if let Ok(Err(error)) = stopped.await {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Sends over the host's kind of connections from a thread that has no runtime.
#[derive(Debug)]
struct Through {
    connections: Connections,
    runtime: tokio::runtime::Handle,
}

#[async_trait::async_trait]
impl HttpClient for Through {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let connections = self.connections.clone();
        let sent = async move {
            let answer = connections.request(request.map(Full::new)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MOST_ANSWER).collect().await?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        // Also its clock is the runtime's.
        let sent = async { tokio::time::timeout(LONGEST, sent).await };
        self.runtime.spawn(sent).await??
    }
}

/// Makes lists of what the conventions have as lists.
#[derive(Debug)]
struct WithLists(opentelemetry_otlp::SpanExporter);

impl SpanExporter for WithLists {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        let attributes = batch.iter_mut().flat_map(|span| &mut span.attributes);
        for attribute in attributes.filter(|it| LISTS.contains(&it.key.as_str())) {
            let only: Vec<StringValue> = vec![attribute.value.as_str().into_owned().into()];
            attribute.value = Value::Array(Array::String(only));
        }
        self.0.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}
