//! Running one task on this host, and writing down how that ended.

use super::{Tasks, task_event};
use mandate_kernel::{Active, ExecutionEnd, Halted, Ran, Report, Run, RunEnd, RunParked, Stop};
use mandate_store::{Execution, StoreError, Task, TaskChange, TaskError, Write};
use mandate_types::{EventKind, ExecutionId, TaskStatus, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a task waits whose journal could not be written.
pub(super) const AFTER_STORE_FAILURE: Duration = Duration::from_secs(1);
/// How long the first retry waits; each further one twice as long, up to a minute.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// How long a task waits whose plugin is installed and did not load.
const UNTIL_IT_LOADS: Duration = Duration::from_secs(15);
/// How long after the beginning of an execution the one that continues it begins: a task that only
/// ever continues must not keep the host busy.
const BETWEEN_CONTINUATIONS: Duration = Duration::from_secs(1);

/// What to do with the task next.
pub(super) enum Next {
    /// Nothing.
    Done,
    /// Queue it again, not before a while.
    Again(Duration),
}

impl Tasks {
    /// Runs a task that was taken from the queue.
    pub(super) async fn run(self: Arc<Self>, task: Arc<Task>, stop: Stop) {
        metrics::gauge!("mandate_tasks_running").increment(1.0);
        let next = self.run_once(&task, stop).await;
        metrics::gauge!("mandate_tasks_running").decrement(1.0);
        self.queue().done(&task);
        self.tell_waiting(&task.id);
        self.idle.notify_waiters();
        if let Next::Again(delay) = next {
            self.again(&task, delay).await;
        }
        self.pump();
    }

    /// Queues a task once more, as it is now.
    async fn again(self: &Arc<Self>, task: &Task, delay: Duration) {
        let current = match self.store().task(&task.id).await {
            Ok(Some(task)) => task,
            Ok(None) => return,
            // The database is away: what this host knows has to do.
            Err(_) => task.clone(),
        };
        if current.status.is_final() {
            return;
        }
        self.queue()
            .add(Arc::new(current), Some(Instant::now() + delay));
        let tasks = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            tasks.pump();
        });
    }

    async fn run_once(self: &Arc<Self>, task: &Arc<Task>, stop: Stop) -> Next {
        if self.waits_for_plugin(task).await {
            tracing::info!(task = %task.id, "waits until its plugin loads");
            return Next::Again(UNTIL_IT_LOADS);
        }
        match self.execution_of(task, stop.clone()).await {
            Ok(Some(ran)) => {
                let concluded = match ran {
                    Ran::Ended(ended) => self.conclude(task, ended).await,
                    Ran::Parked(parked) => self.park(task, parked).await,
                };
                match concluded {
                    Ok(next) => next,
                    Err(halted) => self.halted(task, &stop, halted).await,
                }
            }
            Ok(None) => Next::Done,
            Err(halted) => self.halted(task, &stop, halted).await,
        }
    }

    /// Whether the task's plugin is installed, and this host could not load it: nobody took it
    /// away, so the task is not to fail for that.
    async fn waits_for_plugin(&self, task: &Task) -> bool {
        let Some(name) = task.assigned_agents.first() else {
            return false;
        };
        if self.kernel.catalogue().plugin(name.as_str()).is_some() {
            return false;
        }
        let installed = self.store().installations().await;
        installed.is_ok_and(|all| all.iter().any(|plugin| plugin.name == *name))
    }

    async fn execution_of(&self, task: &Arc<Task>, stop: Stop) -> Result<Option<Ran>, Halted> {
        let known = match &task.execution {
            Some(id) if task.status == TaskStatus::Running => self.store().execution(id).await?,
            _ => None,
        };
        let Some(plugin) = self.plugin_of(task, known.as_ref()).await? else {
            let name = task
                .assigned_agents
                .first()
                .map_or("?", |name| name.as_str());
            let message = format!("the agent `{name}` is not installed (any more)");
            self.fail(task, error("not_found", &message)).await?;
            return Ok(None);
        };
        if let Some(execution) = known {
            tracing::info!(task = %task.id, execution = %execution.id, "goes on by replay");
            // What was cancelled while it waited here does not run any more.
            let still_running = Write::ChangeTask {
                id: task.id.clone(),
                from: &[TaskStatus::Running],
                change: Box::new(TaskChange {
                    updated_at: Timestamp::now(),
                    ..TaskChange::default()
                }),
            };
            let run = Run {
                task: task.clone(),
                plugin,
                stop,
                with_start: vec![still_running],
            };
            return self.kernel.resume(run, execution).await.map(Some);
        }
        if !plugin.takes_work() {
            let message = format!("the agent `{}` is quarantined", plugin.name());
            self.fail(task, error("unavailable", &message)).await?;
            return Ok(None);
        }
        let execution = ExecutionId::fresh();
        let now = Timestamp::now();
        let attempts = task.attempts.saturating_add(1);
        let change = TaskChange {
            status: Some(TaskStatus::Running),
            execution: Some(execution.clone()),
            attempts: Some(attempts),
            updated_at: now,
            ..TaskChange::default()
        };
        let with_start = vec![
            Write::ChangeTask {
                id: task.id.clone(),
                from: &[TaskStatus::Pending],
                change: Box::new(change),
            },
            task_event(
                task,
                EventKind::TASK_EXECUTION_STARTED,
                json!({"execution": execution, "attempt": attempts, "agent": plugin.name()}),
            ),
        ];
        let started = Task {
            attempts,
            execution: Some(execution.clone()),
            ..(**task).clone()
        };
        let run = Run {
            task: Arc::new(started),
            plugin,
            stop,
            with_start,
        };
        self.kernel.run(run, execution).await.map(Some)
    }

    /// Who does the task: what is installed; and of an execution that began already the plugin
    /// that began it, also if it was removed meanwhile.
    async fn plugin_of(
        &self,
        task: &Task,
        known: Option<&Execution>,
    ) -> Result<Option<Arc<Active>>, Halted> {
        let began = match known {
            Some(execution) => self.store().invocation(&execution.root).await?,
            None => None,
        };
        if let Some(root) = began {
            let plugin = self.kernel.plugin_for(&root.plugin, &root.digest).await?;
            return Ok(plugin);
        }
        let name = task.assigned_agents.first();
        Ok(name.and_then(|name| self.kernel.catalogue().installed(name).cloned()))
    }

    /// A task that cannot even start.
    async fn fail(&self, task: &Task, error: TaskError) -> Result<(), Halted> {
        let now = Timestamp::now();
        let event = task_event(task, EventKind::TASK_FAILED, json!({"error": error}));
        let change = TaskChange {
            status: Some(TaskStatus::Failed),
            queued: Some(false),
            error: Some(Some(error)),
            completed_at: Some(Some(now)),
            updated_at: now,
            ..TaskChange::default()
        };
        let write = Write::ChangeTask {
            id: task.id.clone(),
            from: &[TaskStatus::Pending, TaskStatus::Running],
            change: Box::new(change),
        };
        self.store().commit(None, vec![write, event]).await?;
        Ok(())
    }

    /// Writes down that the execution waits. It holds nothing from then on.
    async fn park(&self, task: &Task, parked: RunParked) -> Result<Next, Halted> {
        let change = TaskChange {
            status: Some(TaskStatus::Waiting),
            waiting_for: Some(Some(parked.reason)),
            updated_at: Timestamp::now(),
            ..TaskChange::default()
        };
        let data = json!({
            "execution": parked.execution,
            "waiting_for": parked.reason,
            "until": parked.until,
        });
        let writes = vec![
            Write::ChangeTask {
                id: task.id.clone(),
                from: &[TaskStatus::Running],
                change: Box::new(change),
            },
            task_event(task, EventKind::TASK_WAITING, data),
        ];
        if parked.commit(writes).await? {
            return Ok(Next::Done);
        }
        // What it waits for came while it was dropped.
        Ok(Next::Again(Duration::ZERO))
    }

    async fn conclude(&self, task: &Task, ended: RunEnd) -> Result<Next, Halted> {
        let end = &ended.end;
        let (change, kind, data) = outcome(task, end);
        let next = match change.status {
            Some(TaskStatus::Pending) if end.continuation.is_some() => {
                Next::Again(BETWEEN_CONTINUATIONS.saturating_sub(end.took))
            }
            Some(TaskStatus::Pending) => {
                let tried = task.attempts.min(7);
                Next::Again((FIRST_RETRY * 2_u32.pow(tried)).min(Duration::from_secs(60)))
            }
            _ => Next::Done,
        };
        let status = change.status.unwrap_or(TaskStatus::Failed);
        let took = end.took;
        let writes = vec![
            Write::ChangeTask {
                id: task.id.clone(),
                from: &[TaskStatus::Running],
                change: Box::new(change),
            },
            task_event(task, kind, data),
        ];
        ended.commit(writes).await?;
        metrics::counter!("mandate_executions_total", "status" => status.as_str()).increment(1);
        metrics::histogram!("mandate_execution_seconds").record(took.as_secs_f64());
        Ok(next)
    }

    /// The execution cannot go on here. Unless it diverged, it is unfinished and is tried again.
    async fn halted(self: &Arc<Self>, task: &Task, stop: &Stop, halted: Halted) -> Next {
        match &halted {
            // Parked executions do not come here: they are not stopped, they wait.
            Halted::Parked => Next::Done,
            Halted::ByOperator(halt) => self.rest(task, halt).await,
            Halted::LeaseLost => {
                tracing::warn!(task = %task.id, "another host took the execution over");
                Next::Done
            }
            Halted::Store(StoreError::Erased(_)) if task.status == TaskStatus::Running => {
                self.give_up(task, TaskStatus::Failed, "erased", &halted)
                    .await
            }
            // What the journal holds does not get better by trying again.
            Halted::Store(StoreError::Corrupt(_)) if task.status == TaskStatus::Running => {
                self.give_up(task, TaskStatus::Blocked, "blocked", &halted)
                    .await
            }
            Halted::Store(cause) => {
                tracing::error!(task = %task.id, error = %cause, "the journal cannot be written; the task goes on later");
                if stop.reason().is_some() {
                    Next::Done
                } else {
                    Next::Again(AFTER_STORE_FAILURE)
                }
            }
            Halted::Diverged { .. } => {
                self.give_up(task, TaskStatus::Diverged, "diverged", &halted)
                    .await
            }
        }
    }

    /// An execution that cannot go on before a person has looked at it.
    async fn give_up(&self, task: &Task, status: TaskStatus, kind: &str, why: &Halted) -> Next {
        tracing::error!(task = %task.id, error = %why, "the execution cannot go on");
        let error = error(kind, &why.to_string());
        let event = task_event(task, EventKind::TASK_FAILED, json!({"error": error}));
        let now = Timestamp::now();
        let change = TaskChange {
            status: Some(status),
            queued: Some(false),
            error: Some(Some(error)),
            completed_at: status.is_final().then_some(Some(now)),
            updated_at: now,
            ..TaskChange::default()
        };
        let write = Write::ChangeTask {
            id: task.id.clone(),
            from: &[TaskStatus::Running],
            change: Box::new(change),
        };
        match self.store().commit(None, vec![write, event]).await {
            Ok(_) => Next::Done,
            // Whoever looks next sees what it is by then.
            Err(_) => Next::Again(AFTER_STORE_FAILURE),
        }
    }
}

