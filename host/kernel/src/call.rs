//! A tool that a client calls, in an execution of its own: judged like an agent's call where it
//! has effects, and then done whether or not the client still waits.

use crate::capability::invoke::Reasons;
use crate::catalogue::Active;
use crate::decision::{Action, Asking, Cleared, Pledge, suspended};
use crate::execution::{ExecutionEnd, Ran};
use crate::invocation::{Call, failure, told};
use crate::kernel::Kernel;
use crate::tree::{Halted, Tree, TreeStart};
use mandate_policy::ToolTerms;
use mandate_runtime::Stop;
use mandate_store::{Execution, StoreError, Wait, WaitKey, Write};
use mandate_types::{
    DecisionId, DecisionStatus, Effects, ExecutionId, GuestKind, Halt, InvocationId, MicroUsd,
    PluginName, PrincipalName, TenantId, Timestamp,
};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

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
    /// Stops it; an effect that has begun ends all the same.
    pub stop: Stop,
}

/// What came of a call.
pub enum Called {
    /// It ended.
    Ended(Box<ExecutionEnd>),
    /// A human is asked. When that is answered it goes on, and its result is in the decision.
    Waiting {
        /// The execution that waits.
        execution: ExecutionId,
        /// The decision, if it is about one.
        decision: Option<DecisionId>,
    },
    /// It was cleared, and halted before it began. It goes on, under the same decision, once
    /// nothing covers it any more: by [`Kernel::resume_call`].
    Held {
        /// The execution that waits.
        execution: ExecutionId,
        /// The decision by which it was cleared.
        decision: DecisionId,
        /// What halted it.
        halt: Box<Halt>,
    },
}

/// A call that may be made.
struct Ready {
    tree: Arc<Tree>,
    root: InvocationId,
    plugin: Arc<Active>,
    tool: String,
    arguments: Value,
    pledge: Option<Pledge>,
}

impl Kernel {
    /// Calls a tool for a client, in an execution of its own.
    ///
    /// # Errors
    /// [`Halted`] when its journal cannot be written.
    pub async fn call_tool(self: &Arc<Self>, run: ToolRun) -> Result<Called, Halted> {
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
        let first = vec![Write::StartExecution(Box::new(started.clone()))];
        let plugin = run.plugin.name().clone();
        let tree = self.tree_of_call(&started, plugin, 1, false, run.stop, first);
        let ready = Ready {
            tree,
            root,
            plugin: run.plugin,
            tool: run.tool,
            arguments: run.arguments,
            pledge: None,
        };
        let external = ready
            .plugin
            .terms(&ready.tool)
            .is_some_and(ToolTerms::is_external);
        if !external {
            return self.perform(ready).await;
        }
        // On disk first: the decision names it.
        ready.tree.flush().await?;
        self.clear(ready).await
    }

    /// Goes on with a client's call that waited, or that was under way when the host stopped.
    ///
    /// # Errors
    /// [`Halted`] when it cannot go on here; it is then still unfinished.
    pub async fn resume_call(self: &Arc<Self>, execution: &ExecutionId) -> Result<Called, Halted> {
        self.effects().ended(execution).await;
        let lost =
            |what: &str| Halted::Store(StoreError::Corrupt(format!("{execution} has no {what}")));
        let store = self.store();
        let known = store
            .execution(execution)
            .await?
            .ok_or_else(|| lost("row"))?;
        let decision = store.decision_of(&known.root, 0, 0).await?;
        let (name, arguments) = match &decision {
            Some(decision) => {
                let request = &decision.request;
                (request.tool.clone(), request.arguments.clone())
            }
            // A tool without effects outside of the host, which asked people or had others act.
            None => {
                let root = store.invocation(&known.root).await?;
                let root = root.ok_or_else(|| lost("decision and no invocation"))?;
                (format!("{}.{}", root.plugin, root.function), root.input)
            }
        };
        let epoch = known.lease_epoch.saturating_add(1);
        let plugin = PluginName::parse(name.split('.').next().unwrap_or_default())
            .map_err(|_| lost("tool"))?;
        let take = vec![
            Write::TakeExecution {
                id: execution.clone(),
                epoch,
            },
            Write::NotHalted {
                tenant: known.tenant.clone(),
                plugins: vec![plugin.clone()],
            },
        ];
        store.commit(None, take).await?;
        let tree = self.tree_of_call(&known, plugin, epoch, true, Stop::new(), Vec::new());
        tree.remember(&store.invocations(execution).await?);
        let catalogue = self.catalogue();
        let Some((plugin, tool)) = catalogue.tool(&name) else {
            let message = format!("the tool `{name}` is not installed any more");
            return self
                .refuse(&tree, failure("not_found", &message, false), Vec::new())
                .await;
        };
        let mut ready = Ready {
            tree,
            root: known.root.clone(),
            plugin: plugin.clone(),
            tool: tool.to_owned(),
            arguments,
            pledge: None,
        };
        match decision {
            Some(decision) if decision.status != DecisionStatus::Executing => {
                self.clear(ready).await
            }
            Some(decision) => {
                ready.pledge = Some(Pledge::of(&decision, &ready.action()));
                self.perform(ready).await
            }
            None => self.perform(ready).await,
        }
    }

