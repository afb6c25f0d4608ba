//! `/tasks`: submitting work, looking at it, starting it again, stopping it.

use super::auth::{Caller, Client, Viewer};
use super::doc::{Changes, Finds, Reads};
use super::error::{ApiResult, to_its_end};
use super::finished::Sent;
use super::input::{IfNoneMatch, JsonBody, Params, PathOf, etag, idempotency_key, prefer_wait};
use super::waiting::TaskDetail;
use super::{Api, Listing};
use crate::task::{NewTask, Origin};
use axum::Json;
use axum::extract::State;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use mandate_store::{Task, TaskQuery};
use mandate_types::{Problem, TaskId, TaskStatus, Timestamp, WaitReason};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The task `id`, as the caller may see it.
///
/// # Errors
/// 404 when it does not exist, for this caller.
pub async fn seen(api: &Api, caller: &Caller, id: &str) -> ApiResult<Task> {
    let id = task_id(id)?;
    let task = api.tasks.get(&id).await?;
    if caller.sees(&task.tenant) {
        Ok(task)
    } else {
        Err(missing(&id).into())
    }
}

fn task_id(text: &str) -> Result<TaskId, Problem> {
    TaskId::parse(text).map_err(|error| Problem::not_found(format!("such task: {error}")))
}

fn missing(id: &TaskId) -> Problem {
    Problem::not_found(format!("task {id}"))
}

/// Names the state of a task.
pub fn task_etag(task: &Task) -> HeaderValue {
    etag(task.updated_at.micros())
}

/// Submits a task.
///
/// Answers 202 at once, or with `Prefer: wait=N` the finished task if it ends within N seconds.
/// The same `Idempotency-Key` with the same request gives the same task again.
#[utoipa::path(
    post, path = "/api/v1/tasks", tag = "tasks",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 characters; the same key makes one task"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: answer when the task has ended, after at most N (60) seconds"),
    ),
    request_body = NewTask,
    responses(
        (status = 202, description = "Accepted; `Location` is the task", body = TaskDetail),
        (status = 200, description = "Ended within the time that the caller waited", body = TaskDetail),
        Changes,
    ),
)]
pub async fn submit(
    client: Client,
    State(api): State<Api>,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewTask>,
) -> ApiResult<axum::response::Response> {
    accept(&api, &client, &headers, new).await
}

/// Accepts a task of the caller's, as the request's headers want it.
///
/// # Errors
/// As [`crate::task::Tasks::submit`].
pub async fn accept(
    api: &Api,
    caller: &Caller,
    headers: &HeaderMap,
    new: NewTask,
) -> ApiResult<axum::response::Response> {
    let tenant = caller.tenant(new.tenant.clone())?;
    let key = match idempotency_key(headers)? {
        None => None,
        Some(key) => {
            let request =
                serde_json::to_value(&new).map_err(|error| Problem::internal(error.to_string()))?;
            Some((key, mandate_types::json::digest(&request)))
        }
    };
    let origin = Origin::Client(key);
    let (tasks, by) = (api.tasks.clone(), caller.name.clone());
    let submitted = to_its_end(async move { tasks.submit(new, tenant, by, origin).await }).await?;
    let mut response = answer(api, submitted.task, prefer_wait(headers)).await?;
    if !submitted.created {
        response
            .headers_mut()
            .insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The task once it has ended, or as it is when the caller has waited long enough.
async fn answer(
    api: &Api,
    mut task: Task,
    wait: Option<Duration>,
) -> ApiResult<axum::response::Response> {
    if let Some(wait) = wait {
        let until = Instant::now() + wait;
        // A failed attempt that is tried again is not the end.
        while matches!(task.status, TaskStatus::Pending | TaskStatus::Running) && task.queued {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            api.tasks.ended(&task.id, left).await;
            task = api.tasks.get(&task.id).await?;
        }
    }
    let status = if task.status.is_final() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let detail = TaskDetail::of(api, task).await?;
    let mut response = (status, Json(&detail)).into_response();
    let headers = response.headers_mut();
    headers.insert(ETAG, task_etag(&detail.task));
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/tasks/{}", detail.task.id)) {
        headers.insert(LOCATION, location);
    }
    if let Some(wait) = wait
        && let Ok(applied) = HeaderValue::from_str(&format!("wait={}", wait.as_secs()))
    {
        headers.insert("preference-applied", applied);
    }
    Ok(response)
}

/// Lists tasks, newest first.
#[utoipa::path(
    get, path = "/api/v1/tasks", tag = "tasks",
    params(
        ("status" = Option<Vec<TaskStatus>>, Query, description = "Repeated, or a list with commas"),
        ("kind" = Option<String>, Query),
        ("agent" = Option<String>, Query, description = "The agent that does it"),
        ("created_by" = Option<String>, Query),
        ("session" = Option<String>, Query),
        ("subject" = Option<String>, Query, description = "`collection/id`"),
        ("parent" = Option<String>, Query, description = "The task whose execution created it"),
        ("root" = Option<String>, Query, description = "The first of its chain of causes"),
        ("tenant" = Option<String>, Query),
        ("created_after" = Option<Timestamp>, Query),
        ("created_before" = Option<Timestamp>, Query),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("cursor" = Option<String>, Query, description = "From the page before"),
    ),
    responses((status = 200, body = Listing<Task>), Reads),
)]
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Listing<Task>>> {
    let query = TaskQuery {
        tenants: viewer.scope(params.parsed("tenant")?)?,
        status: params.many_parsed("status")?,
        kind: params.text("kind")?,
        agent: params.parsed("agent")?,
        created_by: params.parsed("created_by")?,
        session: params.text("session")?,
        subject: params.parsed("subject")?,
        parent: params.parsed("parent")?,
        root: params.parsed("root")?,
        created_after: params.time("created_after")?,
        created_before: params.time("created_before")?,
        limit: params.limit()?,
        cursor: params.text("cursor")?,
    };
    params.finish()?;
    Ok(Json(api.store().tasks(&query).await?.into()))
}

