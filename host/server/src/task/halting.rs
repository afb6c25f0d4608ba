//! What a halt means for tasks: those that ran wait for its end, those that did not stay queued.

use super::run::{AFTER_STORE_FAILURE, Next};
use super::{Tasks, store_problem, task_event};
use futures::StreamExt as _;
use mandate_kernel::NowHalted;
use mandate_policy::Halts;
use mandate_store::{CommitError, Task, TaskChange, Write};
use mandate_types::{
    EventKind, ExecutionId, Halt, HaltScope, PluginName, PrincipalName, Problem, TaskStatus,
    TenantId, Timestamp, WaitReason,
};
use serde_json::json;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a halt waits until the tasks that it stopped are at rest.
const MOST_WAIT: Duration = Duration::from_secs(2);
/// Tasks that are woken at the same time.
const AT_ONCE: usize = 64;

impl Tasks {
    /// Halts `scope`. Returns when nothing runs any more that it covers, save what ends by itself
    /// after an effect that was under way.
    ///
    /// # Errors
    /// A [`Problem`] when it could not be kept; it is in force even so, until this host stops.
    pub async fn halt(
        &self,
        scope: HaltScope,
        reason: String,
        by: PrincipalName,
    ) -> Result<NowHalted, Problem> {
        let halted = self.kernel.halt(scope, reason, by).await;
        let at_rest = async {
            loop {
                let idle = self.idle.notified();
                tokio::pin!(idle);
                // Registered before the look, so that the last end is not missed.
                idle.as_mut().enable();
                if self.queue().suspended() == 0 {
                    return;
                }
                idle.await;
            }
        };
        if tokio::time::timeout(MOST_WAIT, at_rest).await.is_err() {
            tracing::warn!("what was halted is not at rest yet");
        }
        halted.map_err(|error| match error {
            CommitError::Store(error) => {
                let mut problem = store_problem(error);
                problem.detail = format!(
                    "what was running is stopped and nothing covered starts, but only until this host stops, because it could not be kept: {}; send it again",
                    problem.detail
                );
                problem
            }
            other => super::commit_problem(other),
        })
    }

    /// Ends the halt of `scope`; what it stopped goes on by replay, unless another halt covers it.
    ///
    /// # Errors
    /// A [`Problem`] when there is no such halt, or its end cannot be kept.
    pub async fn end_halt(
        self: &Arc<Self>,
        scope: &HaltScope,
        by: &PrincipalName,
    ) -> Result<Halt, Problem> {
        let halt = self.kernel.end_halt(scope, by).await;
        let halt = halt.map_err(super::commit_problem)?;
        self.pump();
        let tasks = self.clone();
        tokio::spawn(async move { tasks.wake_halted().await });
        self.resume_held_calls();
        Ok(halt)
    }

    /// What is halted now.
    pub fn halts(&self) -> Arc<Halts> {
        self.kernel.halts()
    }

    /// What is halted, and each change of that.
    pub fn watch_halts(&self) -> watch::Receiver<Arc<Halts>> {
        self.kernel.watch_halts()
    }

    /// Refuses what is halted.
    pub(super) fn not_halted(&self, tenant: &TenantId, plugin: &PluginName) -> Result<(), Problem> {
        match self.kernel.halted(tenant, plugin) {
            Some(halt) => Err(Problem::halted(halt)),
            None => Ok(()),
        }
    }

    /// Writes down that a task waits for the end of a halt. One that had not begun is queued again.
    pub(super) async fn rest(self: &Arc<Self>, task: &Task, halt: &Halt) -> Next {
        let change = TaskChange {
            status: Some(TaskStatus::Waiting),
            waiting_for: Some(Some(WaitReason::Halt)),
            updated_at: Timestamp::now(),
            ..TaskChange::default()
        };
        let data = json!({"waiting_for": WaitReason::Halt, "halt": halt});
        let writes = vec![
            Write::ChangeTask {
                id: task.id.clone(),
                from: &[TaskStatus::Running],
                change: Box::new(change),
            },
            task_event(task, EventKind::TASK_WAITING, data),
        ];
        match self.store().commit(None, writes).await {
            Ok(_) => {}
            Err(CommitError::Store(error)) => {
                tracing::error!(task = %task.id, %error, "that a task is halted cannot be written");
                return Next::Again(AFTER_STORE_FAILURE);
            }
            // It never began, or somebody cancelled it.
            Err(_) => return Next::Again(Duration::ZERO),
        }
        if self.halts().get(&halt.scope).is_none() {
            // Resumed before this was written: whoever resumed did not see it.
            let tasks = self.clone();
            tokio::spawn(async move { tasks.wake_halted().await });
        }
        Next::Done
    }

    /// Lets the tasks go on that wait for the end of a halt which has ended.
    pub(super) async fn wake_halted(self: &Arc<Self>) {
        // One at a time: what one woke may be halted again when the other comes to it.
        let _waking = self.waking.lock().await;
        let waiting = loop {
            match self.store().halted_tasks().await {
                Ok(waiting) => break waiting,
                Err(error) => {
                    tracing::error!(%error, "the tasks that were halted cannot be read");
                    tokio::time::sleep(AFTER_STORE_FAILURE).await;
                }
            }
        };
        let halts = self.halts();
        let free = waiting.into_iter().filter(|task| {
            let halt = halts.covering(&task.tenant, &task.assigned_agents);
            halt.is_none()
        });
        futures::stream::iter(free)
            .for_each_concurrent(AT_ONCE, |task| self.wake(task))
            .await;
    }

    /// Keeps a client's call that waited for somebody and is halted now.
    pub(super) fn hold_call(self: &Arc<Self>, execution: ExecutionId, halt: &Halt) {
        self.held_calls().push(execution);
        if self.halts().get(&halt.scope).is_none() {
            // Resumed in between.
            self.resume_held_calls();
        }
    }

    fn resume_held_calls(self: &Arc<Self>) {
        let held = std::mem::take(&mut *self.held_calls());
        if !held.is_empty() {
            tokio::spawn(self.clone().resume_calls(held));
        }
    }

    fn held_calls(&self) -> MutexGuard<'_, Vec<ExecutionId>> {
        self.held_calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn wake(self: &Arc<Self>, task: Task) {
        let now = Timestamp::now();
        let change = TaskChange {
            status: Some(TaskStatus::Running),
            waiting_for: Some(None),
            updated_at: now,
            ..TaskChange::default()
        };
        loop {
            let write = Write::ChangeTask {
                id: task.id.clone(),
                from: &[TaskStatus::Waiting],
                change: Box::new(change.clone()),
            };
            match self.store().commit(None, vec![write]).await {
                Ok(_) => break,
                Err(CommitError::Store(error)) => {
                    tracing::error!(task = %task.id, %error, "a task that was halted cannot go on yet");
                    tokio::time::sleep(AFTER_STORE_FAILURE).await;
                }
                // Somebody cancelled it.
                Err(_) => return,
            }
        }
        let task = Task {
            status: TaskStatus::Running,
            waiting_for: None,
            updated_at: now,
            ..task
        };
        self.queue().add_anew(Arc::new(task));
        self.pump();
    }
}
