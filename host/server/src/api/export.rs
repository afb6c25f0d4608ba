//! Executions as documents, and the packages that they ran: what a replay elsewhere needs.

use super::Api;
use super::auth::Operator;
use super::doc::Finds;
use super::error::ApiResult;
use super::executions::seen_execution;
use super::input::PathOf;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::stream;
use mandate_kernel::replay::recording::{packages, title};
use mandate_kernel::replay::{RecordedInvocation, Recording};
use mandate_store::{Execution, Invocation, SharedStore, StoreError, Task};
use mandate_types::{Digest, InvocationId, Problem};
use std::collections::{HashMap, VecDeque};

/// An execution with its journals, as one document. It holds the seeds of its random numbers and
/// the settings of its plugins.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/export", tag = "executions",
    params(("id" = String, Path)),
    responses((status = 200, body = Recording), Finds),
)]
pub async fn execution(
    operator: Operator,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
) -> ApiResult<Response> {
    let execution = seen_execution(&api, &operator, &id).await?;
    let store = api.store();
    let task = match &execution.task {
        Some(task) => store.task(task).await?,
        None => None,
    };
    let invocations = store.invocations(&execution.id).await?;
    let journals = Journals::new(store, &execution, task.as_ref(), invocations);
    let file = format!("attachment; filename=\"{}.json\"", execution.id);
    let mut head = Recording::new(execution, task, Vec::new());
    head.packages = packages(journals.left.iter().map(|one| &one.digest));
    // One invocation at a time: a journal may be large, and all of them together too large.
    let document = Document {
        journals,
        at: Place::Head(Box::new(head)),
    };
    let parts = stream::try_unfold(document, |mut document| async move {
        let part = document.next().await.map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(part.map(|part| (part, document)))
    });
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (CONTENT_DISPOSITION, file),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

/// How much of a document was sent.
enum Place {
    Head(Box<Recording>),
    First,
    Rest,
    Over,
}

/// The invocations of an execution with their journals, one after the other.
pub struct Journals {
    store: SharedStore,
    /// Of agents whose callers were read.
    titles: HashMap<InvocationId, String>,
    left: VecDeque<Invocation>,
}

impl Journals {
    /// Of `invocations`, oldest first, of an execution for `task`.
    pub fn new(
        store: &SharedStore,
        execution: &Execution,
        task: Option<&Task>,
        invocations: Vec<Invocation>,
    ) -> Self {
        let root = task.map(|task| (execution.root.clone(), task.title.clone()));
        Self {
            store: store.clone(),
            titles: root.into_iter().collect(),
            left: invocations.into(),
        }
    }

    /// The next; none after the last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next(&mut self) -> Result<Option<RecordedInvocation>, StoreError> {
        let Some(invocation) = self.left.pop_front() else {
            return Ok(None);
        };
        let steps = match invocation.erased {
            true => Vec::new(),
            false => self.store.steps(&invocation.id).await?,
        };
        for step in &steps {
            if let (Some(child), Some(title)) = (&step.child, title(step)) {
                self.titles.insert(child.clone(), title.to_owned());
            }
        }
        let title = self.titles.remove(&invocation.id).unwrap_or_default();
        Ok(Some(RecordedInvocation::new(invocation, title, steps)))
    }
}

/// A document on its way.
struct Document {
    journals: Journals,
    at: Place,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Document {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failed> {
        let comma = match std::mem::replace(&mut self.at, Place::Rest) {
            Place::Head(head) => {
                self.at = Place::First;
                let mut text = serde_json::to_vec(&*head)?;
                // The list of invocations is its last member, and stays open.
                text.truncate(text.len().saturating_sub(2));
                return Ok(Some(text));
            }
            Place::First => "",
            Place::Rest => ",",
            Place::Over => return Ok(None),
        };
        let Some(one) = self.journals.next().await? else {
            self.at = Place::Over;
            return Ok(Some(b"]}".to_vec()));
        };
        let mut text = comma.as_bytes().to_vec();
        serde_json::to_writer(&mut text, &one)?;
        Ok(Some(text))
    }
}

/// The file of a package.
#[utoipa::path(
    get, path = "/api/v1/packages/{digest}", tag = "plugins",
    params(("digest" = String, Path, description = "SHA-256 of the file without its signature")),
    responses((status = 200, content_type = "application/wasm"), Finds),
)]
pub async fn package(
    _: Operator,
    State(api): State<Api>,
    PathOf(digest): PathOf<String>,
) -> ApiResult<Response> {
    let missing = |why: String| Problem::not_found(format!("such package: {why}"));
    let digest = Digest::parse(&digest).map_err(|error| missing(error.to_string()))?;
    let package = api.store().package(&digest).await?;
    let package = package.ok_or_else(|| Problem::not_found(format!("package {digest}")))?;
    Ok(([(CONTENT_TYPE, "application/wasm")], package.bytes).into_response())
}
