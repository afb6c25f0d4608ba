//! Replays on this host: an execution runs again over its journal, and whoever looks sees where the
//! versions that are installed now would have gone differently. Nothing of it has an effect.

use super::Api;
use super::auth::Operator;
use super::doc::Finds;
use super::error::ApiResult;
use super::executions::seen_execution;
use super::export::Journals;
use super::input::{Params, PathOf};
use axum::Json;
use axum::extract::State;
use mandate_kernel::replay::{RecordedInvocation, Recording, Replayed, Verdict};
use mandate_kernel::{Loaded, PluginLoadError, Stop};
use mandate_types::{ExecutionId, Problem};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Replays compute, and nobody waits for them as tasks are waited for: one at a time.
static ROOM: Semaphore = Semaphore::const_new(1);

/// What came of the replay of an execution.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReplayedExecution {
    /// Which.
    pub execution: ExecutionId,
    /// How many invocations went the same, as far as they are recorded.
    pub same: usize,
    /// How many did not.
    pub different: usize,
    /// How many could not be replayed; each says why.
    pub not_replayed: usize,
    /// Each of them, oldest first.
    pub items: Vec<Replayed>,
}

/// Replays an execution.
///
/// Each invocation runs by itself over its journal: nothing is asked, written, logged or paid for.
#[utoipa::path(
    post, path = "/api/v1/executions/{id}/replay", tag = "executions",
    params(
        ("id" = String, Path),
        ("version" = Option<String>, Query, description = "`pinned`, which ran then, when absent; or `installed`, which would run now"),
    ),
    responses((status = 200, body = ReplayedExecution), Finds),
)]
pub async fn execution(
    operator: Operator,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
    mut params: Params,
) -> ApiResult<Json<ReplayedExecution>> {
    let installed = match params.text("version")?.as_deref() {
        None | Some("pinned") => false,
        Some("installed") => true,
        Some(_) => return Err(Problem::invalid_field("version", "`pinned` or `installed`").into()),
    };
    params.finish()?;
    let execution = seen_execution(&api, &operator, &id).await?;
    let _room = ROOM.try_acquire().map_err(|_| {
        Problem::unavailable("another replay runs on this host; try again when it is over")
    })?;
    let store = api.store();
    let task = match &execution.task {
        Some(task) => store.task(task).await?,
        None => None,
    };
    let invocations = store.invocations(&execution.id).await?;
    let mut journals = Journals::new(store, &execution, task.as_ref(), invocations);
    let recording = Recording::new(execution, task, Vec::new());
    let mut items = Vec::new();
    // One at a time: a journal may be large, and all of them together too large.
    while let Some(one) = journals.next().await? {
        items.push(replay(&api, &recording, &one, installed).await?);
    }
    let count = |verdict| items.iter().filter(|one| one.verdict == verdict).count();
    Ok(Json(ReplayedExecution {
        execution: recording.execution.id,
        same: count(Verdict::Same) + count(Verdict::SameSoFar),
        different: count(Verdict::Differs),
        not_replayed: count(Verdict::NotReplayed),
        items,
    }))
}

async fn replay(
    api: &Api,
    recording: &Recording,
    one: &RecordedInvocation,
    installed: bool,
) -> ApiResult<Replayed> {
    match version(api, one, installed).await? {
        Ok(version) => {
            let replayed = api.kernel.replay(recording, one, &version, Stop::new());
            Ok(replayed.await)
        }
        Err(why) => Ok(Replayed::not(one, &one.invocation.digest, why)),
    }
}

/// What is to run, or why nothing can.
async fn version(
    api: &Api,
    one: &RecordedInvocation,
    installed: bool,
) -> ApiResult<Result<Arc<Loaded>, String>> {
    let invocation = &one.invocation;
    if installed {
        let catalogue = api.kernel.catalogue();
        let active = catalogue.installed(&invocation.plugin);
        let loaded = active.map(|active| active.loaded.clone());
        return Ok(loaded.ok_or_else(|| format!("`{}` is not installed", invocation.plugin)));
    }
    match api.kernel.load(&invocation.digest).await {
        Ok(loaded) => Ok(Ok(loaded)),
        Err(PluginLoadError::Store(error)) => Err(error.into()),
        Err(error) => Ok(Err(error.to_string())),
    }
}
