//! Giving up the journals of a tenant, and with them whatever can only go on by replaying them.

use super::{Tasks, commit_problem, store_problem, task_event};
use mandate_store::{
    CommitError, NewAct, StoreError, Task, TaskChange, TaskError, TaskQuery, Write,
};
use mandate_types::{
    Act, Actor, EventKind, PrincipalName, Problem, TaskStatus, TenantId, Timestamp,
};
use serde_json::json;
use std::sync::Arc;

/// Those whose execution has not ended.
const UNFINISHED: &[TaskStatus] = &[
    TaskStatus::Running,
    TaskStatus::Waiting,
    TaskStatus::Diverged,
    TaskStatus::Blocked,
];
/// Tasks that are looked at together.
const PORTION: u32 = 100;
/// How often one is tried that changes just then.
const TRIES: u32 = 5;

impl Tasks {
    /// Destroys the key of a tenant's journals. What its unfinished executions had done cannot be replayed any more, so
    /// they fail. Returns how many tasks that were.
    ///
    /// # Errors
    /// A [`Problem`] when that cannot be written, or the key cannot be removed; it can be asked for again.
    pub async fn erase_journals(
        self: &Arc<Self>,
        tenant: &TenantId,
        by: &PrincipalName,
    ) -> Result<u64, Problem> {
        let at = Timestamp::now();
        let act = NewAct {
            at,
            actor: Actor::from(by),
            act: Act::JOURNALS_ERASED,
            subject: format!("tenant/{tenant}"),
            tenant: Some(tenant.clone()),
            data: json!({}),
        };
        let erase = Write::EraseJournals {
            tenant: tenant.clone(),
            at,
        };
        let writes = vec![erase, Write::Audit(Box::new(act))];
        self.store()
            .commit(None, writes)
            .await
            .map_err(commit_problem)?;
        let mut query = TaskQuery {
            tenants: Some(vec![tenant.clone()]),
            status: UNFINISHED.to_vec(),
            limit: PORTION,
            ..TaskQuery::default()
        };
        let mut failed = 0;
        loop {
            let page = self.store().tasks(&query).await.map_err(store_problem)?;
            for task in page.items {
                failed += u64::from(self.fail_erased(task).await.map_err(commit_problem)?);
            }
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                return Ok(failed);
            }
        }
    }

    /// Fails a task whose journal is gone. Its lease is taken from whoever runs it, who then writes nothing more.
    async fn fail_erased(self: &Arc<Self>, mut task: Task) -> Result<bool, CommitError> {
        let reason = StoreError::Erased(task.tenant.clone()).to_string();
        for _ in 0..TRIES {
            let written = match self.erased_writes(&task, &reason).await {
                Ok(writes) => self.store().commit(None, writes).await,
                Err(error) => Err(error.into()),
            };
            match written {
                Ok(_) => {
                    self.queue().take_or_stop(&task.id, &reason);
                    self.tell_waiting(&task.id);
                    return Ok(true);
                }
                Err(CommitError::LeaseLost(_) | CommitError::TaskState { .. }) => {}
                Err(error) => return Err(error),
            }
            match self.store().task(&task.id).await? {
                Some(now) if UNFINISHED.contains(&now.status) => task = now,
                _ => return Ok(false),
            }
        }
        Err(CommitError::Conflict(format!(
            "the task {} changes all the time; try again",
            task.id
        )))
    }

    async fn erased_writes(&self, task: &Task, reason: &str) -> Result<Vec<Write>, StoreError> {
        let now = Timestamp::now();
        let error = TaskError {
            kind: "erased".to_owned(),
            message: reason.to_owned(),
            retryable: false,
        };
        let event = task_event(task, EventKind::TASK_FAILED, json!({"error": error}));
        let change = TaskChange {
            status: Some(TaskStatus::Failed),
            waiting_for: Some(None),
            queued: Some(false),
            error: Some(Some(error)),
            completed_at: Some(Some(now)),
            updated_at: now,
            ..TaskChange::default()
        };
        let mut writes = vec![
            Write::ChangeTask {
                id: task.id.clone(),
                from: UNFINISHED,
                change: Box::new(change),
            },
            event,
        ];
        let execution = match &task.execution {
            Some(id) => self.store().execution(id).await?,
            None => None,
        };
        if let Some(execution) = execution {
            writes.push(Write::TakeExecution {
                id: execution.id.clone(),
                epoch: execution.lease_epoch.saturating_add(1),
            });
            writes.push(Write::Withdraw {
                execution: execution.id,
                at: now,
            });
        }
        Ok(writes)
    }
}
