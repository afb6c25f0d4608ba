//! Finished tasks as they are sent, so that looking at one again costs next to nothing.
//!
//! Never stale: each kept answer carries the stamp that its task had *before* it was read, and
//! counts only while the stamp is the same. Whoever changes a finished task bumps the stamp
//! after the change is on disk and before it is acknowledged, so an answer that was read
//! earlier is not given out any more, however late it was kept.

use super::waiting::TaskDetail;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, Response, StatusCode};
use mandate_store::Task;
use mandate_types::{TaskId, TenantId};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The most bytes of answers that are kept.
const MOST_BYTES: u64 = 64 << 20;
/// Larger answers are not kept.
const LARGEST: usize = 256 << 10;
/// Tasks that share a stamp only make each other's answers count as changed.
const STAMPS: usize = 1_024;

/// A task as it is sent.
pub struct Sent {
    /// For whom it is.
    pub tenant: TenantId,
    /// Names this state of it.
    pub etag: HeaderValue,
    body: Bytes,
    stamp: u64,
}

impl Sent {
    /// The task, as JSON.
    ///
    /// # Errors
    /// When it cannot be written as JSON; not with what the store holds.
    pub fn new(detail: &TaskDetail, stamp: u64) -> serde_json::Result<Self> {
        Ok(Self {
            tenant: detail.task.tenant.clone(),
            etag: super::tasks::task_etag(&detail.task),
            body: serde_json::to_vec(detail)?.into(),
            stamp,
        })
    }

    /// The whole answer, or 304 for whoever has it.
    pub fn respond(&self, has_it: bool) -> Response<Body> {
        let mut response = if has_it {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            let mut response = Response::new(Body::from(self.body.clone()));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        };
        response.headers_mut().insert(ETAG, self.etag.clone());
        response
    }
}

/// The answers that are kept.
pub struct Finished {
    kept: moka::future::Cache<TaskId, Arc<Sent>>,
    hasher: RandomState,
    stamps: Vec<AtomicU64>,
}

impl Finished {
    /// Nothing yet.
    pub fn new() -> Self {
        let kept = moka::future::Cache::builder()
            .max_capacity(MOST_BYTES)
            .weigher(|_, sent: &Arc<Sent>| {
                u32::try_from(sent.body.len().saturating_add(256)).unwrap_or(u32::MAX)
            })
            .time_to_live(Duration::from_secs(300))
            .build();
        let stamps = std::iter::repeat_with(AtomicU64::default)
            .take(STAMPS)
            .collect();
        Self {
            kept,
            hasher: RandomState::new(),
            stamps,
        }
    }

    fn cell(&self, id: &TaskId) -> Option<&AtomicU64> {
        let at = self.hasher.hash_one(id) % (STAMPS as u64);
        self.stamps.get(usize::try_from(at).unwrap_or_default())
    }

    /// To be taken before the task is read.
    pub fn stamp(&self, id: &TaskId) -> u64 {
        self.cell(id).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    /// The answer, if it still counts.
    pub async fn get(&self, id: &TaskId) -> Option<Arc<Sent>> {
        self.kept
            .get(id)
            .await
            .filter(|sent| sent.stamp == self.stamp(id))
    }

    /// Keeps the answer, if nothing happens to the task any more by itself.
    pub async fn keep(&self, task: &Task, sent: Arc<Sent>) {
        if task.status.is_final() && task.expires_at.is_none() && sent.body.len() <= LARGEST {
            self.kept.insert(task.id.clone(), sent).await;
        }
    }

    /// The task is not what it was.
    pub fn changed(&self, id: &TaskId) {
        if let Some(cell) = self.cell(id) {
            cell.fetch_add(1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::{PrincipalName, TaskStatus, Timestamp};

    fn task() -> TaskDetail {
        let mut task = Task::new(
            TaskId::fresh(),
            "k".into(),
            "t".into(),
            TenantId::default(),
            PrincipalName::parse("p").unwrap(),
            Timestamp::from_micros(1),
        );
        task.status = TaskStatus::Succeeded;
        let waits = Vec::new();
        TaskDetail { task, waits }
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_does_not_count_after_it() {
        let (kept, detail) = (Finished::new(), task());
        let task = &detail.task;
        let stamp = kept.stamp(&task.id);
        let sent = Arc::new(Sent::new(&detail, stamp).unwrap());
        kept.keep(task, sent.clone()).await;
        assert!(kept.get(&task.id).await.is_some());
        kept.changed(&task.id);
        assert!(kept.get(&task.id).await.is_none());
        // A reader that was slow keeps what it read too late.
        kept.keep(task, sent).await;
        assert!(kept.get(&task.id).await.is_none());
    }

    #[tokio::test]
    async fn only_what_is_finished_and_stays_is_kept() {
        let kept = Finished::new();
        for change in [
            (|t: &mut Task| t.status = TaskStatus::Running) as fn(&mut Task),
            |t| t.expires_at = Some(Timestamp::from_micros(9)),
        ] {
            let mut detail = task();
            change(&mut detail.task);
            let task = &detail.task;
            let sent = Arc::new(Sent::new(&detail, kept.stamp(&task.id)).unwrap());
            kept.keep(task, sent).await;
            assert!(kept.get(&task.id).await.is_none());
        }
    }
}
