//! Effects are judged before they happen: what is asked becomes a decision, and a decision
//! becomes the right to do exactly that, once.

mod ending;
mod row;
mod suspend;

pub use ending::Pledge;

use crate::capability::invoke::Reasons;
use crate::capability::{denied, unavailable};
use crate::catalogue::Active;
use crate::kernel::Kernel;
use crate::tree::{Halted, Tree};
use mandate_policy::{
    Cost, Estimate, Facts, Outcome, Refusal, Spender, ToolCost, Verdict, Windows,
};
use mandate_policy::{is_autonomy, roi};
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{
    CommitError, Decision, DecisionChange, LedgerEntry, SpendingKind, StoreError, Wait, WaitKey,
    Write, crash,
};
use mandate_types::{
    Ceiling, DecisionId, DecisionStatus, Digest, InvocationId, MicroUsd, PluginName, PrincipalName,
    Scope, Timestamp, WaitReason,
};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Over how long the money that was committed before counts for the autonomy level.
const WINDOW: Duration = Duration::from_hours(24);

/// Who wants an effect, at which step.
pub struct Asking {
    /// In which execution.
    pub tree: Arc<Tree>,
    /// The plugin; none when a client calls the tool.
    pub plugin: Option<Arc<Active>>,
    /// The plugins from the root to that one.
    pub chain: Vec<PluginName>,
    /// Whose step it is; the tool's own invocation when a client calls it.
    pub invocation: InvocationId,
    /// The step's number; 0 when a client calls.
    pub sequence: u64,
    /// Its place in an `invoke-many`.
    pub index: u32,
}

/// What he wants: a call of a tool.
pub struct Action {
    /// The tool's plugin.
    pub active: Arc<Active>,
    /// The tool's short name.
    pub tool: String,
    /// The exact arguments.
    pub arguments: Value,
    /// What he says of it.
    pub reasons: Reasons,
    /// The invocation that will do it.
    pub child: InvocationId,
    /// What the tool says that it costs.
    estimate: Estimate,
    /// How the tool says that it is undone, and what the cost is made of.
    undo: Option<String>,
    cost_is_for: Option<String>,
}

impl Action {
    /// What somebody wants, before the tool was asked about it.
    pub fn new(
        active: Arc<Active>,
        tool: String,
        arguments: Value,
        reasons: Reasons,
        child: InvocationId,
    ) -> Self {
        Self {
            active,
            tool,
            arguments,
            reasons,
            child,
            estimate: Estimate::None,
            undo: None,
            cost_is_for: None,
        }
    }

    /// Asks the tool what the call would cost, where the operator accepted that it says so.
    async fn ask_for_cost(&mut self, kernel: &Kernel) {
        let terms = self.active.terms(&self.tool);
        if terms.and_then(|terms| terms.cost) != Some(ToolCost::Estimate) {
            self.estimate = Estimate::None;
            return;
        }
        let told = kernel.estimate(&self.active, &self.tool, &self.arguments);
        self.estimate = match told.await {
            Ok(told) => {
                self.undo = told.undo;
                self.cost_is_for = told.why;
                Estimate::Known(told.cost)
            }
            Err(error) => Estimate::Failed(error.to_string()),
        };
    }
}

/// What came of asking.
enum Judged {
    /// It may happen once `writes` are committed together with its intent.
    Cleared {
        /// What is known of it when it ends.
        pledge: Pledge,
        /// Consumes the approval, reserves the money, and fails if anything changed meanwhile.
        writes: Vec<Write>,
    },
    /// It may not.
    Refused {
        /// What the guest is told.
        error: Error,
        /// What is committed with that.
        writes: Vec<Write>,
    },
    /// A human is asked, and that is on disk.
    Parked(Wait, WaitReason),
}

/// What came of clearing an effect.
pub enum Cleared {
    /// It may happen, and its intent is on disk.
    Go(Pledge),
    /// It may not.
    Refused {
        /// What the guest is told.
        error: Error,
        /// What is committed with that.
        writes: Vec<Write>,
    },
    /// A human is asked, and that is on disk.
    Parked(Wait, WaitReason),
}

/// How often an effect is judged anew when something changed while it was judged. Each time
/// somebody else has got what he asked for, so that only a crowd comes near.
const TRIES: u32 = 64;

/// A ceiling that had no room when the money was to be reserved.
struct Over {
    /// Which.
    pub ceiling: Ceiling,
    /// What is committed and reserved under it already.
    pub spent: MicroUsd,
}

/// The tool's accepted terms are needed for every part of a decision.
fn refused(reason: String) -> Judged {
    Judged::Refused {
        error: denied(Refusal {
            capability: "effects".to_owned(),
            reason,
        }),
        writes: Vec::new(),
    }
}

