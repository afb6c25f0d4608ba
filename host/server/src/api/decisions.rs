//! `/decisions`: what agents may not decide alone. Looking never decides: only POST does.

use super::auth::{Approver, Caller, Viewer};
use super::doc::{Changes, Finds, Reads};
use super::error::{ApiResult, to_its_end};
use super::input::{IfNoneMatch, MaybeJson, Params, PathOf, etag};
use super::{Api, Listing};
use crate::approval::Verdict;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use mandate_store::{Decision, DecisionQuery, Notification};
use mandate_types::{DecisionId, DecisionStatus, Digest, Problem, Timestamp};
use serde::{Deserialize, Serialize};

/// What is said with an answer.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Comment {
    /// For those who look at it later; at most 4,000 bytes.
    pub comment: Option<String>,
}

/// The decision `id`, as the caller may see it.
async fn seen(api: &Api, caller: &Caller, id: &str) -> ApiResult<Decision> {
    let id = DecisionId::parse(id)
        .map_err(|error| Problem::not_found(format!("such decision: {error}")))?;
    let decision = api.store().decision(&id).await?;
    let decision = decision.filter(|decision| caller.sees(&decision.request.tenant));
    decision.ok_or_else(|| Problem::not_found(format!("decision {id}")).into())
}

/// Lists decisions, the newest first.
#[utoipa::path(
    get, path = "/api/v1/decisions", tag = "decisions",
    params(
        ("status" = Option<Vec<DecisionStatus>>, Query, description = "Repeated, or a list with commas; `pending` waits for a human"),
        ("task" = Option<String>, Query),
        ("execution" = Option<String>, Query),
        ("plugin" = Option<String>, Query, description = "Who asks"),
        ("tool" = Option<String>, Query, description = "`plugin.tool`"),
        ("target" = Option<String>, Query, description = "What it is done to"),
        ("tenant" = Option<String>, Query),
        ("requested_after" = Option<Timestamp>, Query),
        ("requested_before" = Option<Timestamp>, Query),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("cursor" = Option<String>, Query, description = "From the page before"),
    ),
    responses((status = 200, body = Listing<Decision>), Reads),
)]
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Listing<Decision>>> {
    let query = DecisionQuery {
        tenants: viewer.scope(params.parsed("tenant")?)?,
        status: params.many_parsed("status")?,
        task: params.parsed("task")?,
        execution: params.parsed("execution")?,
        plugin: params.parsed("plugin")?,
        tool: params.text("tool")?,
        target: params.text("target")?,
        after: params.time("requested_after")?,
        before: params.time("requested_before")?,
        limit: params.limit()?,
        cursor: params.text("cursor")?,
    };
    params.finish()?;
    Ok(Json(api.store().decisions(&query).await?.into()))
}

/// A decision, and how people were told of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DecisionDetail {
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// When people were told of it, or will be, in order.
    pub notifications: Vec<Notification>,
}

/// One decision. It opens with a sentence: what, on what, at what cost, how to undo it, and what
/// happens if nobody answers.
#[utoipa::path(
    get, path = "/api/v1/decisions/{id}", tag = "decisions",
    params(
        ("id" = String, Path),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what the caller has"),
    ),
    responses(
        (status = 200, body = DecisionDetail),
        (status = 304, description = "The caller has it already"),
        Finds,
    ),
)]
pub async fn get(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
    has: IfNoneMatch,
) -> ApiResult<Response<Body>> {
    let decision = seen(&api, &viewer, &id).await?;
    let notifications = api.store().notifications(&decision.id).await?;
    let detail = DecisionDetail {
        decision,
        notifications,
    };
    let body = serde_json::to_vec(&detail).map_err(|error| Problem::internal(error.to_string()))?;
    let tag = etag(Digest::of(&body));
    if has.has(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    let json = HeaderValue::from_static("application/json");
    Ok(([(ETAG, tag), (CONTENT_TYPE, json)], body).into_response())
}

/// Approves a decision: the effect may be had, once, exactly as it is described there.
///
/// Takes the role approver. Who is at the root of what asks for it cannot approve it. One answer
/// counts, the first; on a halted host it is kept, and nothing is done before that is over.
#[utoipa::path(
    post, path = "/api/v1/decisions/{id}/approve", tag = "decisions",
    params(("id" = String, Path)),
    request_body = Option<Comment>,
    responses((status = 200, body = Decision), Changes),
)]
pub async fn approve(
    approver: Approver,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
    MaybeJson(said): MaybeJson<Comment>,
) -> ApiResult<Json<Decision>> {
    resolve(&api, &approver, &id, Verdict::Approve, said).await
}

/// Denies a decision: the effect is not had, and who asks is told so.
///
/// Takes the role approver. One answer counts, the first.
#[utoipa::path(
    post, path = "/api/v1/decisions/{id}/deny", tag = "decisions",
    params(("id" = String, Path)),
    request_body = Option<Comment>,
    responses((status = 200, body = Decision), Changes),
)]
pub async fn deny(
    approver: Approver,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
    MaybeJson(said): MaybeJson<Comment>,
) -> ApiResult<Json<Decision>> {
    resolve(&api, &approver, &id, Verdict::Deny, said).await
}

/// Asks again what nobody answered in time.
///
/// Only an execution that has not gone on yet can: it is judged anew, and becomes a new decision.
/// Otherwise the problem says what asks again. Takes the role approver.
#[utoipa::path(
    post, path = "/api/v1/decisions/{id}/ask-again", tag = "decisions",
    params(("id" = String, Path)),
    responses((status = 200, body = Decision), Changes),
)]
pub async fn ask_again(
    approver: Approver,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
) -> ApiResult<Json<Decision>> {
    let decision = seen(&api, &approver, &id).await?;
    let (approvals, by) = (api.approvals.clone(), approver.0.0.clone());
    let asked = to_its_end(async move { approvals.ask_again(decision, &by).await });
    Ok(Json(asked.await?))
}

async fn resolve(
    api: &Api,
    by: &Caller,
    id: &str,
    verdict: Verdict,
    said: Option<Comment>,
) -> ApiResult<Json<Decision>> {
    let decision = seen(api, by, id).await?;
    let (approvals, by) = (api.approvals.clone(), by.0.clone());
    let comment = said.unwrap_or_default().comment;
    let resolved =
        to_its_end(async move { approvals.resolve(decision, verdict, comment, &by).await });
    Ok(Json(resolved.await?))
}
