//! `/policy`: what is judged how, and what it was before.

use super::auth::Operator;
use super::doc::{Changes, Reads};
use super::error::{ApiError, ApiResult, to_its_end};
use super::input::{JsonBody, Params, etag, if_match};
use super::{Api, Listing};
use crate::policy::{self, PutError};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use mandate_policy::PolicyError;
use mandate_store::{CommitError, PolicyVersion};
use mandate_types::{Actor, Digest, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The policy that counts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PolicyView {
    /// Its version; 0 as long as nobody has put one.
    pub generation: u64,
    /// SHA-256 of what it says.
    pub digest: Digest,
    /// As it was written, TOML or JSON.
    pub text: String,
    /// The same, with everything that was left out.
    #[schema(value_type = Object)]
    pub document: Value,
    /// How it came: `api`, or `file:` and the digest of the configured file.
    pub source: Option<String>,
    /// Who put it.
    pub put_by: Option<Actor>,
    /// When.
    pub put_at: Option<Timestamp>,
}

/// A policy that shall count.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPolicy {
    /// The document, in TOML or JSON. It is kept as it is written.
    pub text: String,
}

/// The policy that counts.
#[utoipa::path(
    get, path = "/api/v1/policy", tag = "policy",
    responses((status = 200, body = PolicyView), Reads),
)]
pub async fn get(_: Operator, State(api): State<Api>) -> ApiResult<Response> {
    let version = api.store().policy().await?;
    let policy = api.kernel.policy();
    let document = serde_json::to_value(policy.document())
        .map_err(|error| Problem::internal(error.to_string()))?;
    let generation = version.as_ref().map_or(0, |version| version.generation);
    let view = PolicyView {
        generation,
        digest: policy.digest().clone(),
        document,
        text: version
            .as_ref()
            .map(|it| it.text.clone())
            .unwrap_or_default(),
        source: version.as_ref().map(|it| it.source.clone()),
        put_by: version.as_ref().map(|it| it.put_by.clone()),
        put_at: version.map(|it| it.put_at),
    };
    Ok(tagged(generation, Json(view)))
}

/// Puts another policy. It counts for every decision from then on; what was judged before stays
/// judged. One that is broken is refused with the place, and the one before it stays.
#[utoipa::path(
    put, path = "/api/v1/policy", tag = "policy",
    params(("If-Match" = String, Header, description = "The ETag of the policy that the caller has read; 428 without, 412 when it is not the present one")),
    request_body = NewPolicy,
    responses((status = 200, body = PolicyVersion), Changes),
)]
pub async fn put(
    operator: Operator,
    State(api): State<Api>,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewPolicy>,
) -> ApiResult<Response> {
    if !operator.sees_all() {
        let detail = "the policy holds for all tenants, and you are bound to some";
        return Err(Problem::forbidden(detail).into());
    }
    let read = if_match(&headers)?;
    let by = Actor::from(&operator.name);
    let version = to_its_end(async move {
        let _changing = api.changing_policy.lock().await;
        policy::put(&api.kernel, new.text, read, by).await
    })
    .await?;
    Ok(tagged(version.generation, Json(version)))
}

/// All versions of the policy, the newest first.
#[utoipa::path(
    get, path = "/api/v1/policy/versions", tag = "policy",
    params(
        ("limit" = Option<u32>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Listing<PolicyVersion>), Reads),
)]
pub async fn versions(
    _: Operator,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Listing<PolicyVersion>>> {
    let limit = params.limit()?;
    let before = params.parsed::<u64>("cursor")?;
    params.finish()?;
    let items = api.store().policies(before, limit).await?;
    let last = items.last().map(|version| version.generation);
    let more = items.len() == limit as usize && last.is_some_and(|last| last > 1);
    Ok(Json(Listing {
        cursor: last.filter(|_| more).map(|last| last.to_string()),
        items,
    }))
}

fn tagged(generation: u64, body: impl IntoResponse) -> Response {
    ([(ETAG, etag(generation))], body).into_response()
}

impl From<PutError> for ApiError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Policy(error) => {
                let problem = Problem::invalid(format!("{error}; the policy is as it was"));
                match error {
                    PolicyError::Field {
                        place,
                        problem: expected,
                    } => problem.with_field(place, expected),
                    PolicyError::Rules(why) => problem.with_field("rules.rego", why),
                    PolicyError::TooLong(_) | PolicyError::Syntax(_) => {
                        problem.with_field("/text", "a policy in TOML or JSON, see docs/policy.md")
                    }
                }
                .into()
            }
            PutError::Commit(CommitError::Conflict(reason)) => {
                Self::precondition(format!("{reason}: read it again"))
            }
            PutError::Commit(error) => error.into(),
            PutError::Store(error) => error.into(),
        }
    }
}
