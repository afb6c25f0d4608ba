//! The one seam: recorded? granted? of an allowed class? then intent, deed and answer, each
//! in the order that lets the journal be replayed.

mod clearance;
mod outside;
mod spending;

pub use outside::question_event;

use crate::capability::{At, Capability, Fail, Intent, Performed, Scope, denied};
use crate::decision::suspended;
use crate::guest::{Guest, Told};
use crate::tree::Halted;
use mandate_policy::Refusal;
use mandate_runtime::End;
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{CommitError, Step, StepAnswer, Write, crash};
use mandate_types::{Effects, MicroUsd, StepState, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What the guest is told, or why it hears nothing more.
pub type Answered<T> = Result<T, Error>;

/// A call that was let in.
pub enum Begun<C: Capability> {
    /// It has its answer.
    Answered(Answered<C::Answer>),
    /// It has none before something else is there.
    Parked,
    /// It has to be performed.
    Go {
        /// The call.
        call: C,
        /// Which step it is.
        at: At,
        /// Its step, unless its intent is written already.
        step: Option<Box<Step>>,
    },
}

impl Guest {
    /// Passes one call through the seam.
    ///
    /// # Errors
    /// The trap that ends the instance; what it was is kept in the guest.
    pub async fn step<C: Capability>(&mut self, call: C) -> Told<Answered<C::Answer>> {
        let sequence = self.journal.next();
        match self.begin(sequence, 0, call).await? {
            Begun::Answered(answer) => Ok(answer),
            Begun::Parked => Err(self.halt(Halted::Parked)),
            Begun::Go { call, at, .. } if call.effects() > Effects::Internal => {
                self.outside(call, at).await
            }
            Begun::Go { call, at, step } => {
                let performed = call.perform(at).await;
                self.finish::<C>(sequence, 0, step, performed).await
            }
        }
    }

    /// The first half: everything until the call is made.
    ///
    /// # Errors
    /// The trap that ends the instance.
    pub async fn begin<C: Capability>(
        &mut self,
        sequence: u64,
        index: u32,
        call: C,
    ) -> Told<Begun<C>> {
        self.follow_grant();
        let arguments = serde_json::to_value(&call).map_err(|e| self.broken(&e))?;
        let text = arguments.to_string();
        let digest = mandate_types::Digest::of(text.as_bytes());
        let limits = &self.scope.limits;
        if let Err(hit) = self.journal.count_step(limits, text.len()) {
            return Err(self.end(End::Limit(hit)));
        }
        if self.journal.is_sealed() {
            return self.recall::<C>(sequence, index, arguments);
        }
        let mut at = At {
            scope: self.scope.clone(),
            sequence,
            index,
            since: Timestamp::now(),
            pledge: None,
            meter: None,
        };
        let mut intended = false;
        if let Some(recorded) = self.journal.recorded(sequence, index) {
            self.repeated();
            let same = recorded.interface == C::INTERFACE
                && recorded.function == C::FUNCTION
                && recorded.arguments_digest == digest;
            if !same {
                return Err(self.halt(self.diverged(&recorded, C::INTERFACE, C::FUNCTION)));
            }
            if let Some(answer) = recorded.answer {
                // Counted as it was then, with all that was below; that it was allowed is on record.
                let children = match &recorded.child {
                    Some(child) => self.scope.tree.with_those_below(child),
                    None => u64::from(C::SUBMITS && answer.get("ok").is_some()),
                };
                self.scope.lineage.count_again(children);
                // Money counts over the whole life of an execution.
                self.scope.tree.add_cost(recorded.cost_micro_usd.0);
                self.cost = self.cost.plus(recorded.cost_micro_usd);
                self.count_answer(&answer)?;
                self.journal
                    .answered_at(recorded.answered_at.unwrap_or(recorded.at));
                let decoded = decode(answer).map_err(|e| self.broken(&e))?;
                return Ok(Begun::Answered(decoded));
            }
            at.since = recorded.at;
            intended = true;
        } else if let Some(left) = self.journal.left()
            && (left.sequence, left.index) < (sequence, index)
        {
            let left = left.clone();
            return Err(self.halt(self.diverged(&left, C::INTERFACE, C::FUNCTION)));
        }
        let step = Step {
            invocation: self.scope.id.clone(),
            sequence,
            index,
            tenant: self.scope.tree.tenant.clone(),
            interface: C::INTERFACE.to_owned(),
            function: C::FUNCTION.to_owned(),
            arguments,
            arguments_digest: digest,
            effects: call.effects(),
            state: StepState::Intended,
            answer: None,
            refused: false,
            child: call.child(&at),
            cost_micro_usd: MicroUsd::ZERO,
            at: at.since,
            answered_at: None,
            active_us: Some(self.active_us()),
            erased: false,
        };
        let verdict = call
            .granted(&self.scope)
            .and_then(|()| self.of_allowed_class(call.effects()));
        if let Err(refusal) = verdict {
            if intended && call.effects() > Effects::Internal {
                // It may have been had while it was granted: `denied` would say that it was not.
                return self.unknown(call, at, Some(refusal)).await;
            }
            let step = (!intended).then(|| {
                Box::new(Step {
                    child: None,
                    ..step
                })
            });
            return self.refused::<C>(&at, step, refusal).await;
        }
        match call.action(&at) {
            Ok(None) => {}
            Ok(Some(action)) => {
                return self.clear(call, at, action, Box::new(step), intended).await;
            }
            Err(error) => return self.answered::<C>(at, step, intended, error).await,
        }
        match call.spending(&self.scope) {
            Ok(None) => {}
            Ok(Some(spending)) => return self.afford(call, at, spending, step, intended).await,
            Err(error) => return self.answered::<C>(at, step, intended, error).await,
        }
        if intended && call.effects() > Effects::Internal {
            return self.unknown(call, at, None).await;
        }
        let intent = call.intent();
        if intended || intent == Intent::None {
            let step = (!intended).then(|| Box::new(step));
            return Ok(Begun::Go { call, at, step });
        }
        let writes = vec![Write::Step(Box::new(step))];
        let written = match intent {
            Intent::Committed => self
                .scope
                .tree
                .commit(writes)
                .await
                .map(|_| ())
                .map_err(Halted::from),
            _ => self.scope.tree.push(writes).await,
        };
        written.map_err(|halted| self.halt(halted))?;
        Ok(Begun::Go {
            call,
            at,
            step: None,
        })
    }

    /// A call that has its answer before it is made.
    async fn answered<C: Capability>(
        &mut self,
        at: At,
        step: Step,
        intended: bool,
        error: Error,
    ) -> Told<Begun<C>> {
        let step = (!intended).then(|| Box::new(step));
        let (answer, cost) = (Err(error), MicroUsd::ZERO);
        let told = self
            .record::<C>(at.sequence, at.index, step, answer, false, Vec::new(), cost)
            .await?;
        Ok(Begun::Answered(told))
    }

    /// A call that is not allowed.
    async fn refused<C: Capability>(
        &mut self,
        at: &At,
        step: Option<Box<Step>>,
        refusal: Refusal,
    ) -> Told<Begun<C>> {
        let (answer, cost) = (Err(denied(refusal)), MicroUsd::ZERO);
        let told = self
            .record::<C>(at.sequence, at.index, step, answer, true, Vec::new(), cost)
            .await?;
        Ok(Begun::Answered(told))
    }

    /// The second half: everything from the call's end to what the guest is told.
    ///
    /// # Errors
    /// The trap that ends the instance.
    pub async fn finish<C: Capability>(
        &mut self,
        sequence: u64,
        index: u32,
        step: Option<Box<Step>>,
        performed: Result<Performed<C::Answer>, Fail>,
    ) -> Told<Answered<C::Answer>> {
        // Whoever performs it may find that it is refused, too: by an address, say.
        let refused = matches!(performed, Err(Fail::Answer(Error::Denied(_))));
        let (answer, writes, cost) = match performed {
            Ok(Performed {
                answer,
                writes,
                cost,
            }) => (Ok(answer), writes, cost),
            Err(Fail::Answer(error)) => (Err(error), Vec::new(), MicroUsd::ZERO),
            Err(Fail::Ended(error, writes, cost)) => (Err(error), writes, cost),
            Err(Fail::End(end)) => return Err(self.end(end)),
            Err(Fail::Halt(halted)) => return Err(self.halt(halted)),
            Err(Fail::Park(wait, reason)) => {
                self.scope.tree.wait_for(wait, reason);
                return Err(self.halt(Halted::Parked));
            }
        };
        self.record::<C>(sequence, index, step, answer, refused, writes, cost)
            .await
    }

    /// What an operator takes away is gone from the next call on, also for who runs already.
    /// A plugin that was removed goes on under its last grant, and never under that of another
    /// plugin which got its name.
    fn follow_grant(&mut self) {
        let catalogue = self.scope.kernel.catalogue();
        let own = &self.scope.plugin;
        let current = catalogue.installed(own.name());
        if let Some(current) = current
            && !Arc::ptr_eq(current, own)
            && current.is_same_plugin(own)
        {
            self.scope = Arc::new(Scope {
                plugin: current.clone(),
                ..Scope::clone(&self.scope)
            });
        }
    }

    /// An effect graver than the tool declared, or outside of a decision, is refused.
    fn of_allowed_class(&self, effects: Effects) -> Result<(), Refusal> {
        let allowed = match &self.scope.pledge {
            Some(_) => self.scope.ceiling,
            None => self.scope.ceiling.min(Effects::Internal),
        };
        if effects <= allowed {
            return Ok(());
        }
        let reason = if effects > Effects::Internal && self.scope.pledge.is_none() {
            "external effects need an approved decision".to_owned()
        } else {
            format!(
                "the tool is accepted with effects `{}`, and this call has `{effects}`",
                self.scope.ceiling
            )
        };
        Err(Refusal {
            capability: "effects".to_owned(),
            reason,
        })
    }

    /// Counts an answer among the bytes of the journal: also one that is given again, so that
    /// the limit is hit where it was.
    ///
    /// # Errors
    /// The trap, when the journal holds more than it may.
    pub(crate) fn count_answer(&mut self, answer: &Value) -> Told<()> {
        let size = mandate_types::json::length(answer);
        let counted = self.journal.count_bytes(&self.scope.limits, size);
        counted.map_err(|hit| self.end(End::Limit(hit)))
    }

    #[allow(clippy::too_many_arguments)] // the parts of one row
    async fn record<C: Capability>(
        &mut self,
        sequence: u64,
        index: u32,
        step: Option<Box<Step>>,
        answer: Answered<C::Answer>,
        refused: bool,
        writes: Vec<Write>,
        cost: MicroUsd,
    ) -> Told<Answered<C::Answer>> {
        let now = Timestamp::now();
        let encoded = encode(&answer).map_err(|e| self.broken(&e))?;
        self.count_answer(&encoded)?;
        self.scope.tree.add_cost(cost.0);
        self.cost = self.cost.plus(cost);
        self.journal.answered_at(now);
        let (invocation, tenant) = (self.scope.id.clone(), self.scope.tree.tenant.clone());
        let active_us = Some(self.active_us());
        let write = |encoded: Value, refused: bool| match step.clone() {
            Some(mut step) => {
                step.state = StepState::Answered;
                step.answer = Some(encoded);
                step.refused = refused;
                step.cost_micro_usd = cost;
                step.answered_at = Some(now);
                step.active_us = active_us;
                Write::Step(step)
            }
            None => Write::AnswerStep(Box::new(StepAnswer {
                invocation: invocation.clone(),
                sequence,
                index,
                tenant: tenant.clone(),
                answer: encoded,
                refused,
                cost_micro_usd: cost,
                answered_at: now,
                active_us,
            })),
        };
        let tree = self.scope.tree.clone();
        if writes.is_empty() {
            let kept = match write(encoded, refused) {
                Write::AnswerStep(answer) => tree.answer(*answer).await,
                step => tree.push([step]).await,
            };
            kept.map_err(|halted| self.halt(halted))?;
            return Ok(answer);
        }
        let is_paid = writes.iter().any(|w| matches!(w, Write::Settle { .. }));
        let suspended = suspended(&writes);
        let mut together = writes;
        together.push(write(encoded, refused));
        crash::point("answer.before_commit");
        let committed = if is_paid {
            // Also while it is halted: it was had.
            tree.settle(together).await
        } else {
            tree.commit(together).await
        };
        crash::point("answer.after_commit");
        match committed {
            Ok(_) => {
                self.scope.kernel.follow_suspensions(suspended).await;
                Ok(answer)
            }
            Err(
                error
                @ (CommitError::Store(_) | CommitError::LeaseLost(_) | CommitError::Halted(_)),
            ) => Err(self.halt(error.into())),
            Err(error) => {
                // Somebody was quicker: the answer is the conflict, and nothing was written.
                let told = match error {
                    CommitError::NotFound(what) => Error::NotFound(what),
                    other => Error::Conflict(other.to_string()),
                };
                let answer: Answered<C::Answer> = Err(told);
                let encoded = encode(&answer).map_err(|e| self.broken(&e))?;
                let kept = match write(encoded, false) {
                    Write::AnswerStep(answer) => tree.answer(*answer).await,
                    step => tree.push([step]).await,
                };
                kept.map_err(|halted| self.halt(halted))?;
                Ok(answer)
            }
        }
    }

    fn diverged(&self, recorded: &Step, interface: &str, function: &str) -> Halted {
        Halted::Diverged {
            invocation: self.scope.id.to_string(),
            sequence: recorded.sequence,
            recorded: format!("{} {}", recorded.interface, recorded.function),
            asked: format!("{interface} {function}"),
        }
    }
}

/// An answer as the journal holds it.
pub fn encode<T: Serialize>(answer: &Answered<T>) -> Result<Value, serde_json::Error> {
    Ok(match answer {
        Ok(value) => json!({ "ok": serde_json::to_value(value)? }),
        Err(error) => json!({ "error": renamed(serde_json::to_value(error)?, kebab) }),
    })
}

/// The answer that the journal holds.
pub fn decode<T: serde::de::DeserializeOwned>(
    mut answer: Value,
) -> Result<Answered<T>, serde_json::Error> {
    if let Some(value) = answer.get_mut("ok") {
        return serde_json::from_value(value.take()).map(Ok);
    }
    let error = answer.get_mut("error").map(Value::take).unwrap_or_default();
    serde_json::from_value(renamed(error, pascal)).map(Err)
}

/// The case of an error as the contract names it, where serde has Rust's name: journals are
/// read by people and by hosts to come.
fn renamed(error: Value, rename: fn(&str) -> String) -> Value {
    match error {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| (rename(&name), value))
                .collect(),
        ),
        other => other,
    }
}

/// `BudgetExhausted` → `budget-exhausted`
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

/// `budget-exhausted` → `BudgetExhausted`
fn pascal(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_ascii_uppercase().to_string() + letters.as_str()
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_journalled_under_the_names_of_the_contract() {
        let error = Error::BudgetExhausted(Some(7));
        let journalled = encode::<()>(&Err(error.clone())).unwrap();
        assert_eq!(journalled, json!({"error": {"budget-exhausted": 7}}));
        assert_eq!(decode::<()>(journalled).unwrap(), Err(error));
        let not_found: Answered<String> = Err(Error::NotFound("x".to_owned()));
        let journalled = encode(&not_found).unwrap();
        assert_eq!(journalled, json!({"error": {"not-found": "x"}}));
        assert_eq!(decode::<String>(journalled).unwrap(), not_found);
    }
}
