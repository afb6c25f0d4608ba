//! `/telemetry/metrics`: points of metric series.

use super::Accepted;
use super::intake::Lines;
use super::range::{range, step};
use crate::api::auth::{Client, Viewer};
use crate::api::doc::{Changes, Reads};
use crate::api::error::ApiResult;
use crate::api::input::Params;
use crate::api::{Api, Listing};
use crate::telemetry::{aggregation, ndjson};
use axum::Json;
use axum::extract::{Request, State};
use mandate_store::series::{Aggregation, Excess, Point, PointQuery, Series};
use mandate_types::{Problem, Timestamp};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// A series with points.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SeriesView {
    /// The metric's name.
    pub metric: String,
    /// What tells it from others of the metric.
    pub labels: BTreeMap<String, String>,
    /// Time and value, in the order of time. Of a bucket the time is its start; a bucket without
    /// points is absent.
    #[schema(value_type = Vec<(String, f64)>)]
    pub points: Vec<PointView>,
}

/// `["2026-01-31T12:00:00Z", 0.25]`
#[derive(Debug)]
pub struct PointView(Point);

impl Serialize for PointView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Timestamp::from_micros(self.0.time), self.0.value).serialize(serializer)
    }
}

impl From<Series> for SeriesView {
    fn from(series: Series) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            metric: series.key.metric().to_owned(),
            labels: series.key.labels().map(own).collect(),
            points: series.points.into_iter().map(PointView).collect(),
        }
    }
}

/// Adds points: a JSON object per line, `{"metric", "labels", "time", "value"}` or `{"metric",
/// "labels", "points": [[time, value], …]}`. A bad line refuses them all. Of points of a series
/// with the same time the last written counts.
#[utoipa::path(
    post, path = "/api/v1/telemetry/metrics", tag = "telemetry",
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
        .lines(&api, &client, params, request, ndjson::points);
    let Lines {
        tenant,
        items: batch,
        taken: _taken,
    } = sent.await?;
    let accepted = Accepted {
        accepted: batch.points() as u64,
        missing: Some(batch.missing()),
    };
    let series = &api.intake.series;
    series.add_points(&tenant, batch, Excess::Refuse).await?;
    Ok(Json(accepted))
}

/// The series of a metric that have points in a range.
#[utoipa::path(
    get, path = "/api/v1/telemetry/metrics", tag = "telemetry",
    params(
        ("metric" = String, Query),
        ("label.NAME" = Option<String>, Query, description = "Only series whose label NAME has this value; any number of them"),
        ("start" = Option<String>, Query, description = "RFC 3339 or seconds since 1970; an hour before `end` when absent"),
        ("end" = Option<String>, Query, description = "Exclusive; now when absent"),
        ("aggregation" = Option<String>, Query, description = "`raw` (when absent), `mean`, `minimum`, `maximum`, `sum`, `count`, `rate` (per second, of a counter), or a quantile as `p99`"),
        ("step" = Option<String>, Query, description = "Length of a bucket: `60`, `30s`, `5m`, `1h`; absent: one bucket"),
        ("tenant" = Option<String>, Query),
    ),
    responses((status = 200, body = Listing<SeriesView>), Reads),
)]
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Listing<SeriesView>>> {
    let tenant = viewer.tenant(params.parsed("tenant")?)?;
    let metric = params.text("metric")?.filter(|name| !name.is_empty());
    let metric = metric.ok_or_else(|| Problem::invalid_field("metric", "the name of a metric"))?;
    let query = PointQuery {
        metric,
        labels: params.prefixed("label.", "label.NAME"),
        range: range(&mut params)?,
        aggregation: match params.text("aggregation")? {
            None => Aggregation::Raw,
            Some(text) => aggregation(&text).ok_or_else(|| {
                Problem::invalid_field(
                    "aggregation",
                    "raw, mean, minimum, maximum, sum, count, rate, or a quantile such as p99",
                )
            })?,
        },
        step: step(&mut params)?,
    };
    params.finish()?;
    let found = api.intake.series.points(&tenant, query).await?;
    let items: Vec<SeriesView> = found.into_iter().map(SeriesView::from).collect();
    Ok(Json(items.into()))
}
