//! One execution from start to end: a task's agent, or a tool that a client called, with
//! everything below it.

use crate::catalogue::Active;
use crate::invocation::{Call, ReportResult, invoke};
use crate::kernel::Kernel;
use crate::tree::{Halted, Tree, TreeStart};
use mandate_runtime::Stop;
use mandate_store::{Execution, Task, TaskError, Write};
use mandate_types::{
    Effects, ExecutionId, GuestKind, InvocationId, MicroUsd, PrincipalName, TenantId, Timestamp,
};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

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

/// A tool that a client calls.
pub struct ToolRun {
    /// Whom.
    pub plugin: Arc<Active>,
    /// The tool's short name.
    pub tool: String,
    /// Validated.
    pub arguments: Value,
    /// For whom.
    pub tenant: TenantId,
    /// Who calls.
    pub principal: PrincipalName,
    /// Stops it.
    pub stop: Stop,
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
}

/// An ended execution whose last writes are still to be committed.
pub struct RunEnd {
    /// How it ended.
    pub end: ExecutionEnd,
    tree: Arc<Tree>,
}

impl RunEnd {
    /// Commits the end: what is still buffered, and `writes`.
    ///
    /// # Errors
    /// [`Halted`] when it cannot be written; the execution is then still unfinished.
    pub async fn commit(self, writes: Vec<Write>) -> Result<ExecutionEnd, Halted> {
        self.tree.commit(writes).await?;
        Ok(self.end)
    }
}

impl Kernel {
    /// Starts a new execution of a task and runs it to its end. The caller commits that end
    /// with [`RunEnd::commit`].
    ///
    /// # Errors
    /// [`Halted`] when it cannot go on here; it is then still unfinished.
    pub async fn run(self: &Arc<Self>, run: Run, execution: ExecutionId) -> Result<RunEnd, Halted> {
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
        first.extend(run.with_start);
        let tree = self.tree(&run.task, execution, 1, false, run.stop, first);
        // On disk before the guest runs: who asks sees it running, and a crash finds it.
        tree.flush().await?;
        self.finish(tree, agent_call(root, run.plugin, run.task))
            .await
    }

    /// Goes on with an execution that this or another host left unfinished, by replaying it.
    /// What is to be committed with the start is committed with the taking of its lease: if it
    /// conflicts, nothing runs.
    ///
    /// # Errors
    /// [`Halted`] when it cannot go on here; it is then still unfinished.
    pub async fn resume(
        self: &Arc<Self>,
        run: Run,
        execution: Execution,
    ) -> Result<RunEnd, Halted> {
        let epoch = execution.lease_epoch.saturating_add(1);
        let mut take = vec![Write::TakeExecution {
            id: execution.id.clone(),
            epoch,
        }];
        take.extend(run.with_start);
        self.store().commit(None, take).await?;
        let tree = self.tree(
            &run.task,
            execution.id.clone(),
            epoch,
            true,
            run.stop,
            Vec::new(),
        );
        let known = self.store().invocations(&tree.execution).await?;
        tree.remember(&known);
        // What is not replayed has its cost on record; the rest is counted as it is replayed.
        for ended in known {
            if ended.ended_at.is_some() {
                tree.add_cost(ended.cost_micro_usd.0);
            }
        }
        self.finish(tree, agent_call(execution.root, run.plugin, run.task))
            .await
    }

    /// Calls a tool for a client, in an execution of its own.
    ///
    /// # Errors
    /// [`Halted`] when its journal cannot be written.
    pub async fn call_tool(self: &Arc<Self>, run: ToolRun) -> Result<ExecutionEnd, Halted> {
        let (execution, root) = (ExecutionId::fresh(), InvocationId::fresh());
        let started = Execution {
            id: execution.clone(),
            task: None,
            attempt: 1,
            root: root.clone(),
            tenant: run.tenant.clone(),
            principal: run.principal.clone(),
            lease_epoch: 1,
            started_at: Timestamp::now(),
        };
        let start = TreeStart {
            execution,
            task: None,
            task_depth: 0,
            task_root: None,
            tenant: run.tenant,
            principal: run.principal,
            subject: None,
            resumed: false,
            stop: run.stop,
            epoch: 1,
        };
        let first = vec![Write::StartExecution(Box::new(started))];
        let tree = Arc::new(Tree::new(self.store().clone(), start, first));
        let ceiling = run
            .plugin
            .terms(&run.tool)
            .map_or(Effects::None, |terms| terms.effects);
        let call = Call {
            id: root,
            parent: None,
            lineage: None,
            plugin: run.plugin,
            kind: GuestKind::Tool,
            function: run.tool,
            title: String::new(),
            task: None,
            input: run.arguments,
            ceiling,
        };
        self.finish(tree, call).await?.commit(Vec::new()).await
    }

    fn tree(
        &self,
        task: &Task,
        execution: ExecutionId,
        epoch: u64,
        resumed: bool,
        stop: Stop,
        first: Vec<Write>,
    ) -> Arc<Tree> {
        let start = TreeStart {
            execution,
            task: Some(task.id.clone()),
            task_depth: task.depth,
            task_root: Some(task.root.clone()),
            tenant: task.tenant.clone(),
            principal: task.created_by.clone(),
            subject: task.subject.clone(),
            resumed,
            stop,
            epoch,
        };
        Arc::new(Tree::new(self.store().clone(), start, first))
    }

    async fn finish(self: &Arc<Self>, tree: Arc<Tree>, call: Call) -> Result<RunEnd, Halted> {
        let begun = std::time::Instant::now();
        // On the guests' own threads: an invocation then needs no hop to get there and back.
        let running = self
            .runtime()
            .spawn(invoke(self.clone(), tree.clone(), call))
            .await;
        let report = match running {
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
        };
        Ok(RunEnd { end, tree })
    }
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
        input: task.input.clone(),
        ceiling: Effects::Internal,
        task: Some(task),
    }
}
