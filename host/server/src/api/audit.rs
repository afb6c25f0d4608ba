//! `/audit`: who did what, and where the chain of it is.

use super::auth::Operator;
use super::doc::Reads;
use super::error::ApiResult;
use super::input::Params;
use super::{Api, Listing};
use crate::task::store_problem;
use axum::Json;
use axum::extract::State;
use mandate_kernel::audit::AuditError;
use mandate_store::{ActQuery, AuditedAct};
use mandate_types::{Checkpoint, Problem, Timestamp};

/// Acts, the newest first.
///
/// Who is bound to tenants sees the acts that are about one of them.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit",
    params(
        ("actor" = Option<String>, Query, description = "A principal; `mandate` is the host itself"),
        ("act" = Option<Vec<String>>, Query, description = "Repeated, or a list with commas"),
        ("subject" = Option<String>, Query, description = "For example `plugin/incident-triage`"),
        ("tenant" = Option<String>, Query),
        ("since" = Option<Timestamp>, Query, description = "From this time on"),
        ("until" = Option<Timestamp>, Query, description = "Before this time"),
        ("order" = Option<String>, Query, description = "`newest` (first, the default) or `oldest`"),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Listing<AuditedAct>), Reads),
)]
pub async fn list(
    operator: Operator,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Listing<AuditedAct>>> {
    let query = ActQuery {
        actor: params.text("actor")?,
        acts: params.many("act"),
        subject: params.text("subject")?,
        tenants: operator.scope(params.parsed("tenant")?)?,
        since: params.time("since")?,
        until: params.time("until")?,
        oldest_first: match params.text("order")?.as_deref() {
            None | Some("newest") => false,
            Some("oldest") => true,
            Some(_) => {
                return Err(Problem::invalid_field("order", "`newest` or `oldest`").into());
            }
        },
        limit: params.limit()?,
        cursor: params.text("cursor")?,
    };
    params.finish()?;
    Ok(Json(api.store().acts(&query).await?.into()))
}

/// Where the audit is now, signed: kept elsewhere, it shows whether anything up to there was
/// changed or removed afterwards.
#[utoipa::path(
    get, path = "/api/v1/audit/checkpoint", tag = "audit",
    responses((status = 200, body = Checkpoint), Reads),
)]
pub async fn checkpoint(
    _: Operator,
    State(api): State<Api>,
    params: Params,
) -> ApiResult<Json<Checkpoint>> {
    params.finish()?;
    match api.audit.seal().await {
        Ok(checkpoint) => Ok(Json(checkpoint)),
        Err(AuditError::Store(error)) => Err(store_problem(error).into()),
        Err(error) => {
            tracing::error!(%error, "the audit cannot be sealed");
            Err(Problem::internal(error.to_string()).into())
        }
    }
}
