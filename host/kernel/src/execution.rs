//! One execution from start to end: a task's agent, or a tool that a client called, with
//! everything below it.

use crate::catalogue::Active;
use crate::halt::Running;
use crate::invocation::{Call, ReportResult, invoke};
use crate::kernel::Kernel;
use crate::tree::{Halted, Tree, TreeStart};
use mandate_runtime::Stop;
use mandate_store::{CommitError, Execution, StoreError, Task, TaskError, Wait, Write, crash};
use mandate_types::{
    Effects, ExecutionId, GuestKind, Halt, InvocationId, MicroUsd, Timestamp, WaitReason,
};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// An execution that is to be run.
pub struct Run {
    /// The task; its `execution` names the one to go on with, or the new one.
    pub task: Arc<Task>,
    /// The agent that does it.
    pub plugin: Arc<Active>,
    /// Stops it.
    pub stop: Stop,
    /// Committed together with the start of the execution.
    pub with_start: Vec<Write>,
}

/// How an execution ended, before that is written.
pub struct ExecutionEnd {
    /// Which.
    pub execution: ExecutionId,
    /// The report, or why there is none.
    pub report: ReportResult,
    /// What it cost.
    pub cost: MicroUsd,
    /// How long it ran here.
    pub took: Duration,
    /// Whether it was stopped.
    pub stopped: bool,
    /// The halt that stopped it, if one did.
    pub halted: Option<Halt>,
    /// What the task's next execution begins with, if it goes on in one.
    pub continuation: Option<Value>,
}

/// What became of a run.
pub enum Ran {
    /// It ended.
    Ended(RunEnd),
    /// It waits, and holds nothing meanwhile.
    Parked(RunParked),
}

/// An execution that waits, before that is written.
pub struct RunParked {
    /// Which.
    pub execution: ExecutionId,
    /// What people are told.
    pub reason: WaitReason,
    /// Until when at the latest, if that is known.
    pub until: Option<Timestamp>,
    waits: Vec<Wait>,
    tree: Arc<Tree>,
    timers: Arc<Notify>,
    _running: Running,
}

impl RunParked {
    /// Commits that it waits: what is still buffered, and `writes`. False when what it waits for
    /// has come meanwhile: then nothing of it is written, and it can go on at once.
    ///
    /// # Errors
    /// [`Halted`] when it cannot be written; the execution is then still unfinished.
    pub async fn commit(self, mut writes: Vec<Write>) -> Result<bool, Halted> {
        crash::point("park.before_commit");
        // On disk whatever comes of the rest: it must not be asked again.
        self.tree.flush().await?;
        writes.push(Write::Park {
            execution: self.execution,
            task: self.tree.task.clone(),
            waits: self.waits,
            at: Timestamp::now(),
        });
        // Also while it is halted: it had come so far, and has no effects by waiting.
        let committed = self.tree.settle(writes).await;
        crash::point("park.after_commit");
        match committed {
            Ok(_) => {
                // The host's timer must know when it is over.
                self.timers.notify_one();
                Ok(true)
            }
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }
}

/// An ended execution whose last writes are still to be committed.
pub struct RunEnd {
    /// How it ended.
    pub end: ExecutionEnd,
    tree: Arc<Tree>,
    _running: Running,
}

impl RunEnd {
    /// Commits the end: what is still buffered, and `writes`.
    ///
    /// # Errors
    /// [`Halted`] when it cannot be written; the execution is then still unfinished.
    pub async fn commit(self, mut writes: Vec<Write>) -> Result<ExecutionEnd, Halted> {
        crash::point("execution.before_end");
        if self.tree.may_have_asked() {
            writes.push(Write::Withdraw {
                execution: self.tree.execution.clone(),
                at: Timestamp::now(),
            });
        }
        // A call has nobody who would go on with it: its end is its end.
        match self.tree.task {
            Some(_) => self.tree.commit(writes).await?,
            None => self.tree.settle(writes).await?,
        };
        crash::point("execution.after_end");
        Ok(self.end)
    }
}

impl Kernel {
    /// Starts a new execution of a task and runs it to its end. The caller commits that end
    /// with [`RunEnd::commit`].
    ///
    /// # Errors
    /// [`Halted`] when it cannot go on here; it is then still unfinished.
    pub async fn run(self: &Arc<Self>, run: Run, execution: ExecutionId) -> Result<Ran, Halted> {
        let root = InvocationId::fresh();
        let started = Execution {
            id: execution.clone(),
            task: Some(run.task.id.clone()),
            attempt: run.task.attempts,
            root: root.clone(),
            tenant: run.task.tenant.clone(),
            principal: run.task.created_by.clone(),
            lease_epoch: 1,
            started_at: Timestamp::now(),
        };
        let mut first = vec![Write::StartExecution(Box::new(started))];
        first.extend(run.with_start.iter().cloned());
        let tree = self.tree(&run, execution, 1, false, first);
        let running = self.runs(&tree);
        // On disk before the guest runs: who asks sees it running, and a crash finds it.
        tree.commit(Vec::new()).await?;
        crash::point("execution.started");
        self.finish(tree, running, agent_call(root, run.plugin, run.task))
            .await
    }

