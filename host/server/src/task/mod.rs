//! Tasks from submission to their end: who does them, when they start, how they are stopped.

mod erase;
mod halting;
mod queue;
mod run;
mod submit;
pub mod tool;
mod wake;

pub use submit::{NewTask, Origin};

use mandate_kernel::Kernel;
use mandate_store::{
    CommitError, NewEvent, SharedStore, StoreError, Task, TaskChange, TaskError, Write,
};
use mandate_types::{
    EventKind, ExecutionId, PrincipalName, Problem, TaskId, TaskStatus, Timestamp,
};
use queue::Queue;
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, oneshot};

/// The most bytes of inputs, metadata and descriptions of tasks that wait.
const MOST_QUEUED_BYTES: usize = 128 << 20;

/// How tasks are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Executions at the same time, over all plugins.
    pub concurrency: usize,
    /// Accepted and unfinished tasks; more are refused.
    pub most_queued: usize,
    /// How long tasks that a schedule started are kept after they were created.
    pub keep_scheduled: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 64,
            most_queued: 100_000,
            keep_scheduled: Duration::from_secs(3_600),
        }
    }
}

/// The tasks of this host.
pub struct Tasks {
    kernel: Arc<Kernel>,
    settings: Settings,
    queue: Mutex<Queue>,
    waiting: Mutex<HashMap<TaskId, Vec<oneshot::Sender<()>>>>,
    draining: AtomicBool,
    idle: Notify,
    /// Calls of clients that could go on if they were not halted.
    held_calls: Mutex<Vec<ExecutionId>>,
    /// Held by whoever lets halted tasks go on.
    waking: tokio::sync::Mutex<()>,
}

impl Tasks {
    /// The tasks of `kernel`; nothing is started before [`Tasks::start`].
    pub fn new(kernel: Arc<Kernel>, settings: Settings) -> Arc<Self> {
        let queue = Mutex::new(Queue::new(settings.concurrency));
        Arc::new(Self {
            kernel,
            settings,
            queue,
            waiting: Mutex::default(),
            draining: AtomicBool::new(false),
            idle: Notify::new(),
            held_calls: Mutex::default(),
            waking: tokio::sync::Mutex::new(()),
        })
    }