fn error(kind: &str, message: &str) -> TaskError {
    TaskError {
        kind: kind.to_owned(),
        message: message.to_owned(),
        retryable: false,
    }
}

/// Of the executions that ended, how many succeeded.
fn success_rate(task: &Task, succeeded: bool) -> f64 {
    let before = f64::from(
        task.attempts
            .saturating_sub(u32::from(task.status == TaskStatus::Running)),
    );
    let good = task.success_rate.unwrap_or(0.0) * before;
    (good + f64::from(u8::from(succeeded))) / (before + 1.0)
}

/// What changes of the task, and what is told of it.
fn outcome(task: &Task, end: &ExecutionEnd) -> (TaskChange, &'static str, serde_json::Value) {
    let now = Timestamp::now();
    let seconds = end.took.as_secs_f64();
    let base = TaskChange {
        queued: Some(false),
        add_cost: end.cost,
        duration_seconds: Some(Some(seconds)),
        success_rate: Some(success_rate(task, end.report.is_ok())),
        completed_at: Some(Some(now)),
        updated_at: now,
        ..TaskChange::default()
    };
    match &end.report {
        Ok(_) if let Some(input) = &end.continuation => {
            let change = TaskChange {
                status: Some(TaskStatus::Pending),
                queued: Some(true),
                continuation: Some(Some(input.clone())),
                success_rate: None,
                completed_at: None,
                error: Some(None),
                ..base
            };
            let data = json!({"execution": end.execution, "cost_micro_usd": end.cost});
            (change, EventKind::TASK_CONTINUED, data)
        }
        Ok(report) => {
            let Report {
                output,
                summary,
                quality,
            } = report.clone();
            let data = json!({
                "execution": end.execution,
                "summary": summary,
                "duration_seconds": seconds,
                "cost_micro_usd": end.cost,
            });
            let change = TaskChange {
                status: Some(TaskStatus::Succeeded),
                result: Some(serde_json::to_value(report).ok()),
                output: Some(Some(output)),
                summary: Some(summary),
                quality_score: Some(quality),
                progress: Some(1.0),
                error: Some(None),
                ..base
            };
            (change, EventKind::TASK_COMPLETED, data)
        }
        Err(failure) => {
            let mut data = json!({"execution": end.execution, "error": failure});
            let again = failure.retryable && task.retries_left > 0 && !end.stopped;
            if again {
                if let Some(data) = data.as_object_mut() {
                    data.insert("retries_left".to_owned(), json!(task.retries_left - 1));
                }
                let change = TaskChange {
                    status: Some(TaskStatus::Pending),
                    queued: Some(true),
                    retries_left: Some(task.retries_left - 1),
                    error: Some(Some(failure.clone())),
                    completed_at: None,
                    ..base
                };
                return (change, EventKind::TASK_FAILED, data);
            }
            let (status, kind) = match failure.kind.as_str() {
                // The kind, too: the host may have gone down between the stop and its record.
                "cancelled" => (TaskStatus::Cancelled, EventKind::TASK_CANCELLED),
                _ if end.stopped => (TaskStatus::Cancelled, EventKind::TASK_CANCELLED),
                "blocked" => (TaskStatus::Blocked, EventKind::TASK_FAILED),
                _ => (TaskStatus::Failed, EventKind::TASK_FAILED),
            };
            let change = TaskChange {
                status: Some(status),
                error: Some(Some(failure.clone())),
                ..base
            };
            (change, kind, data)
        }
    }
}
