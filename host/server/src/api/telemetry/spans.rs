//! `/telemetry/spans`: parts of requests, as services saw them.

use super::Accepted;
use super::intake::Lines;
use super::range::range;
use crate::api::auth::{Client, Viewer};
use crate::api::doc::{Changes, Reads};
use crate::api::error::ApiResult;
use crate::api::input::Params;
use crate::api::{Api, Listing};
use crate::telemetry::ndjson;
use axum::Json;
use axum::extract::{Request, State};
use mandate_store::series::{Excess, Span, SpanQuery};
use mandate_types::{Problem, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// A span.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SpanView {
    /// The request.
    pub trace_id: String,
    /// The part, within the request.
    pub span_id: String,
    /// The part that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Who did it.
    pub service: String,
    /// What was done.
    pub operation: String,
    /// When it began.
    pub start: Timestamp,
    /// Microseconds that it took.
    pub duration_us: u64,
    /// Whether it failed.
    pub error: bool,
    /// What else is known of it; `kind` tells `server` from `client`.
    pub labels: BTreeMap<String, String>,
}

impl From<Span> for SpanView {
    fn from(span: Span) -> Self {
        Self {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_id: span.parent_id,
            service: span.service,
            operation: span.operation,
            start: span.start,
            duration_us: span.duration_us,
            error: span.error,
            labels: span.labels.into_iter().collect(),
        }
    }
}

/// Adds spans: a JSON object per line, `{"trace_id", "span_id", "parent_id", "service", "operation",
/// "start", "duration_us", "error", "labels"}`. A bad line refuses them all; a span that is there
/// already is replaced.
#[utoipa::path(
    post, path = "/api/v1/telemetry/spans", tag = "telemetry",
    params(("tenant" = Option<String>, Query, description = "For whom; the caller's only one, or `default`")),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, body = Accepted), Changes),
)]
pub async fn add(
    client: Client,
    State(api): State<Api>,
    params: Params,
    request: Request,
) -> ApiResult<Json<Accepted>> {
    let sent = api
        .intake
        .lines(&api, &client, params, request, ndjson::spans);
    let Lines {
        tenant,
        items: spans,
        taken: _taken,
    } = sent.await?;
    let accepted = Accepted::of(spans.len());
    let series = &api.intake.series;
    series.add_spans(&tenant, spans, Excess::Refuse).await?;
    Ok(Json(accepted))
}

/// The newest spans of a range, in the order of their start.
#[utoipa::path(
    get, path = "/api/v1/telemetry/spans", tag = "telemetry",
    params(
        ("service" = Option<String>, Query),
        ("trace_id" = Option<String>, Query),
        ("errors_only" = Option<bool>, Query),
        ("start" = Option<String>, Query, description = "RFC 3339 or seconds since 1970; an hour before `end` when absent"),
        ("end" = Option<String>, Query, description = "Exclusive; now when absent"),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("tenant" = Option<String>, Query),
    ),
    responses((status = 200, body = Listing<SpanView>), Reads),
)]
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Listing<SpanView>>> {
    let tenant = viewer.tenant(params.parsed("tenant")?)?;
    let query = SpanQuery {
        service: params.text("service")?,
        trace_id: params.text("trace_id")?,
        errors_only: match params.text("errors_only")?.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Problem::invalid_field("errors_only", "true or false").into()),
        },
        range: range(&mut params)?,
        limit: params.limit()? as usize,
    };
    params.finish()?;
    let found = api.intake.series.spans(&tenant, query).await?;
    let items: Vec<SpanView> = found.into_iter().map(SpanView::from).collect();
    Ok(Json(items.into()))
}
