//! A model call for which a budget has no room becomes a decision about money: a human may lift
//! that budget for this one call.

use super::{Asking, row, wait};
use crate::catalogue::Active;
use crate::kernel::Kernel;
use crate::tree::Halted;
use mandate_policy::{Cost, Facts, Windows, sentence};
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{Decision, DecisionChange, DecisionRequest, Wait, Write, crash};
use mandate_types::{Ceiling, DecisionId, DecisionStatus, Digest, Effects, MicroUsd, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a human allowed of a call.
#[derive(Clone, Debug, Default)]
pub struct Lifted {
    /// Under which decision, if there is one.
    pub decision: Option<DecisionId>,
    /// The names of the ceilings that do not count.
    pub ceilings: Vec<String>,
    /// Consumes the approval.
    pub writes: Vec<Write>,
}

/// What came of asking for money.
pub enum Overdraft {
    /// A human is asked, and that is on disk.
    Parked(Wait),
    /// There is none.
    Refused {
        /// What the guest is told.
        error: Error,
        /// What is committed with that.
        writes: Vec<Write>,
    },
}

/// A call that asks a model.
pub struct ModelCall {
    /// Who asks.
    pub plugin: Arc<Active>,
    /// `mandate:llm.complete`
    pub name: String,
    /// Of its arguments: those are not anybody's to read who decides about money.
    pub digest: Digest,
    /// What it may cost.
    pub worst: MicroUsd,
}

impl ModelCall {
    /// Whether it is the call that `before` is about, and costs no more.
    fn is_that_of(&self, before: &Decision) -> bool {
        let request = &before.request;
        request.arguments_digest == self.digest && request.cost.is_some_and(|it| it >= self.worst)
    }
}

impl Asking {
    /// What a human lifted for this call already.
    ///
    /// # Errors
    /// [`Halted`] when the database does not answer.
    pub async fn lifted(&self, kernel: &Kernel, call: &ModelCall) -> Result<Lifted, Halted> {
        // Only who waited for an answer can have one.
        if !self.tree.resumed {
            return Ok(Lifted::default());
        }
        let now = Timestamp::now();
        let before = self.before(kernel).await?;
        let Some(before) = before.filter(|before| call.is_that_of(before)) else {
            return Ok(Lifted::default());
        };
        let id = before.id.clone();
        let writes = match before.status {
            DecisionStatus::Approved if before.expires_at.is_none_or(|at| at > now) => {
                vec![Write::ChangeDecision {
                    id: id.clone(),
                    from: &[DecisionStatus::Approved],
                    live_at: Some(now),
                    change: Box::new(DecisionChange {
                        status: Some(DecisionStatus::Executing),
                        ..DecisionChange::default()
                    }),
                }]
            }
            // It was under way when the host stopped, and is made again.
            DecisionStatus::Executing => Vec::new(),
            _ => return Ok(Lifted::default()),
        };
        Ok(Lifted {
            decision: Some(id),
            ceilings: before.request.lifts,
            writes,
        })
    }

    /// Asks a human for money that `ceiling` does not have, of which `spent` are gone.
    ///
    /// # Errors
    /// [`Halted`] when the database does not answer.
    pub async fn overdraw(
        &self,
        kernel: &Kernel,
        call: &ModelCall,
        ceiling: Ceiling,
        spent: MicroUsd,
    ) -> Result<Overdraft, Halted> {
        let now = Timestamp::now();
        let mut writes = vec![Write::Exhausted {
            ceiling: Box::new(ceiling.clone()),
            spent,
            tenant: self.tree.tenant.clone(),
            task: self.tree.task.clone(),
            at: now,
        }];
        let mut lifts = Vec::new();
        let before = match self.tree.resumed {
            true => self.before(kernel).await?,
            false => None,
        };
        match before {
            Some(before) => match before.status {
                DecisionStatus::Pending => return Ok(Overdraft::Parked(wait(&before.id))),
                DecisionStatus::Denied | DecisionStatus::Expired => {
                    let error = row::refusal(&before);
                    return Ok(Overdraft::Refused { error, writes });
                }
                DecisionStatus::Approved => {
                    let mut why = "it is another call, or costs more than when it was asked";
                    if call.is_that_of(&before) {
                        lifts.clone_from(&before.request.lifts);
                        why = "another budget has no room for it";
                    }
                    writes.push(row::withdraw(&before, why, now));
                }
                DecisionStatus::Executing => {
                    lifts.clone_from(&before.request.lifts);
                    writes.push(ended(before.id, DecisionStatus::Failed, None, now));
                }
                _ => {}
            },
            None if self.tree.task.is_none() => {
                // Nobody would go on with a client's call that waits for this.
                let resets = ceiling.resets_at.map(|at| at.micros().unsigned_abs());
                let error = Error::BudgetExhausted(resets);
                return Ok(Overdraft::Refused { error, writes });
            }
            None => {}
        }
        lifts.push(ceiling.name.clone());
        let decision = self.about_money(kernel, call, &ceiling, spent, lifts, now);
        let id = decision.id.clone();
        let sentence = decision.request.sentence.clone();
        writes.extend(row::told(&decision));
        writes.push(Write::CreateDecision(Box::new(decision)));
        crash::point("decision.before_create");
        self.tree.commit(writes).await?;
        crash::point("decision.after_create");
        tracing::info!(decision = %id, rule = %ceiling.name, "a human is asked: {sentence}");
        // The host's timer must know when it expires.
        kernel.timers_changed();
        Ok(Overdraft::Parked(wait(&id)))
    }

    fn about_money(
        &self,
        kernel: &Kernel,
        call: &ModelCall,
        ceiling: &Ceiling,
        spent: MicroUsd,
        lifts: Vec<String>,
        now: Timestamp,
    ) -> Decision {
        let tree = &self.tree;
        let cost = call.worst;
        let facts = self.facts_of_model(call, now);
        let verdict = kernel.policy().no_room(&facts, cost, ceiling, spent);
        let expires_at = Some(now.plus(verdict.approvals.expires_after));
        let mut known = serde_json::to_value(&facts).unwrap_or(Value::Null);
        if let Some(known) = known.as_object_mut() {
            known.insert("exceeded".to_owned(), json!(ceiling));
        }
        Decision {
            id: DecisionId::fresh(),
            status: DecisionStatus::Pending,
            request: DecisionRequest {
                sentence: sentence(&facts, &verdict, None, expires_at),
                tenant: tree.tenant.clone(),
                task: tree.task.clone(),
                root_task: tree.task_root.clone(),
                subject: tree.subject.clone(),
                execution: tree.execution.clone(),
                invocation: self.invocation.clone(),
                sequence: self.sequence,
                index: self.index,
                principal: tree.principal.clone(),
                plugin: facts.requester.clone(),
                chain: self.chain.clone(),
                tool: facts.tool.clone(),
                tool_digest: call.plugin.loaded.digest.clone(),
                arguments: Value::Null,
                arguments_digest: call.digest.clone(),
                grant_generation: call.plugin.grant().generation,
                effects: facts.effects,
                idempotent: facts.idempotent,
                target: None,
                why: None,
                cost: Some(cost),
                gain: None,
                roi: None,
                risk: None,
                reversible: false,
                undo: None,
                confidence: None,
                level: verdict.level,
                verdict: verdict.outcome.as_str().to_owned(),
                rule: verdict.rule,
                reason: verdict.reason,
                facts: known,
                lifts,
            },
            requested_at: now,
            expires_at,
            resolved_at: None,
            resolved_by: None,
            self_approved: false,
            comment: None,
            child: None,
            ended_at: None,
            actual_cost: None,
            result: None,
        }
    }

    fn facts_of_model(&self, call: &ModelCall, now: Timestamp) -> Facts {
        let tree = &self.tree;
        let requester = call.plugin.name().clone();
        Facts {
            tenant: tree.tenant.clone(),
            tool_plugin: requester.clone(),
            requester: Some(requester),
            chain: self.chain.clone(),
            root_task: tree.task_root.clone(),
            principal: tree.principal.clone(),
            // No tool can have such a name.
            tool: call.name.clone(),
            target: None,
            effects: Effects::None,
            idempotent: false,
            cost: Cost {
                tariff: Some(call.worst),
                ..Cost::default()
            },
            gain: None,
            risk: None,
            reversible: false,
            confidence: None,
            arguments: Value::Null,
            windows: Windows::default(),
            autonomy_cap: None,
            thresholds: None,
            dry_run: false,
            now,
        }
    }
}

/// The end of a decision about a call that was begun.
pub fn ended(
    id: DecisionId,
    status: DecisionStatus,
    actual_cost: Option<MicroUsd>,
    now: Timestamp,
) -> Write {
    Write::ChangeDecision {
        id,
        from: &[DecisionStatus::Executing],
        live_at: None,
        change: Box::new(DecisionChange {
            status: Some(status),
            ended_at: Some(now),
            actual_cost,
            ..DecisionChange::default()
        }),
    }
}