impl Asking {
    /// Judges `action`, and commits `intent` if it is cleared: with the approval consumed, the
    /// money reserved, and nothing changed since it was judged.
    ///
    /// # Errors
    /// [`Halted`] when the database does not answer.
    pub async fn clear(
        &self,
        kernel: &Kernel,
        mut action: Action,
        intent: Option<&Write>,
    ) -> Result<Cleared, Halted> {
        self.tree.note_asked();
        let mut over = None;
        action.ask_for_cost(kernel).await;
        for _ in 0..TRIES {
            let (pledge, mut writes) = match self.judge(kernel, &action, over.take()).await? {
                Judged::Cleared { pledge, writes } => (pledge, writes),
                Judged::Refused { error, writes } => return Ok(Cleared::Refused { error, writes }),
                Judged::Parked(wait, reason) => return Ok(Cleared::Parked(wait, reason)),
            };
            writes.extend(intent.cloned());
            // Whom it is about takes no part yet.
            writes.push(Write::NotHalted {
                tenant: self.tree.tenant.clone(),
                plugins: vec![action.active.name().clone()],
            });
            crash::point("intent.before_commit");
            match self.tree.commit(writes).await {
                Ok(_) => {
                    crash::point("intent.after_commit");
                    return Ok(Cleared::Go(pledge));
                }
                Err(CommitError::Exceeded { ceiling, spent }) => {
                    let ceiling = *ceiling;
                    over = Some(Over { ceiling, spent });
                }
                Err(CommitError::DecisionState { .. } | CommitError::GrantChanged(_)) => {}
                Err(other) => return Err(other.into()),
            }
            if let Some(active) = kernel.catalogue().installed(action.active.name())
                && !Arc::ptr_eq(active, &action.active)
            {
                action.active = active.clone();
                action.ask_for_cost(kernel).await;
            }
        }
        Ok(Cleared::Refused {
            error: unavailable("too much is decided at once"),
            writes: Vec::new(),
        })
    }

    /// Judges `action`. A decision about this step that was made before counts, as long as what
    /// is asked is still the same. `over` is why a reservation failed just now.
    ///
    /// # Errors
    /// [`Halted`] when the database does not answer.
    async fn judge(
        &self,
        kernel: &Kernel,
        action: &Action,
        over: Option<Over>,
    ) -> Result<Judged, Halted> {
        let Some(terms) = action.active.terms(&action.tool).cloned() else {
            return Ok(refused(format!(
                "the operator has not accepted the tool `{}`",
                action.name()
            )));
        };
        if let Some(other) = action.other_tenant(&self.tree) {
            return Ok(refused(format!(
                "the arguments name the tenant `{other}`, and this is done for `{}`",
                self.tree.tenant
            )));
        }
        let now = Timestamp::now();
        let facts = self.facts(kernel, action, &terms, now).await?;
        let policy = kernel.policy();
        let verdict = policy.judge(&facts);
        let verdict = if self.is_hosts_own() {
            row::as_configured(verdict)
        } else {
            verdict
        };
        let before = self.before(kernel).await?;
        let mut writes = Vec::new();
        if let Some(before) = before {
            match self.again(action, &before, &verdict, over.as_ref(), now) {
                Again::Same(judged) => return Ok(judged),
                Again::Anew(withdrawn) => writes.extend(withdrawn),
            }
        }
        let verdict = match &over {
            Some(over) if !is_autonomy(&over.ceiling) => verdict.over(&over.ceiling, over.spent),
            _ => verdict,
        };
        let lifts = over
            .filter(|over| !is_autonomy(&over.ceiling))
            .map(|over| over.ceiling);
        self.anew(kernel, action, facts, verdict, lifts, writes, now)
            .await
    }

    /// The newest decision about this step. Only an execution that ran before can have one, or
    /// one that lost a race a moment ago.
    async fn before(&self, kernel: &Kernel) -> Result<Option<Decision>, StoreError> {
        kernel
            .store()
            .decision_of(&self.invocation, self.sequence, self.index)
            .await
    }