    fn tree_of_call(
        &self,
        execution: &Execution,
        plugin: PluginName,
        epoch: u64,
        resumed: bool,
        stop: Stop,
        first: Vec<Write>,
    ) -> Arc<Tree> {
        let start = TreeStart {
            execution: execution.id.clone(),
            task: None,
            task_depth: 0,
            task_root: None,
            tenant: execution.tenant.clone(),
            principal: execution.principal.clone(),
            subject: None,
            resumed,
            stop,
            plugin,
            epoch,
        };
        Arc::new(Tree::new(self.store().clone(), start, first))
    }

    async fn clear(self: &Arc<Self>, mut ready: Ready) -> Result<Called, Halted> {
        let asking = Asking {
            tree: ready.tree.clone(),
            plugin: None,
            chain: Vec::new(),
            invocation: ready.root.clone(),
            sequence: 0,
            index: 0,
        };
        match asking.clear(self, ready.action(), None).await? {
            Cleared::Go(pledge) => {
                ready.pledge = Some(pledge);
                self.perform(ready).await
            }
            Cleared::Refused { error, writes } => {
                self.refuse(&ready.tree, told(error), writes).await
            }
            Cleared::Parked(wait, _) => self.wait(&ready.tree, vec![wait]).await,
        }
    }

    async fn perform(self: &Arc<Self>, ready: Ready) -> Result<Called, Halted> {
        let terms = ready.plugin.terms(&ready.tool);
        let declared = terms.map_or(Effects::None, |terms| terms.effects);
        let pledge = ready.pledge.clone().map(Arc::new);
        let call = Call {
            id: ready.root.clone(),
            parent: None,
            lineage: None,
            plugin: ready.plugin,
            kind: GuestKind::Tool,
            function: ready.tool,
            title: String::new(),
            task: None,
            input: ready.arguments,
            ceiling: match &pledge {
                Some(_) => declared,
                None => declared.min(Effects::Internal),
            },
            pledge: pledge.clone(),
        };
        let running = self.runs(&ready.tree);
        let ran = match (
            self.finish(ready.tree.clone(), running, call).await,
            &pledge,
        ) {
            (Err(Halted::ByOperator(halt)), Some(pledge)) => {
                return Ok(Called::Held {
                    execution: ready.tree.execution.clone(),
                    decision: pledge.decision.clone(),
                    halt,
                });
            }
            (ran, _) => ran?,
        };
        match ran {
            Ran::Parked(parked) => {
                let execution = parked.execution.clone();
                if parked.commit(Vec::new()).await? {
                    return Ok(Called::Waiting {
                        execution,
                        decision: None,
                    });
                }
                // What it waits for came while it was dropped.
                Box::pin(self.resume_call(&execution)).await
            }
            Ran::Ended(ended) => {
                let mut writes = Vec::new();
                if let Some(pledge) = pledge {
                    let report = &ended.end.report;
                    let touched =
                        report.is_ok() || self.had_effects(&ready.tree, &ready.root).await?;
                    writes = pledge.end(report, touched, &ready.tree.tenant, Timestamp::now());
                }
                let suspended = suspended(&writes);
                let ended = ended.commit(writes).await?;
                self.follow_suspensions(suspended).await;
                Ok(Called::Ended(Box::new(ended)))
            }
        }
    }

    async fn refuse(
        &self,
        tree: &Tree,
        error: mandate_store::TaskError,
        mut writes: Vec<Write>,
    ) -> Result<Called, Halted> {
        writes.push(Write::Withdraw {
            execution: tree.execution.clone(),
            at: Timestamp::now(),
        });
        tree.commit(writes).await?;
        Ok(Called::Ended(Box::new(ExecutionEnd {
            execution: tree.execution.clone(),
            report: Err(error),
            cost: MicroUsd::ZERO,
            took: Duration::ZERO,
            stopped: false,
            halted: None,
            continuation: None,
        })))
    }

    async fn wait(self: &Arc<Self>, tree: &Tree, waits: Vec<Wait>) -> Result<Called, Halted> {
        let decision = waits.iter().find_map(|wait| match &wait.key {
            WaitKey::Decision(id) => Some(id.clone()),
            _ => None,
        });
        let park = Write::Park {
            execution: tree.execution.clone(),
            task: None,
            waits,
            at: Timestamp::now(),
        };
        // Also while it is halted: it has no effects by waiting.
        match tree.settle(vec![park]).await {
            Ok(_) => Ok(Called::Waiting {
                execution: tree.execution.clone(),
                decision,
            }),
            Err(mandate_store::CommitError::Conflict(_)) => {
                Box::pin(self.resume_call(&tree.execution)).await
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Whether an invocation that failed had done something before.
    pub(crate) async fn had_effects(
        &self,
        tree: &Tree,
        invocation: &InvocationId,
    ) -> Result<bool, Halted> {
        tree.flush().await?;
        let steps = self.store().steps(invocation).await?;
        Ok(steps
            .iter()
            .any(|step| step.effects > Effects::None && !step.refused))
    }
}

impl Ready {
    fn action(&self) -> Action {
        Action::new(
            self.plugin.clone(),
            self.tool.clone(),
            self.arguments.clone(),
            Reasons::default(),
            self.root.clone(),
        )
    }
}
