//! `/telemetry/logs`: log lines.

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
use mandate_store::series::{Excess, LogLine, LogQuery, Severity};
use mandate_types::{Problem, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// A log line.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LogLineView {
    /// When.
    pub time: Timestamp,
    /// Who wrote it.
    pub service: String,
    /// `debug`, `info`, `warning`, `error` or `fatal`.
    pub severity: &'static str,
    /// What was written.
    pub message: String,
    /// What else is known of it.
    pub labels: BTreeMap<String, String>,
}

impl From<LogLine> for LogLineView {
    fn from(line: LogLine) -> Self {
        Self {
            time: line.time,
            service: line.service,
            severity: line.severity.as_str(),
            message: line.message,
            labels: line.labels.into_iter().collect(),
        }
    }
}

/// Adds log lines: a JSON object per line, `{"time", "service", "severity", "message", "labels"}`. A
/// bad line refuses them all; a line that is there already stays once.
#[utoipa::path(
    post, path = "/api/v1/telemetry/logs", tag = "telemetry",
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
        .lines(&api, &client, params, request, ndjson::logs);
    let Lines {
        tenant,
        items: lines,
        taken: _taken,
    } = sent.await?;
    let accepted = Accepted::of(lines.len());
    let series = &api.intake.series;
    series.add_logs(&tenant, lines, Excess::Refuse).await?;
    Ok(Json(accepted))
}

/// The newest log lines of a range, in the order of their time.
#[utoipa::path(
    get, path = "/api/v1/telemetry/logs", tag = "telemetry",
    params(
        ("service" = Option<String>, Query),
        ("severity" = Option<String>, Query, description = "This grave or more: `debug`, `info`, `warning`, `error`, `fatal`"),
        ("text" = Option<String>, Query, description = "Words that must all begin a word of the message; case does not matter"),
        ("start" = Option<String>, Query, description = "RFC 3339 or seconds since 1970; an hour before `end` when absent"),
        ("end" = Option<String>, Query, description = "Exclusive; now when absent"),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("tenant" = Option<String>, Query),
    ),
    responses((status = 200, body = Listing<LogLineView>), Reads),
)]
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Listing<LogLineView>>> {
    let tenant = viewer.tenant(params.parsed("tenant")?)?;
    let query = LogQuery {
        service: params.text("service")?,
        at_least: match params.text("severity")? {
            None => None,
            Some(text) => Some(Severity::parse(&text).ok_or_else(|| {
                let known = Severity::ALL.map(Severity::as_str).join(", ");
                Problem::invalid_field("severity", format!("one of {known}"))
            })?),
        },
        text: params.text("text")?,
        range: range(&mut params)?,
        limit: params.limit()? as usize,
    };
    params.finish()?;
    let found = api.intake.series.logs(&tenant, query).await?;
    let items: Vec<LogLineView> = found.into_iter().map(LogLineView::from).collect();
    Ok(Json(items.into()))
}