/// One task, and while it waits, for what.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}", tag = "tasks",
    params(
        ("id" = String, Path),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what the caller has"),
    ),
    responses(
        (status = 200, body = TaskDetail),
        (status = 304, description = "The caller has it already"),
        Finds,
    ),
)]
pub async fn get(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
    has: IfNoneMatch,
) -> ApiResult<Response<axum::body::Body>> {
    let id = task_id(&id)?;
    if let Some(sent) = api.finished.get(&id).await {
        if !viewer.sees(&sent.tenant) {
            return Err(missing(&id).into());
        }
        return Ok(sent.respond(has.has(&sent.etag)));
    }
    let stamp = api.finished.stamp(&id);
    let task = api.tasks.get(&id).await?;
    if !viewer.sees(&task.tenant) {
        return Err(missing(&id).into());
    }
    let detail = TaskDetail::of(&api, task).await?;
    let sent = Sent::new(&detail, stamp).map_err(|error| Problem::internal(error.to_string()))?;
    let sent = Arc::new(sent);
    api.finished.keep(&detail.task, sent.clone()).await;
    Ok(sent.respond(has.has(&sent.etag)))
}

/// Starts a held task, or a new execution of a finished one.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/execute", tag = "tasks",
    params(
        ("id" = String, Path),
        ("Prefer" = Option<String>, Header, description = "`wait=N`, as for submitting"),
    ),
    responses((status = 202, body = TaskDetail), (status = 200, body = TaskDetail), Changes),
)]
pub async fn execute(
    client: Client,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
    headers: HeaderMap,
) -> ApiResult<axum::response::Response> {
    let id = seen(&api, &client, &id).await?.id;
    let state = api.clone();
    let started = to_its_end(async move {
        let started = state.tasks.execute(&id).await;
        state.finished.changed(&id);
        started
    });
    answer(&api, started.await?, prefer_wait(&headers)).await
}

/// Stops a task.
///
/// A pending one never starts, a running one's guests are dropped. Answers once that is on record.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/cancel", tag = "tasks",
    params(("id" = String, Path)),
    responses((status = 200, body = Task), Changes),
)]
pub async fn cancel(
    client: Client,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
) -> ApiResult<Json<Task>> {
    let id = seen(&api, &client, &id).await?.id;
    let by = client.name.clone();
    let cancelled = to_its_end(async move {
        let cancelled = api.tasks.cancel(&id, &by).await;
        api.finished.changed(&id);
        cancelled
    });
    Ok(Json(cancelled.await?))
}

/// How far a task is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Progress {
    /// Which task.
    pub task: TaskId,
    /// Where it is.
    pub status: TaskStatus,
    /// What it waits for.
    pub waiting_for: Option<WaitReason>,
    /// 0–1, as its agent last said.
    pub progress: Option<f64>,
    /// What its agent last said.
    pub message: Option<String>,
    /// When anything of it changed.
    pub updated_at: Timestamp,
}

/// How far a task is.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}/progress", tag = "tasks",
    params(("id" = String, Path)),
    responses((status = 200, body = Progress), Finds),
)]
pub async fn progress(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
) -> ApiResult<Json<Progress>> {
    let task = seen(&api, &viewer, &id).await?;
    Ok(Json(Progress {
        task: task.id,
        status: task.status,
        waiting_for: task.waiting_for,
        progress: task.progress,
        message: task.progress_message,
        updated_at: task.updated_at,
    }))
}