    /// Takes up what is unfinished, and from now on what agents submit.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn start(self: &Arc<Self>) -> Result<(), StoreError> {
        let events = self.store().subscribe();
        self.take_up().await?;
        let calls = self.store().unfinished_calls().await?;
        // What was resumed just before this host started.
        let tasks = self.clone();
        tokio::spawn(async move { tasks.wake_halted().await });
        tokio::spawn(self.clone().follow(events));
        tokio::spawn(self.clone().resume_calls(calls));
        tokio::spawn(self.clone().watch_waits());
        Ok(())
    }

    /// The seam and everything behind it.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// Everything that is kept.
    pub fn store(&self) -> &SharedStore {
        self.kernel.store()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues every unfinished task that is not known yet.
    async fn take_up(self: &Arc<Self>) -> Result<(), StoreError> {
        for task in self.store().unfinished().await? {
            self.queue().add(Arc::new(task), None);
        }
        self.pump();
        Ok(())
    }

    /// Agents create tasks in their own commits; the event tells of them.
    async fn follow(self: Arc<Self>, mut events: broadcast::Receiver<Arc<mandate_store::Event>>) {
        loop {
            match events.recv().await {
                Ok(event) => {
                    let by_agent = event
                        .data
                        .get("by_agent")
                        .and_then(serde_json::Value::as_bool);
                    if event.kind != EventKind::TASK_CREATED || by_agent != Some(true) {
                        continue;
                    }
                    let Some(id) = &event.task else { continue };
                    match self.store().task(id).await {
                        Ok(Some(task)) if task.queued && task.status == TaskStatus::Pending => {
                            self.enqueue(Arc::new(task));
                        }
                        Ok(_) => {}
                        Err(error) => {
                            tracing::error!(task = %id, %error, "a new task cannot be read")
                        }
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    if let Err(error) = self.take_up().await {
                        tracing::error!(%error, "unfinished tasks cannot be read");
                    }
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn enqueue(self: &Arc<Self>, task: Arc<Task>) {
        self.queue().add(task, None);
        self.pump();
    }

    /// Starts whatever may start now.
    fn pump(self: &Arc<Self>) {
        if self.draining.load(Ordering::Acquire) {
            return;
        }
        let catalogue = self.kernel.catalogue();
        let room = |plugin: &str| {
            let limit = catalogue
                .plugin(plugin)
                .map(|p| p.grant().limits.concurrency);
            // A task whose plugin is gone starts, in order to fail with a reason.
            limit.map_or(usize::MAX, |limit| limit.max(1) as usize)
        };
        loop {
            let next = {
                let mut queue = self.queue();
                queue.follow(&self.kernel.halts());
                queue.next(room)
            };
            let Some((task, stop)) = next else { break };
            let tasks = self.clone();
            tokio::spawn(async move { tasks.run(task, stop).await });
        }
        self.kernel.set_room(self.room().is_ok());
    }

    /// One task, if it exists.
    ///
    /// # Errors
    /// A [`Problem`] when it does not, or the database does not answer.
    pub async fn get(&self, id: &TaskId) -> Result<Task, Problem> {
        let task = self.store().task(id).await.map_err(store_problem)?;
        task.ok_or_else(|| Problem::not_found(format!("task {id}")))
    }

    /// Starts a held task, or a new execution of a finished one.
    ///
    /// # Errors
    /// A [`Problem`] when the task runs already or does not exist.
    pub async fn execute(self: &Arc<Self>, id: &TaskId) -> Result<Task, Problem> {
        self.accepts_work()?;
        let now = Timestamp::now();
        let change = TaskChange {
            status: Some(TaskStatus::Pending),
            queued: Some(true),
            // From the beginning.
            continuation: Some(None),
            result: Some(None),
            output: Some(None),
            summary: Some(None),
            quality_score: Some(None),
            error: Some(None),
            completed_at: Some(None),
            duration_seconds: Some(None),
            updated_at: now,
            ..TaskChange::default()
        };
        let before = self.get(id).await?;
        if before.status == TaskStatus::Pending && before.queued {
            return Err(Problem::conflict(format!(
                "the task {id} is queued already"
            )));
        }
        if let Some(agent) = before.assigned_agents.first() {
            self.not_halted(&before.tenant, agent)?;
        }
        let write = Write::ChangeTask {
            id: id.clone(),
            from: &[
                TaskStatus::Pending,
                TaskStatus::Succeeded,
                TaskStatus::Failed,
                TaskStatus::Cancelled,
            ],
            change: Box::new(change),
        };
        self.store()
            .commit(None, vec![write])
            .await
            .map_err(commit_problem)?;
        let task = self.get(id).await?;
        self.queue().add_anew(Arc::new(task.clone()));
        self.pump();
        Ok(task)
    }

    /// Stops a task: a pending one never starts, a running one's guests are dropped. Returns
    /// once that is on record.
    ///
    /// # Errors
    /// A [`Problem`] when the task has ended already or does not exist.
    pub async fn cancel(
        self: &Arc<Self>,
        id: &TaskId,
        by: &PrincipalName,
    ) -> Result<Task, Problem> {
        let reason = format!("cancelled by {by}");
        if self.queue().take_or_stop(id, &reason) {
            self.ended(id, Duration::from_secs(10)).await;
            let task = self.get(id).await?;
            // An end that could not be written is written below, or the caller hears why not.
            if task.status.is_final() || self.queue().take_or_stop(id, &reason) {
                return Ok(task);
            }
        }
        let task = self.get(id).await?;
        let now = Timestamp::now();
        let error = TaskError {
            kind: "cancelled".to_owned(),
            message: reason,
            retryable: false,
        };
        let change = TaskChange {
            status: Some(TaskStatus::Cancelled),
            queued: Some(false),
            waiting_for: Some(None),
            error: Some(Some(error)),
            completed_at: Some(Some(now)),
            updated_at: now,
            ..TaskChange::default()
        };
        let mut writes = vec![
            Write::ChangeTask {
                id: id.clone(),
                // Also one that waits here for its journal: it is `running`, and does not run.
                from: &[
                    TaskStatus::Pending,
                    TaskStatus::Running,
                    TaskStatus::Waiting,
                    TaskStatus::Diverged,
                    TaskStatus::Blocked,
                ],
                change: Box::new(change),
            },
            task_event(&task, EventKind::TASK_CANCELLED, json!({"by": by})),
        ];
        // Nobody is asked any more for what will not happen.
        writes.extend(
            task.execution
                .clone()
                .map(|execution| Write::Withdraw { execution, at: now }),
        );
        if let Err(error) = self.store().commit(None, writes).await {
            // It is not cancelled, so it goes on.
            let unfinished = match task.status {
                TaskStatus::Pending => task.queued,
                status => status == TaskStatus::Running,
            };
            if matches!(error, CommitError::Store(_)) && unfinished {
                self.enqueue(Arc::new(task));
            }
            return Err(commit_problem(error));
        }
        self.tell_waiting(id);
        self.get(id).await
    }

    /// Waits until the task has ended, at most so long.
    pub async fn ended(&self, id: &TaskId, most: Duration) {
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let senders = waiting.entry(id.clone()).or_default();
            // Clients that went away leave theirs behind.
            senders.retain(|sender| !sender.is_closed());
            senders.push(sender);
        }
        // It may have ended before anybody listened.
        let over = match self.store().task(id).await {
            Ok(Some(task)) => task.status.is_final() || !task.queued,
            _ => false,
        };
        if !over {
            // Either way the caller looks at the task again.
            let _ = tokio::time::timeout(most, receiver).await;
        } else {
            drop(receiver);
        }
        self.forget_waiting(id);
    }

    /// Nobody tells those again who stopped listening.
    fn forget_waiting(&self, id: &TaskId) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(senders) = waiting.get_mut(id) {
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                waiting.remove(id);
            }
        }
    }

    fn tell_waiting(&self, id: &TaskId) {
        let waiting = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        for sender in waiting.into_iter().flatten() {
            // Whoever waited may have gone.
            let _ = sender.send(());
        }
    }

    /// Refuses when the host is going down or has too much to do.
    fn accepts_work(&self) -> Result<(), Problem> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Problem::unavailable(
                "the host is stopping; try again in a moment",
            ));
        }
        self.room()
    }

    /// Refuses when too many tasks wait, or too large ones: they are held in memory.
    fn room(&self) -> Result<(), Problem> {
        let (known, bytes) = {
            let queue = self.queue();
            (queue.len(), queue.queued_bytes())
        };
        let most = self.settings.most_queued;
        if known >= most {
            return Err(Problem::unavailable(format!(
                "{known} tasks are unfinished, and this host takes at most {most}; try again later"
            )));
        }
        if bytes >= MOST_QUEUED_BYTES {
            return Err(Problem::unavailable(format!(
                "the tasks that wait hold {bytes} bytes, and this host takes at most {MOST_QUEUED_BYTES}; try again later"
            )));
        }
        Ok(())
    }

    /// Whether the host is going down.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// How many tasks wait and how many run on this host.
    pub fn load(&self) -> (usize, usize) {
        let queue = self.queue();
        (queue.len().saturating_sub(queue.running()), queue.running())
    }

    /// Starts nothing any more and waits for what runs, at most so long. What still runs then
    /// is dropped, and goes on when a host starts again.
    pub async fn drain(&self, grace: Duration) {
        self.draining.store(true, Ordering::Release);
        let all_done = async {
            loop {
                let idle = self.idle.notified();
                tokio::pin!(idle);
                // Registered before the look, so that the last end is not missed.
                idle.as_mut().enable();
                if self.queue().running() == 0 {
                    return;
                }
                idle.await;
            }
        };
        if tokio::time::timeout(grace, all_done).await.is_err() {
            let left = self.queue().running();
            tracing::warn!(left, "executions still run; they go on at the next start");
        }
    }
}

