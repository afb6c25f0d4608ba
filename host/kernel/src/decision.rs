//! Effects are judged before they happen: what is asked becomes a decision, and a decision
//! becomes the right to do exactly that, once.

mod action;
mod case;
mod ending;
mod facts;
mod overdraft;
mod row;
mod suspend;

pub use action::Action;
pub use ending::Pledge;
pub use overdraft::{Lifted, ModelCall, Overdraft, ended};
pub(crate) use suspend::suspended;

use case::Case;

use crate::capability::{At, denied, unavailable};
use crate::catalogue::Active;
use crate::kernel::Kernel;
use crate::tree::{Halted, Tree};
use mandate_policy::{Refusal, is_autonomy};
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{CommitError, Decision, StoreError, Wait, WaitKey, Write, crash};
use mandate_types::{
    Ceiling, DecisionId, DecisionStatus, InvocationId, MicroUsd, PluginName, PrincipalName,
    Timestamp, WaitReason,
};
use std::sync::Arc;

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
    /// The guest that makes the call `at`.
    pub fn of(at: &At) -> Self {
        Self {
            tree: at.scope.tree.clone(),
            plugin: Some(at.scope.plugin.clone()),
            chain: at.scope.lineage.chain(),
            invocation: at.scope.id.clone(),
            sequence: at.sequence,
            index: at.index,
        }
    }

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
                Err(CommitError::DecisionState { .. }) => {}
                Err(CommitError::GrantChanged(plugin)) => kernel.follow(&plugin).await,
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
        let at = Timestamp::now();
        let facts = self.facts(kernel, action, &terms, at).await?;
        let verdict = kernel.policy().judge(&facts);
        let mut case = Case {
            asking: self,
            action,
            verdict: if self.is_hosts_own() {
                row::as_configured(verdict)
            } else {
                verdict
            },
            facts,
            lifts: None,
            lifted: Vec::new(),
            at,
        };
        let mut writes = Vec::new();
        if let Some(before) = self.before(kernel).await? {
            match case.again(&before, over.is_some()) {
                Again::Same(judged) => return Ok(judged),
                Again::Anew(withdrawn) => writes.extend(withdrawn),
            }
            if before.status == DecisionStatus::Approved {
                // Otherwise two budgets without room would be asked for in turns, for ever.
                case.lifted = before.request.lifts;
            }
        }
        if let Some(Over { ceiling, spent }) = over
            && !is_autonomy(&ceiling)
        {
            writes.push(Write::Exhausted {
                ceiling: Box::new(ceiling.clone()),
                spent,
                tenant: self.tree.tenant.clone(),
                task: self.tree.task.clone(),
                at,
            });
            case.verdict = case.verdict.over(&ceiling, spent);
            case.lifts = Some(ceiling);
        }
        self.anew(kernel, case, writes).await
    }

    /// The newest decision about this step. Only an execution that ran before can have one, or
    /// one that lost a race a moment ago.
    async fn before(&self, kernel: &Kernel) -> Result<Option<Decision>, StoreError> {
        kernel
            .store()
            .decision_of(&self.invocation, self.sequence, self.index)
            .await
    }

    /// Makes a new decision.
    async fn anew(
        &self,
        kernel: &Kernel,
        case: Case<'_>,
        mut writes: Vec<Write>,
    ) -> Result<Judged, Halted> {
        let decision = row::decision(&case, DecisionId::fresh());
        let id = decision.id.clone();
        let status = decision.status;
        let sentence = decision.request.sentence.clone();
        let waits = row::reason_to_wait(&decision.request);
        let refusal = row::refusal(&decision);
        writes.extend(row::told(&decision));
        writes.push(Write::CreateDecision(Box::new(decision)));
        match status {
            DecisionStatus::Executing => Ok(case.granted(id, writes)),
            DecisionStatus::Pending => {
                crash::point("decision.before_create");
                self.tree.commit(writes).await?;
                crash::point("decision.after_create");
                let rule = &case.verdict.rule;
                tracing::info!(decision = %id, %rule, "a human is asked: {sentence}");
                // The host's timer must know when it expires.
                kernel.timers_changed();
                Ok(Judged::Parked(wait(&id), waits))
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
