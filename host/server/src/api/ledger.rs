//! `/ledger`: the bill. Each reservation of money, and what became of it.

use super::auth::Viewer;
use super::doc::Reads;
use super::error::ApiResult;
use super::input::Params;
use super::{Api, Listing};
use axum::Json;
use axum::extract::State;
use mandate_store::{LedgerEntry, LedgerQuery, SpendingKind};
use mandate_types::Problem;

/// Lists reservations, the newest first. Money is in micro-dollars.
#[utoipa::path(
    get, path = "/api/v1/ledger", tag = "ledger",
    params(
        ("kind" = Option<String>, Query, description = "`effect` or `model`"),
        ("task" = Option<String>, Query),
        ("execution" = Option<String>, Query),
        ("tenant" = Option<String>, Query),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("cursor" = Option<String>, Query, description = "From the page before"),
    ),
    responses((status = 200, body = Listing<LedgerEntry>), Reads),
)]
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Listing<LedgerEntry>>> {
    let query = LedgerQuery {
        tenants: viewer.scope(params.parsed("tenant")?)?,
        kind: params.text("kind")?.map(kind).transpose()?,
        execution: params.parsed("execution")?,
        task: params.parsed("task")?,
        limit: params.limit()?,
        cursor: params.text("cursor")?,
    };
    params.finish()?;
    Ok(Json(api.store().ledger(&query).await?.into()))
}

fn kind(text: String) -> Result<SpendingKind, Problem> {
    SpendingKind::parse(&text).ok_or_else(|| Problem::invalid_field("kind", "`effect` or `model`"))
}
