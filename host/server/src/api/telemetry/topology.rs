//! `/telemetry/topology`: who depends on whom.

use super::Accepted;
use super::intake::Lines;
use crate::api::auth::{Client, Viewer};
use crate::api::doc::{Changes, Reads};
use crate::api::error::ApiResult;
use crate::api::input::Params;
use crate::api::{Api, Listing};
use crate::telemetry::ndjson;
use axum::Json;
use axum::extract::{Request, State};
use mandate_store::series::Edge;
use serde::Serialize;

/// `caller` depends on `callee`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EdgeView {
    /// Who asks.
    pub caller: String,
    /// Who is asked.
    pub callee: String,
}

impl From<Edge> for EdgeView {
    fn from(edge: Edge) -> Self {
        Self {
            caller: edge.caller,
            callee: edge.callee,
        }
    }
}

/// Replaces the given topology: a JSON object per line, `{"caller", "callee"}`. What spans have
/// shown stays beside it.
#[utoipa::path(
    post, path = "/api/v1/telemetry/topology", tag = "telemetry",
    params(("tenant" = Option<String>, Query, description = "For whom; the caller's only one, or `default`")),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, body = Accepted), Changes),
)]
pub async fn replace(
    client: Client,
    State(api): State<Api>,
    params: Params,
    request: Request,
) -> ApiResult<Json<Accepted>> {
    let sent = api
        .intake
        .lines(&api, &client, params, request, ndjson::edges);
    let Lines {
        tenant,
        items: edges,
        taken: _taken,
    } = sent.await?;
    let accepted = Accepted::of(edges.len());
    api.intake.series.set_topology(&tenant, edges).await?;
    Ok(Json(accepted))
}

/// The topology as it was given, with what spans have shown.
#[utoipa::path(
    get, path = "/api/v1/telemetry/topology", tag = "telemetry",
    params(("tenant" = Option<String>, Query)),
    responses((status = 200, body = Listing<EdgeView>), Reads),
)]
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Listing<EdgeView>>> {
    let tenant = viewer.tenant(params.parsed("tenant")?)?;
    params.finish()?;
    let edges = api.intake.series.topology(&tenant).await?;
    let items: Vec<EdgeView> = edges.into_iter().map(EdgeView::from).collect();
    Ok(Json(items.into()))
}