    /// Goes on with an execution that this or another host left unfinished, by replaying it.
    /// What is to be committed with the start is committed with the taking of its lease: if it
    /// conflicts, nothing runs.
    ///
    /// # Errors
    /// [`Halted`] when it cannot go on here; it is then still unfinished.
    pub async fn resume(self: &Arc<Self>, run: Run, execution: Execution) -> Result<Ran, Halted> {
        // What it began here before belongs to the host, and ends first.
        self.effects().ended(&execution.id).await;
        let epoch = execution.lease_epoch.saturating_add(1);
        let mut take = vec![Write::TakeExecution {
            id: execution.id.clone(),
            epoch,
        }];
        take.extend(run.with_start.iter().cloned());
        take.push(Write::NotHalted {
            tenant: execution.tenant.clone(),
            plugins: vec![run.plugin.name().clone()],
        });
        let tree = self.tree(&run, execution.id.clone(), epoch, true, Vec::new());
        let running = self.runs(&tree);
        self.store().commit(None, take).await?;
        crash::point("resume.taken");
        let known = self.store().invocations(&tree.execution).await?;
        tree.remember(&known);
        // What is not replayed has its cost on record; the rest is counted as it is replayed.
        for ended in known {
            if ended.ended_at.is_some() {
                tree.add_cost(ended.cost_micro_usd.0);
            }
        }
        let call = agent_call(execution.root, run.plugin, run.task);
        self.finish(tree, running, call).await
    }

    fn tree(
        &self,
        run: &Run,
        execution: ExecutionId,
        epoch: u64,
        resumed: bool,
        first: Vec<Write>,
    ) -> Arc<Tree> {
        let task = &run.task;
        let start = TreeStart {
            execution,
            task: Some(task.id.clone()),
            task_depth: task.depth,
            task_root: Some(task.root.clone()),
            tenant: task.tenant.clone(),
            principal: task.created_by.clone(),
            subject: task.subject.clone(),
            resumed,
            stop: run.stop.clone(),
            plugin: run.plugin.name().clone(),
            epoch,
        };
        Arc::new(Tree::new(self.store().clone(), start, first))
    }

    pub(crate) async fn finish(
        self: &Arc<Self>,
        tree: Arc<Tree>,
        running: Running,
        call: Call,
    ) -> Result<Ran, Halted> {
        let begun = std::time::Instant::now();
        // On the guests' own threads: an invocation then needs no hop to get there and back.
        let ended = self
            .runtime()
            .spawn(invoke(self.clone(), tree.clone(), call))
            .await;
        let report = match ended {
            Ok(Err(Halted::Parked)) => return parked(tree, running, self.timers().clone()),
            Ok(Err(halted @ Halted::ByOperator(_))) if tree.task.is_some() => {
                // What was done before is on record, and not asked again.
                tree.flush().await?;
                return Err(halted);
            }
            Ok(report) => report?,
            Err(lost) => {
                tracing::error!(execution = %tree.execution, error = %lost, "an execution broke off");
                Err(TaskError {
                    kind: "internal".to_owned(),
                    message: "the host made a mistake while running this; see its log".to_owned(),
                    retryable: false,
                })
            }
        };
        let end = ExecutionEnd {
            execution: tree.execution.clone(),
            report,
            cost: MicroUsd(tree.cost()),
            took: begun.elapsed(),
            stopped: tree.stop.reason().is_some(),
            halted: tree.halted_by(),
            continuation: tree.continuation(),
        };
        Ok(Ran::Ended(RunEnd {
            end,
            tree,
            _running: running,
        }))
    }
}

fn parked(tree: Arc<Tree>, running: Running, timers: Arc<Notify>) -> Result<Ran, Halted> {
    let Some((waits, reason)) = tree.waits() else {
        return Err(Halted::Store(StoreError::Corrupt(
            "an execution is parked for nothing".to_owned(),
        )));
    };
    Ok(Ran::Parked(RunParked {
        execution: tree.execution.clone(),
        reason,
        until: waits.iter().filter_map(|wait| wait.wake_at).min(),
        waits,
        tree,
        timers,
        _running: running,
    }))
}

fn agent_call(root: InvocationId, plugin: Arc<Active>, task: Arc<Task>) -> Call {
    Call {
        id: root,
        parent: None,
        lineage: None,
        plugin,
        kind: GuestKind::Agent,
        function: task.kind.clone(),
        title: task.title.clone(),
        input: task.begins_with().clone(),
        ceiling: Effects::Internal,
        pledge: None,
        task: Some(task),
    }
}
