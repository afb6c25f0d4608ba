//! A call that asks a model for money: its intent is written together with the reservation, or a
//! human is asked for more, or it is not made.

use super::Begun;
use crate::capability::{At, Capability};
use crate::decision::{Asking, ModelCall, Overdraft};
use crate::guest::{Guest, Told};
use crate::money::{CallMeter, Spending};
use crate::tree::Halted;
use mandate_policy::is_budget;
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{CommitError, Step, Write, crash};
use mandate_types::{MicroUsd, WaitReason};
use std::sync::Arc;

impl Guest {
    /// Lets `call` go on once its first attempt is reserved. One that was `intended` before the
    /// execution went on here is made again: what it may have cost then is booked already.
    pub(super) async fn afford<C: Capability>(
        &mut self,
        call: C,
        mut at: At,
        spending: Spending,
        step: Step,
        intended: bool,
    ) -> Told<Begun<C>> {
        let asking = Asking::of(&at);
        let package = C::INTERFACE.split('/').next().unwrap_or_default();
        let model = ModelCall {
            plugin: at.scope.plugin.clone(),
            name: format!("{package}.{}", C::FUNCTION),
            digest: step.arguments_digest.clone(),
            worst: spending.first.most,
        };
        let step = (!intended).then(|| Box::new(step));
        let (error, writes) = match self.pay(&mut at, &asking, &model, &spending, &step).await {
            Ok(Overdrawn::Paid) => {
                return Ok(Begun::Go {
                    call,
                    at,
                    step: None,
                });
            }
            Ok(Overdrawn::Not(Overdraft::Parked(wait))) => {
                self.scope.tree.wait_for(wait, WaitReason::Budget);
                return Ok(Begun::Parked);
            }
            Ok(Overdrawn::Not(Overdraft::Refused { error, writes })) => (error, writes),
            Err(halted) => return Err(self.halt(halted)),
        };
        let (told, cost) = (Err(error), MicroUsd::ZERO);
        let told = self
            .record::<C>(at.sequence, at.index, step, told, true, writes, cost)
            .await?;
        Ok(Begun::Answered(told))
    }

    async fn pay(
        &self,
        at: &mut At,
        asking: &Asking,
        model: &ModelCall,
        spending: &Spending,
        step: &Option<Box<Step>>,
    ) -> Result<Overdrawn, Halted> {
        let (kernel, tree) = (&self.scope.kernel, &self.scope.tree);
        tree.note_asked();
        loop {
            let lifted = asking.lifted(kernel, model).await?;
            let meter = CallMeter::new(at, spending.most_per_task, &lifted);
            let mut writes = lifted.writes;
            writes.push(meter.first(spending.first.clone()));
            writes.extend(step.clone().map(Write::Step));
            crash::point("intent.before_commit");
            match tree.commit(writes).await {
                Ok(_) => {
                    crash::point("intent.after_commit");
                    at.meter = Some(Arc::new(meter));
                    return Ok(Overdrawn::Paid);
                }
                Err(CommitError::Exceeded { ceiling, spent }) if is_budget(&ceiling) => {
                    let asked = asking.overdraw(kernel, model, *ceiling, spent).await?;
                    return Ok(Overdrawn::Not(asked));
                }
                // What a grant allows, nobody lifts for one call.
                Err(CommitError::Exceeded { .. }) => {
                    return Ok(Overdrawn::Not(Overdraft::Refused {
                        error: Error::BudgetExhausted(None),
                        writes: Vec::new(),
                    }));
                }
                // An approval that expires just now: it is looked at again.
                Err(CommitError::DecisionState { .. }) => {}
                Err(other) => return Err(other.into()),
            }
        }
    }
}

/// What came of reserving.
enum Overdrawn {
    /// It is reserved, and the intent is on disk.
    Paid,
    /// It is not.
    Not(Overdraft),
}
