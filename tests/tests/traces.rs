//! Spans of model calls, as a collector of traces gets them: one trace for a call, with every
//! attempt, why it went on from there, and the names that OpenTelemetry has for that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use mandate_tests::upstream::{Does, READ, Upstream, WRITTEN};
use mandate_tests::{Do, Host, Options, agent};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Said;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Status;
use prost::Message as _;
use serde_json::json;
use std::sync::{Arc, Mutex};

/// What the collector got: who sent it, and what.
type Got = Arc<Mutex<Vec<(String, ExportTraceServiceRequest)>>>;

async fn collect(State(got): State<Got>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let by = headers["authorization"].to_str().unwrap().to_owned();
    let sent = ExportTraceServiceRequest::decode(body).unwrap();
    got.lock().unwrap().push((by, sent));
    StatusCode::OK
}

fn said<'a>(of: &'a [KeyValue], key: &str) -> Option<&'a Said> {
    let found = of.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn text<'a>(of: &'a [KeyValue], key: &str) -> &'a str {
    match said(of, key) {
        Some(Said::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

fn number(span: &Span, key: &str) -> i64 {
    match said(&span.attributes, key) {
        Some(Said::IntValue(number)) => *number,
        other => panic!("{key}: {other:?}"),
    }
}

fn is_error(span: &Span) -> bool {
    let status = span.status.as_ref().map_or(0, |status| status.code);
    status == Status::Error as i32
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_a_trace_with_every_attempt() {
    let got = Got::default();
    let app = Router::new()
        .route("/v1/traces", post(collect))
        .with_state(got.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let busy = Upstream::that(|_| Does::IsBusy).await;
    let well = Upstream::that(|_| Does::Answers).await;
    let (a, b) = (busy.config("a"), well.config("b"));
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let host = Host::with(&Options {
        config: format!("[models]\norder = [\"a\", \"b\"]\n{a}{b}"),
        environment: vec![
            set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector),
            set(
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer of-a-test",
            ),
        ],
        ..Options::default()
    });
    let client = host.admin();
    let manifest = "[capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = 1000000\n";
    let ask = Do::Complete {
        prompt: "a secret of the prompt".into(),
        tools: vec![],
    };
    client
        .install(agent("asks").manifest(manifest).does([ask]).file())
        .await;
    let task = client.run("asks", json!({})).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    // The log says what the provider said, and the trace does not.
    let quoted = host.logged(|line| line.contains("a secret of the prompt").then_some(()));
    assert!(quoted.is_some());
    // What was not sent by then is sent when it ends.
    host.stop();

    let got = got.lock().unwrap();
    assert!(got.iter().all(|(by, _)| by == "Bearer of-a-test"));
    assert!(!format!("{got:?}").contains("a secret of the prompt"));
    let resources = got.iter().flat_map(|(_, sent)| &sent.resource_spans);
    let mut spans: Vec<&Span> = Vec::new();
    for resource in resources {
        let of = &resource.resource.as_ref().unwrap().attributes;
        assert_eq!(text(of, "service.name"), "mandate");
        spans.extend(resource.scope_spans.iter().flat_map(|scope| &scope.spans));
    }
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let [call, first, second, third] = spans[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(call.name, "model call");
    assert!(call.parent_span_id.is_empty() && !is_error(call));
    assert_eq!(text(&call.attributes, "mandate.plugin"), "asks");
    assert_eq!(
        text(&call.attributes, "mandate.execution"),
        task["execution"].as_str().unwrap()
    );
    for attempt in [first, second, third] {
        assert_eq!(attempt.name, "chat m");
        assert_eq!(attempt.trace_id, call.trace_id);
        assert_eq!(attempt.parent_span_id, call.span_id);
        assert_eq!(text(&attempt.attributes, "gen_ai.operation.name"), "chat");
        assert_eq!(text(&attempt.attributes, "gen_ai.request.model"), "m");
    }
    for refused in [first, second] {
        assert!(is_error(refused));
        assert_eq!(text(&refused.attributes, "gen_ai.provider.name"), "a");
        assert_eq!(text(&refused.attributes, "error.type"), "busy");
        assert!(refused.events.is_empty(), "{:?}", refused.events);
    }
    assert!(!is_error(third));
    assert_eq!(text(&third.attributes, "gen_ai.provider.name"), "b");
    assert_eq!(number(third, "gen_ai.usage.input_tokens"), READ as i64);
    assert_eq!(number(third, "gen_ai.usage.output_tokens"), WRITTEN as i64);
    let cost = number(third, "mandate.cost_micro_usd");
    assert_eq!(cost, (READ + 2 * WRITTEN) as i64);
    match said(&third.attributes, "gen_ai.response.finish_reasons") {
        Some(Said::ArrayValue(reasons)) => assert_eq!(reasons.values.len(), 1),
        other => panic!("{other:?}"),
    }
}
