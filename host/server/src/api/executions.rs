//! `/executions`: what happened, call by call. The journal of every invocation can be read.

use super::auth::{Caller, Viewer};
use super::doc::Finds;
use super::error::ApiResult;
use super::input::{Params, PathOf};
use super::tasks::seen;
use super::{Api, Listing};
use axum::Json;
use axum::extract::State;
use mandate_store::{Execution, Invocation, LogLine, Step};
use mandate_types::{ExecutionId, Problem};
use serde::Serialize;

/// An execution with the invocations of its tree.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExecutionTree {
    /// The execution.
    #[serde(flatten)]
    pub execution: Execution,
    /// Its invocations, oldest first; the first is the root.
    pub invocations: Vec<Invocation>,
}

/// The execution, if the caller sees it.
pub async fn seen_execution(api: &Api, caller: &Caller, id: &str) -> ApiResult<Execution> {
    let id = ExecutionId::parse(id)
        .map_err(|error| Problem::not_found(format!("such execution: {error}")))?;
    let execution = api.store().execution(&id).await?;
    let execution = execution.filter(|execution| caller.sees(&execution.tenant));
    execution.ok_or_else(|| Problem::not_found(format!("execution {id}")).into())
}

async fn page(api: &Api, id: &ExecutionId, mut params: Params) -> ApiResult<Json<Listing<Step>>> {
    let (limit, cursor) = (params.limit()?, params.text("cursor")?);
    params.finish()?;
    let steps = api
        .store()
        .execution_steps(id, limit, cursor.as_deref())
        .await?;
    Ok(Json(steps.into()))
}

/// One execution, with the invocations below it.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}", tag = "executions",
    params(("id" = String, Path)),
    responses((status = 200, body = ExecutionTree), Finds),
)]
pub async fn get(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
) -> ApiResult<Json<ExecutionTree>> {
    let execution = seen_execution(&api, &viewer, &id).await?;
    let invocations = api.store().invocations(&execution.id).await?;
    Ok(Json(ExecutionTree {
        execution,
        invocations,
    }))
}

/// The steps of an execution, by time.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/steps", tag = "executions",
    params(
        ("id" = String, Path),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("cursor" = Option<String>, Query, description = "From the page before"),
    ),
    responses((status = 200, body = Listing<Step>), Finds),
)]
pub async fn steps(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
    params: Params,
) -> ApiResult<Json<Listing<Step>>> {
    let execution = seen_execution(&api, &viewer, &id).await?;
    page(&api, &execution.id, params).await
}

/// The executions of a task, oldest first.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}/executions", tag = "tasks",
    params(("id" = String, Path)),
    responses((status = 200, body = Listing<Execution>), Finds),
)]
pub async fn of_task(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
) -> ApiResult<Json<Listing<Execution>>> {
    let task = seen(&api, &viewer, &id).await?;
    Ok(Json(api.store().executions(&task.id).await?.into()))
}

/// The steps of a task's latest execution, or of the one that is named.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}/steps", tag = "tasks",
    params(
        ("id" = String, Path),
        ("execution" = Option<String>, Query, description = "An earlier execution of the task"),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("cursor" = Option<String>, Query, description = "From the page before"),
    ),
    responses((status = 200, body = Listing<Step>), Finds),
)]
pub async fn task_steps(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
    mut params: Params,
) -> ApiResult<Json<Listing<Step>>> {
    let task = seen(&api, &viewer, &id).await?;
    let execution = match params.text("execution")? {
        Some(named) => {
            let execution = seen_execution(&api, &viewer, &named).await?;
            if execution.task.as_ref() != Some(&task.id) {
                let what = format!("execution {} of the task {}", execution.id, task.id);
                return Err(Problem::not_found(what).into());
            }
            execution.id
        }
        None => match task.execution {
            Some(execution) => execution,
            // It has not been started: it has no steps, which is no error.
            None => return Ok(Json(Vec::new().into())),
        },
    };
    page(&api, &execution, params).await
}

/// What plugins logged for a task, newest first.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}/logs", tag = "tasks",
    params(
        ("id" = String, Path),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("cursor" = Option<String>, Query, description = "From the page before"),
    ),
    responses((status = 200, body = Listing<LogLine>), Finds),
)]
pub async fn task_logs(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
    mut params: Params,
) -> ApiResult<Json<Listing<LogLine>>> {
    let task = seen(&api, &viewer, &id).await?;
    let (limit, cursor) = (params.limit()?, params.text("cursor")?);
    params.finish()?;
    let tenants = viewer.tenants();
    let lines = api
        .store()
        .logs(
            tenants.as_deref(),
            None,
            Some(&task.id),
            None,
            limit,
            cursor.as_deref(),
        )
        .await?;
    Ok(Json(lines.into()))
}