    fn again(
        &self,
        action: &Action,
        before: &Decision,
        verdict: &Verdict,
        over: Option<&Over>,
        now: Timestamp,
    ) -> Again {
        let id = before.id.clone();
        match before.status {
            DecisionStatus::Pending => Again::Same(Judged::Parked(
                wait(&id),
                row::reason_to_wait(&before.request),
            )),
            DecisionStatus::Denied | DecisionStatus::Expired => Again::Same(Judged::Refused {
                error: row::refusal(before),
                writes: Vec::new(),
            }),
            DecisionStatus::Approved => {
                if before.expires_at.is_some_and(|at| at <= now) {
                    return Again::Same(Judged::Refused {
                        error: row::refusal(before),
                        writes: vec![Write::ChangeDecision {
                            id,
                            from: &[DecisionStatus::Approved],
                            live_at: None,
                            change: Box::new(DecisionChange {
                                status: Some(DecisionStatus::Expired),
                                ended_at: Some(now),
                                ..DecisionChange::default()
                            }),
                        }],
                    });
                }
                match row::changed(before, action, verdict) {
                    None if over.is_none() => {
                        Again::Same(self.consume(before, action, verdict, now))
                    }
                    changed => {
                        let why = changed.unwrap_or("a budget has no room for it any more");
                        Again::Anew(Some(row::withdraw(before, why, now)))
                    }
                }
            }
            _ => Again::Anew(None),
        }
    }

    /// The right that a human's approval gives, for this one time.
    fn consume(
        &self,
        approved: &Decision,
        action: &Action,
        verdict: &Verdict,
        now: Timestamp,
    ) -> Judged {
        let id = approved.id.clone();
        let lifts = &approved.request.lifts;
        let ceilings = verdict
            .ceilings
            .iter()
            .filter(|ceiling| !is_autonomy(ceiling) && !lifts.contains(&ceiling.name))
            .cloned()
            .collect();
        let consumed = Write::ChangeDecision {
            id: id.clone(),
            from: &[DecisionStatus::Approved],
            live_at: Some(now),
            change: Box::new(DecisionChange {
                status: Some(DecisionStatus::Executing),
                child: Some(action.child.clone()),
                ..DecisionChange::default()
            }),
        };
        let reserved = row::to_reserve(verdict.cost.or(approved.request.cost), action);
        let mut writes = vec![self.grant_is(action), consumed];
        writes.push(self.reserve(&id, action, reserved, ceilings, now));
        Judged::Cleared {
            pledge: Pledge::new(id, reserved, action),
            writes,
        }
    }

    #[allow(clippy::too_many_arguments)] // the parts of one decision
    async fn anew(
        &self,
        kernel: &Kernel,
        action: &Action,
        facts: Facts,
        verdict: Verdict,
        lifts: Option<Ceiling>,
        mut writes: Vec<Write>,
        now: Timestamp,
    ) -> Result<Judged, Halted> {
        let id = DecisionId::fresh();
        let dry = self.is_dry(action);
        let status = match (dry, verdict.outcome) {
            (true, _) => DecisionStatus::DryRun,
            (false, Outcome::Approve) => DecisionStatus::Executing,
            (false, Outcome::Deny) => DecisionStatus::Denied,
            (false, Outcome::Escalate) => DecisionStatus::Pending,
        };
        let decision = row::decision(
            self,
            action,
            &facts,
            &verdict,
            lifts,
            id.clone(),
            status,
            now,
        );
        let sentence = decision.request.sentence.clone();
        let waits = row::reason_to_wait(&decision.request);
        writes.extend(row::told(&decision));
        let refusal = row::refusal(&decision);
        writes.push(Write::CreateDecision(Box::new(decision)));
        match status {
            DecisionStatus::Executing => {
                let reserved = row::to_reserve(verdict.cost, action);
                writes.push(self.grant_is(action));
                writes.push(self.reserve(&id, action, reserved, verdict.ceilings, now));
                Ok(Judged::Cleared {
                    pledge: Pledge::new(id, reserved, action),
                    writes,
                })
            }
            DecisionStatus::Pending => {
                crash::point("decision.before_create");
                self.tree.commit(writes).await?;
                crash::point("decision.after_create");
                tracing::info!(decision = %id, rule = %verdict.rule, "a human is asked: {sentence}");
                let wait = wait(&id);
                // The host's timer must know when it expires.
                kernel.timers_changed();
                Ok(Judged::Parked(wait, waits))
            }
            _ => Ok(Judged::Refused {
                error: refusal,
                writes,
            }),
        }
    }

    /// Whether the host itself calls the tool. Nobody has its name.
    fn is_hosts_own(&self) -> bool {
        self.plugin.is_none() && self.tree.principal == PrincipalName::host()
    }

    /// Whether effects of this are judged and not had.
    fn is_dry(&self, action: &Action) -> bool {
        let asks = self.plugin.as_ref().is_some_and(|p| p.grant().dry_run);
        asks || action.active.grant().dry_run
    }

    fn grant_is(&self, action: &Action) -> Write {
        Write::GrantIs {
            plugin: action.active.name().clone(),
            generation: action.active.grant().generation,
        }
    }

