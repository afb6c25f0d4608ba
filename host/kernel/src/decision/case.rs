//! What a verdict lets happen: the writes by which an effect gets its right and its money, also
//! where somebody decided about it before.

use super::{Action, Again, Asking, Judged, Pledge, row, wait};
use mandate_policy::{Facts, Outcome, Spender, Verdict, is_autonomy};
use mandate_store::{Decision, DecisionChange, LedgerEntry, SpendingKind, Write};
use mandate_types::{Ceiling, DecisionId, DecisionStatus, MicroUsd, Timestamp};

/// An effect with its verdict.
pub(super) struct Case<'a> {
    /// Who wants it.
    pub asking: &'a Asking,
    /// What he wants.
    pub action: &'a Action,
    /// What it was judged on.
    pub facts: Facts,
    /// How it was judged.
    pub verdict: Verdict,
    /// The ceiling that has no room for it, if that is what a human is asked for.
    pub lifts: Option<Ceiling>,
    /// The names of those that a human lifted for this before.
    pub lifted: Vec<String>,
    /// When it was judged.
    pub at: Timestamp,
}

impl Case<'_> {
    /// What a new decision begins as.
    pub fn status(&self) -> DecisionStatus {
        match self.verdict.outcome {
            _ if self.facts.dry_run => DecisionStatus::DryRun,
            Outcome::Approve => DecisionStatus::Executing,
            Outcome::Deny => DecisionStatus::Denied,
            Outcome::Escalate => DecisionStatus::Pending,
        }
    }

    /// What a decision `before` about the same step means now; `is_over` when a ceiling had no
    /// room for it just now.
    pub fn again(&self, before: &Decision, is_over: bool) -> Again {
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
            DecisionStatus::Approved if before.expires_at.is_some_and(|at| at <= self.at) => {
                Again::Same(Judged::Refused {
                    error: row::refusal(before),
                    writes: vec![Write::ChangeDecision {
                        id,
                        from: &[DecisionStatus::Approved],
                        live_at: None,
                        change: Box::new(DecisionChange {
                            status: Some(DecisionStatus::Expired),
                            ended_at: Some(self.at),
                            ..DecisionChange::default()
                        }),
                    }],
                })
            }
            DecisionStatus::Approved => {
                let no_room = is_over.then_some("a budget has no room for it any more");
                match row::changed(before, self.action, &self.verdict).or(no_room) {
                    None => Again::Same(self.consume(before)),
                    Some(why) => Again::Anew(Some(row::withdraw(before, why, self.at))),
                }
            }
            _ => Again::Anew(None),
        }
    }

    /// The right that a human's approval gives, for this one time.
    fn consume(&self, approved: &Decision) -> Judged {
        let id = approved.id.clone();
        let lifts = &approved.request.lifts;
        let ceilings = self.verdict.ceilings.iter();
        let ceilings = ceilings
            .filter(|ceiling| !is_autonomy(ceiling) && !lifts.contains(&ceiling.name))
            .cloned()
            .collect();
        let consumed = Write::ChangeDecision {
            id: id.clone(),
            from: &[DecisionStatus::Approved],
            live_at: Some(self.at),
            change: Box::new(DecisionChange {
                status: Some(DecisionStatus::Executing),
                child: Some(self.action.child.clone()),
                ..DecisionChange::default()
            }),
        };
        let cost = self.verdict.cost.or(approved.request.cost);
        self.cleared(id, cost, ceilings, vec![consumed])
    }

    /// The right that the verdict itself gives, with the `writes` that record it.
    pub fn granted(self, id: DecisionId, writes: Vec<Write>) -> Judged {
        let ceilings = self.verdict.ceilings.clone();
        self.cleared(id, self.verdict.cost, ceilings, writes)
    }

    fn cleared(
        &self,
        id: DecisionId,
        cost: Option<MicroUsd>,
        ceilings: Vec<Ceiling>,
        mut writes: Vec<Write>,
    ) -> Judged {
        let reserved = row::to_reserve(cost, self.action);
        let tree = &self.asking.tree;
        writes.push(Write::GrantIs {
            plugin: self.action.active.name().clone(),
            generation: self.action.active.grant().generation,
        });
        writes.push(Write::Reserve {
            entry: Box::new(LedgerEntry {
                id: id.to_string(),
                kind: SpendingKind::Effect,
                tenant: tree.tenant.clone(),
                plugin: self.facts.requester.clone(),
                execution: tree.execution.clone(),
                task: tree.task.clone(),
                decision: Some(id.clone()),
                provider: None,
                model: None,
                reserved,
                settled: None,
                uncertain: false,
                at: self.at,
                ended_at: None,
                scopes: Spender::from(&self.facts).scopes(),
            }),
            ceilings,
        });
        Judged::Cleared {
            pledge: Pledge::new(id, reserved, self.action),
            writes,
        }
    }
}
