//! The kill switch: what is halted, which executions run, and how those end that a halt covers.
//!
//! A halt is written first: from then on the writer refuses what it covers. Then everything that
//! runs is looked at. An execution is known here before its first commit, and a plugin is known to
//! take part before it is asked whether it is halted; so nothing slips in between.

use crate::kernel::Kernel;
use crate::tree::{Halted, Tree};
use mandate_policy::Halts;
use mandate_runtime::Hurried;
use mandate_store::{CommitError, NewAct, NewEvent, Write};
use mandate_types::{
    Act, Actor, EventKind, ExecutionId, Halt, HaltScope, PluginName, PrincipalName, TenantId,
    Timestamp,
};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long a halt waits for what it stopped: what takes longer has an effect under way, which
/// ends by itself and is recorded.
const MOST_WAIT: Duration = Duration::from_secs(2);

/// How long others stand still for that at most.
const MOST_HURRY: Duration = Duration::from_millis(200);

/// What is halted and what runs.
pub(crate) struct Switch {
    halts: watch::Sender<Arc<Halts>>,
    running: Mutex<HashMap<ExecutionId, Weak<Tree>>>,
    gone: Notify,
    /// Held by whoever halts or resumes.
    changing: tokio::sync::Mutex<()>,
}

/// An execution is known to run, until this is dropped.
pub(crate) struct Running {
    kernel: Arc<Kernel>,
    execution: ExecutionId,
}

impl Drop for Running {
    fn drop(&mut self) {
        let switch = self.kernel.switch();
        switch.running().remove(&self.execution);
        switch.gone.notify_waiters();
    }
}

/// A plugin takes part in an execution, until this is dropped.
pub(crate) struct Part {
    tree: Arc<Tree>,
    plugin: PluginName,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.tree.leaves(&self.plugin);
    }
}

/// What a halt came to.
#[derive(Clone, Debug)]
pub struct NowHalted {
    /// The halt that is in force: an older one if the scope was halted already.
    pub halt: Halt,
    /// Whether it is a new one.
    pub new: bool,
}