    fn reserve(
        &self,
        id: &DecisionId,
        action: &Action,
        reserved: MicroUsd,
        ceilings: Vec<Ceiling>,
        now: Timestamp,
    ) -> Write {
        Write::Reserve {
            entry: Box::new(LedgerEntry {
                id: id.to_string(),
                kind: SpendingKind::Effect,
                tenant: self.tree.tenant.clone(),
                plugin: self.plugin.as_ref().map(|p| p.name().clone()),
                execution: self.tree.execution.clone(),
                task: self.tree.task.clone(),
                decision: Some(id.clone()),
                reserved,
                settled: None,
                uncertain: false,
                at: now,
                ended_at: None,
                scopes: self.scopes(action),
            }),
            ceilings,
        }
    }

    /// Over what the money of this counts.
    fn scopes(&self, action: &Action) -> Vec<Scope> {
        let facts = row::identity(self, action);
        let mut plugins = vec![facts.plugin().clone()];
        for plugin in facts.chain {
            if !plugins.contains(&plugin) {
                plugins.push(plugin);
            }
        }
        let spender = Spender {
            tenant: facts.tenant,
            plugins,
            root_task: facts.root_task,
            target: facts.target,
        };
        spender.scopes()
    }

    async fn facts(
        &self,
        kernel: &Kernel,
        action: &Action,
        terms: &mandate_policy::ToolTerms,
        now: Timestamp,
    ) -> Result<Facts, Halted> {
        let reasons = &action.reasons;
        let mut facts = row::identity(self, action);
        facts.effects = terms.effects;
        facts.idempotent = terms.idempotent;
        facts.cost = Cost {
            claimed: reasons.cost,
            estimate: action.estimate.clone(),
            tariff: match terms.cost {
                Some(ToolCost::Fixed(cost)) => Some(cost),
                _ => None,
            },
        };
        facts.gain = reasons.gain;
        facts.risk = reasons.risk;
        facts.reversible = terms.is_reversible() && reasons.reversible != Some(false);
        facts.confidence = reasons.confidence;
        facts.windows = self.windows(kernel, &facts, now).await?;
        facts.dry_run = self.is_dry(action);
        facts.now = now;
        Ok(facts)
    }

    async fn windows(
        &self,
        kernel: &Kernel,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<Windows, StoreError> {
        let since = now.minus(WINDOW);
        let mut over = vec![
            (Scope::Plugin(facts.plugin().clone()), since),
            (Scope::Tenant(facts.tenant.clone()), since),
        ];
        if let Some(task) = &facts.root_task {
            over.push((Scope::Task(task.clone()), since));
        }
        if let Some(target) = &facts.target {
            let (tenant, target) = (facts.tenant.clone(), target.clone());
            over.push((Scope::Target { tenant, target }, since));
        }
        let spent = kernel.store().spent(&over).await?;
        let mut windows = Windows::default();
        for ((scope, _), spent) in over.iter().zip(spent) {
            match scope {
                Scope::Plugin(_) => windows.plugin = spent,
                Scope::Tenant(_) => windows.tenant = spent,
                Scope::Task(_) => windows.task = spent,
                Scope::Target { .. } => windows.target = spent,
                Scope::Host | Scope::Agent { .. } => {}
            }
        }
        Ok(windows)
    }
}

/// What an earlier decision about the same step means.
enum Again {
    Same(Judged),
    Anew(Option<Write>),
}

fn wait(id: &DecisionId) -> Wait {
    Wait {
        key: WaitKey::Decision(id.clone()),
        wake_at: None,
    }
}

impl Action {
    /// `plugin.tool`
    pub fn name(&self) -> String {
        format!("{}.{}", self.active.name(), self.tool)
    }

    /// The arguments' digest, as approvals are bound to it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.arguments.to_string().as_bytes())
    }

    fn section(&self) -> Option<&mandate_plugin::manifest::ToolSection> {
        self.active.loaded.manifest.tool(&self.tool)
    }

    /// What it is done to.
    pub fn target(&self) -> Option<String> {
        let pointer = self.section()?.target.as_deref()?;
        text(self.arguments.pointer(pointer)?)
    }

    /// The tenant that the arguments name, if that is not the one for whom it is done.
    fn other_tenant(&self, tree: &Tree) -> Option<String> {
        let pointer = self.section()?.tenant.as_deref()?;
        let named = text(self.arguments.pointer(pointer)?)?;
        (named != tree.tenant.as_str()).then_some(named)
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// (gain − cost) / cost; see [`roi`].
fn worth(reasons: &Reasons, cost: Option<MicroUsd>) -> Option<f64> {
    roi(reasons.gain, cost)
}