/// An event about a task.
pub fn task_event(task: &Task, kind: &str, data: serde_json::Value) -> Write {
    Write::Event(Box::new(NewEvent {
        time: Timestamp::now(),
        kind: kind.to_owned(),
        subject: task.subject.clone(),
        task: Some(task.id.clone()),
        tenant: task.tenant.clone(),
        data,
    }))
}

/// What a client is told when the database cannot do it.
pub fn store_problem(error: StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) | StoreError::Key(_) => Problem::unavailable(error.to_string()),
        StoreError::Erased(_) => Problem::new(410, "erased", "Erased", error.to_string()),
        StoreError::Full(_) => Problem::new(507, "disk-full", "No room", error.to_string()),
        StoreError::Cursor => Problem::invalid_field("cursor", "a cursor that this host gave out"),
        StoreError::Query(reason) => Problem::invalid(reason),
        StoreError::Corrupt(_) => {
            tracing::error!(%error, "the database holds what it should not");
            Problem::internal("the database holds a row that cannot be read; see the log")
        }
    }
}

/// What a client is told when its change was not written.
pub fn commit_problem(error: CommitError) -> Problem {
    match error {
        CommitError::Store(error) => store_problem(error),
        CommitError::NotFound(what) => Problem::not_found(what),
        CommitError::Halted(halt) => Problem::halted(*halt),
        other => Problem::conflict(other.to_string()),
    }
}