impl Switch {
    pub(crate) fn new(halts: Vec<Halt>) -> Self {
        let halts: Halts = halts.into_iter().collect();
        for halt in halts.iter() {
            tracing::warn!("{halt}");
        }
        Self {
            halts: watch::Sender::new(Arc::new(halts)),
            running: Mutex::default(),
            gone: Notify::new(),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<ExecutionId, Weak<Tree>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn none_runs(&self, executions: &[ExecutionId]) -> bool {
        let running = self.running();
        !executions.iter().any(|id| running.contains_key(id))
    }

    fn change(&self, change: impl FnOnce(&mut Halts)) {
        self.halts.send_modify(|halts| change(Arc::make_mut(halts)));
    }

    /// The executions that `halt` covers.
    fn covered(&self, halt: &Halt) -> Vec<Arc<Tree>> {
        let only: Halts = std::iter::once(halt.clone()).collect();
        let running = self.running();
        let trees = running.values().filter_map(Weak::upgrade);
        trees
            .filter(|tree| only.covering(&tree.tenant, &tree.plugins()).is_some())
            .collect()
    }

    /// Stops what `halt` covers and waits until that is gone. Others that compute do not keep it
    /// waiting while there is a `hurry`.
    async fn stop(&self, halt: &Halt, hurry: Hurried) {
        let stopped: Vec<ExecutionId> = self
            .covered(halt)
            .into_iter()
            .map(|tree| {
                tree.halt(halt);
                tree.execution.clone()
            })
            .collect();
        let all_gone = async {
            loop {
                let gone = self.gone.notified();
                tokio::pin!(gone);
                // Registered before the look, so that the last end is not missed.
                gone.as_mut().enable();
                if self.none_runs(&stopped) {
                    return;
                }
                gone.await;
            }
        };
        tokio::pin!(all_gone);
        let quickly = tokio::time::timeout(MOST_HURRY, &mut all_gone).await;
        drop(hurry);
        if quickly.is_err() && tokio::time::timeout(MOST_WAIT, all_gone).await.is_err() {
            tracing::warn!(scope = %halt.scope, "what was halted still ends");
        }
    }
}

impl Kernel {
    /// What is halted now.
    pub fn halts(&self) -> Arc<Halts> {
        self.switch().halts.borrow().clone()
    }

    /// What is halted, and each change of that.
    pub fn watch_halts(&self) -> watch::Receiver<Arc<Halts>> {
        self.switch().halts.subscribe()
    }

    /// Halts `scope`: from the commit on nothing that it covers starts or has effects, and what
    /// runs is stopped. Returns when that is gone, or ends by itself after an effect that was under
    /// way. What was halted stays unfinished and goes on, by replay, once it is resumed.
    ///
    /// # Errors
    /// [`CommitError::Store`] when it cannot be kept. What runs is stopped even so, and nothing
    /// covered starts as long as this host runs.
    pub async fn halt(
        &self,
        scope: HaltScope,
        reason: String,
        by: PrincipalName,
    ) -> Result<NowHalted, CommitError> {
        let switch = self.switch();
        let _changing = switch.changing.lock().await;
        let at = Timestamp::now();
        let halt = Halt {
            scope,
            reason,
            by,
            at,
        };
        let data = json!({"scope": halt.scope, "reason": halt.reason, "by": halt.by});
        let mut writes = vec![Write::PutHalt(Box::new(halt.clone()))];
        writes.extend(told(
            &halt.scope,
            &halt.by,
            EventKind::HALTED,
            Act::HALTED,
            &data,
        ));
        let kept = self.store().commit(None, writes).await;
        if let Err(CommitError::Conflict(_)) = &kept
            && let Some(known) = self.halts().get(&halt.scope)
        {
            return Ok(NowHalted {
                halt: known.clone(),
                new: false,
            });
        }
        tracing::warn!("{halt}");
        switch.change(|halts| halts.put(halt.clone()));
        switch.stop(&halt, self.runtime().hurry()).await;
        kept?;
        Ok(NowHalted { halt, new: true })
    }

    /// Ends the halt of `scope`, and says which it was. What waited for that goes on once whoever
    /// runs tasks takes it up.
    ///
    /// # Errors
    /// [`CommitError::NotFound`] when the scope is not halted, [`CommitError::Store`] when the end
    /// cannot be kept: the halt then stays.
    pub async fn end_halt(
        &self,
        scope: &HaltScope,
        by: &PrincipalName,
    ) -> Result<Halt, CommitError> {
        let switch = self.switch();
        let _changing = switch.changing.lock().await;
        let missing = || CommitError::NotFound(format!("halt of `{scope}`"));
        let halt = self.halts().get(scope).cloned().ok_or_else(missing)?;
        let data = json!({"scope": scope, "by": by, "halted": halt});
        let mut writes = vec![Write::RemoveHalt(scope.clone())];
        writes.extend(told(scope, by, EventKind::RESUMED, Act::RESUMED, &data));
        match self.store().commit(None, writes).await {
            // It could not be kept when it began.
            Ok(_) | Err(CommitError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        tracing::warn!(%scope, %by, "resumed");
        switch.change(|halts| {
            halts.remove(scope);
        });
        Ok(halt)
    }

    /// The halt that covers work for `tenant` in which `plugin` takes part.
    pub fn halted(&self, tenant: &TenantId, plugin: &PluginName) -> Option<Halt> {
        self.halts().covering(tenant, [plugin]).cloned()
    }

    /// Makes an execution known before it writes anything.
    pub(crate) fn runs(self: &Arc<Self>, tree: &Arc<Tree>) -> Running {
        self.switch()
            .running()
            .insert(tree.execution.clone(), Arc::downgrade(tree));
        Running {
            kernel: self.clone(),
            execution: tree.execution.clone(),
        }
    }

    /// Lets a plugin take part in an execution.
    ///
    /// # Errors
    /// [`Halted::ByOperator`] when it is halted.
    pub(crate) fn takes_part(&self, tree: &Arc<Tree>, plugin: &PluginName) -> Result<Part, Halted> {
        tree.enters(plugin);
        let part = Part {
            tree: tree.clone(),
            plugin: plugin.clone(),
        };
        match self.halted(&tree.tenant, plugin) {
            Some(halt) => Err(Halted::ByOperator(Box::new(halt))),
            None => Ok(part),
        }
    }
}

/// What subscribers and the audit are told.
fn told(
    scope: &HaltScope,
    by: &PrincipalName,
    kind: &str,
    act: &'static str,
    data: &serde_json::Value,
) -> [Write; 2] {
    let at = Timestamp::now();
    let tenant = match scope {
        HaltScope::Tenant(tenant) => Some(tenant.clone()),
        HaltScope::Host | HaltScope::Plugin(_) => None,
    };
    [
        Write::Event(Box::new(NewEvent {
            time: at,
            kind: kind.to_owned(),
            subject: None,
            task: None,
            tenant: tenant.clone().unwrap_or_default(),
            data: data.clone(),
        })),
        Write::Audit(Box::new(NewAct {
            at,
            actor: Actor::from(by),
            act,
            subject: scope.to_string(),
            tenant,
            data: data.clone(),
        })),
    ]
}
