//! A call that has effects by a tool: judged, and cleared in the transaction that writes its
//! intent, or refused, or parked until a human has answered.

use super::Begun;
use crate::capability::{At, Capability};
use crate::decision::{Action, Asking, Cleared, Pledge};
use crate::guest::{Guest, Told};
use crate::tree::Halted;
use mandate_store::{DecisionRequest, Step, StoreError, Write};
use mandate_types::{DecisionStatus, MicroUsd};
use std::sync::Arc;

impl Guest {
    /// Lets `call` go on once its effect is cleared. What was `intended` before the execution
    /// went on here was cleared then.
    pub(super) async fn clear<C: Capability>(
        &mut self,
        call: C,
        mut at: At,
        action: Action,
        step: Box<Step>,
        intended: bool,
    ) -> Told<Begun<C>> {
        let asking = Asking::of(&at);
        if intended {
            let pledge = self.pledged(&asking, &action).await?;
            at.pledge = Some(Arc::new(pledge));
            return Ok(Begun::Go {
                call,
                at,
                step: None,
            });
        }
        let kernel = self.scope.kernel.clone();
        let intent = Write::Step(step.clone());
        let cleared = asking.clear(&kernel, action, Some(&intent)).await;
        match cleared.map_err(|halted| self.halt(halted))? {
            Cleared::Go(pledge) => {
                at.pledge = Some(Arc::new(pledge));
                Ok(Begun::Go {
                    call,
                    at,
                    step: None,
                })
            }
            Cleared::Refused { error, writes } => {
                let step = Box::new(Step {
                    child: None,
                    ..*step
                });
                let (sequence, index) = (at.sequence, at.index);
                let (error, cost) = (Err(error), MicroUsd::ZERO);
                let told = self
                    .record::<C>(sequence, index, Some(step), error, true, writes, cost)
                    .await?;
                Ok(Begun::Answered(told))
            }
            Cleared::Parked(wait, reason) => {
                self.scope.tree.wait_for(wait, reason);
                Ok(Begun::Parked)
            }
        }
    }

    /// What was pledged for a step whose intent is in the journal.
    async fn pledged(&mut self, asking: &Asking, action: &Action) -> Told<Pledge> {
        let store = self.scope.kernel.store().clone();
        let found = store
            .decision_of(&asking.invocation, asking.sequence, asking.index)
            .await;
        match found {
            Ok(Some(decision)) if decision.status == DecisionStatus::Executing => {
                Ok(Pledge::of(&decision, action))
            }
            Ok(other) => {
                let known = other.map(|decision| decision.request);
                Err(self.halt(missing(asking, known.as_ref())))
            }
            Err(error) => Err(self.halt(error.into())),
        }
    }
}

fn missing(asking: &Asking, known: Option<&DecisionRequest>) -> Halted {
    Halted::Store(StoreError::Corrupt(format!(
        "step {}/{} of {} was begun, and its decision is {}",
        asking.sequence,
        asking.index,
        asking.invocation,
        if known.is_some() {
            "over already"
        } else {
            "not there"
        }
    )))
}
