//! `/questions`: what agents, and the host itself, want to know from people.

use super::auth::{Approver, Caller, Viewer};
use super::doc::{Changes, Finds, Reads};
use super::error::{ApiResult, to_its_end};
use super::input::{JsonBody, Params, PathOf};
use super::{Api, Listing};
use axum::Json;
use axum::extract::State;
use mandate_store::{Question, QuestionQuery};
use mandate_types::{Problem, QuestionId, QuestionStatus};
use serde::Deserialize;
use serde_json::Value;

/// An answer.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuestionAnswer {
    /// By the question's schema.
    pub answer: Value,
}

/// The question `id`, as the caller may see it.
async fn seen(api: &Api, caller: &Caller, id: &str) -> ApiResult<Question> {
    let id = QuestionId::parse(id)
        .map_err(|error| Problem::not_found(format!("such question: {error}")))?;
    let question = api.store().question(&id).await?;
    let question = question.filter(|question| caller.sees(&question.tenant));
    question.ok_or_else(|| Problem::not_found(format!("question {id}")).into())
}

/// Lists questions, the newest first.
#[utoipa::path(
    get, path = "/api/v1/questions", tag = "questions",
    params(
        ("status" = Option<QuestionStatus>, Query, description = "`open` waits for somebody"),
        ("task" = Option<String>, Query),
        ("execution" = Option<String>, Query),
        ("tenant" = Option<String>, Query),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("cursor" = Option<String>, Query, description = "From the page before"),
    ),
    responses((status = 200, body = Listing<Question>), Reads),
)]
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Listing<Question>>> {
    let query = QuestionQuery {
        tenants: viewer.scope(params.parsed("tenant")?)?,
        status: params.parsed("status")?,
        task: params.parsed("task")?,
        execution: params.parsed("execution")?,
        limit: params.limit()?,
        cursor: params.text("cursor")?,
    };
    params.finish()?;
    Ok(Json(api.store().questions(&query).await?.into()))
}

/// One question, with the schema of its answer.
#[utoipa::path(
    get, path = "/api/v1/questions/{id}", tag = "questions",
    params(("id" = String, Path)),
    responses((status = 200, body = Question), Finds),
)]
pub async fn get(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
) -> ApiResult<Json<Question>> {
    Ok(Json(seen(&api, &viewer, &id).await?))
}

/// Answers a question; what waits for it goes on.
///
/// Takes the role approver. One answer counts, the first.
#[utoipa::path(
    post, path = "/api/v1/questions/{id}/answer", tag = "questions",
    params(("id" = String, Path)),
    request_body = QuestionAnswer,
    responses((status = 200, body = Question), Changes),
)]
pub async fn answer(
    approver: Approver,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
    JsonBody(said): JsonBody<QuestionAnswer>,
) -> ApiResult<Json<Question>> {
    let question = seen(&api, &approver, &id).await?;
    let (approvals, by) = (api.approvals.clone(), approver.0.0.clone());
    let answered = to_its_end(async move { approvals.answer(question, said.answer, &by).await });
    Ok(Json(answered.await?))
}
