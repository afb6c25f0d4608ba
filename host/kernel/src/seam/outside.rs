//! Effects outside of the host: once its intent is on disk, such a call belongs to a task of the
//! host, so that it ends and is recorded whatever becomes of the guest; and one whose end nobody
//! recorded is never simply made again.

use super::{Answered, Begun, encode};
use crate::capability::{At, Capability, Fail, Performed};
use crate::guest::{Guest, Told};
use crate::tree::Halted;
use mandate_policy::Refusal;
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{Question, StepAnswer, StoreError, Wait, WaitKey, Write, crash};
use mandate_types::{MicroUsd, QuestionId, QuestionKind, QuestionStatus, Timestamp, WaitReason};
use serde_json::{Value, json};

/// The most characters of arguments in a question.
const MOST_SHOWN: usize = 500;

/// What was recorded, for the guest's own books.
struct Kept<T> {
    answer: Answered<T>,
    at: Timestamp,
    bytes: usize,
    cost: MicroUsd,
}

impl Guest {
    /// Has the effect, on a task of the host's own.
    pub(super) async fn outside<C: Capability>(
        &mut self,
        call: C,
        at: At,
    ) -> Told<Answered<C::Answer>> {
        let kernel = at.scope.kernel.clone();
        let tree = at.scope.tree.clone();
        let under_way = kernel.effects().begin(&tree.execution);
        let (invocation, sequence, index) = (at.scope.id.clone(), at.sequence, at.index);
        let lineage = at.scope.lineage.clone();
        let owner = kernel.host().spawn(async move {
            let _under_way = under_way;
            let (answer, mut writes, cost) = match call.perform(at).await {
                Ok(Performed {
                    answer,
                    writes,
                    cost,
                }) => (Ok(answer), writes, cost),
                Err(Fail::Answer(error)) => (Err(error), Vec::new(), MicroUsd::ZERO),
                Err(Fail::Ended(error, writes, cost)) => (Err(error), writes, cost),
                Err(Fail::Halt(halted)) => return Err(halted),
                Err(Fail::End(end)) => {
                    let lost = Error::Interrupted(format!("{end:?}"));
                    (Err(lost), Vec::new(), MicroUsd::ZERO)
                }
                Err(Fail::Park(..)) => {
                    let why = "an effect that has begun cannot wait for anything".to_owned();
                    return Err(Halted::Store(StoreError::Corrupt(why)));
                }
            };
            let at = Timestamp::now();
            let encoded = encode(&answer)
                .map_err(|error| Halted::Store(StoreError::Corrupt(error.to_string())))?;
            let bytes = encoded.to_string().len();
            writes.push(Write::AnswerStep(Box::new(StepAnswer {
                invocation,
                sequence,
                index,
                tenant: tree.tenant.clone(),
                answer: encoded,
                // The guard of the host's own network looks when it is sent.
                refused: matches!(answer, Err(Error::Denied(_))),
                cost_micro_usd: cost,
                answered_at: at,
                active_us: Some(lineage.active_us()),
            })));
            crash::point("effect.before_answer");
            // Also while it is halted: it was had.
            tree.settle(writes).await?;
            crash::point("effect.after_answer");
            Ok(Kept {
                answer,
                at,
                bytes,
                cost,
            })
        });
        let kept = match owner.await {
            Ok(Ok(kept)) => kept,
            Ok(Err(halted)) => return Err(self.halt(halted)),
            Err(lost) => {
                let why = format!("an effect broke off: {lost}");
                return Err(self.halt(Halted::Store(StoreError::Unavailable(why))));
            }
        };
        if let Err(hit) = self.journal.count_bytes(&self.scope.limits, kept.bytes) {
            return Err(self.end(mandate_runtime::End::Limit(hit)));
        }
        self.scope.tree.add_cost(kept.cost.0);
        self.cost = self.cost.plus(kept.cost);
        self.journal.answered_at(kept.at);
        Ok(kept.answer)
    }

    /// An effect was intended, and nobody knows whether it was had: an idempotent one is had
    /// again under the same key, of any other a human says what happened. What is `refused` since
    /// it was intended is never had again.
    pub(super) async fn unknown<C: Capability>(
        &mut self,
        call: C,
        at: At,
        refused: Option<Refusal>,
    ) -> Told<Begun<C>> {
        let idempotent = at.scope.pledge.as_ref().is_some_and(|p| p.idempotent);
        if idempotent && refused.is_none() {
            return Ok(Begun::Go {
                call,
                at,
                step: None,
            });
        }
        let store = at.scope.kernel.store().clone();
        let asked = store.question_of(&at.scope.id, at.sequence, at.index).await;
        let asked = asked.map_err(|error| self.halt(error.into()))?;
        let question = match asked {
            Some(question) if question.status == QuestionStatus::Answered => {
                return self.resolved(call, at, question, refused).await;
            }
            Some(question) if question.status == QuestionStatus::Open => question.id,
            _ => {
                let question = question::<C>(&call, &at);
                let id = question.id.clone();
                let event = question_event(&question);
                let writes = vec![Write::AskQuestion(Box::new(question)), event];
                let committed = self.scope.tree.commit(writes).await;
                committed.map_err(|error| self.halt(error.into()))?;
                id
            }
        };
        let wait = Wait {
            key: WaitKey::Question(question),
            wake_at: None,
        };
        self.scope.tree.wait_for(wait, WaitReason::Answer);
        Ok(Begun::Parked)
    }

    /// A human said what happened.
    async fn resolved<C: Capability>(
        &mut self,
        call: C,
        at: At,
        question: Question,
        refused: Option<Refusal>,
    ) -> Told<Begun<C>> {
        let said = question.answer.unwrap_or_default();
        if said.get("happened") == Some(&Value::Bool(false)) {
            if let Some(refusal) = refused {
                return self.refused::<C>(&at, None, refusal).await;
            }
            // For this one time: if the host stops again before it hears the answer, nobody knows
            // again, and a human is asked again.
            let acted = vec![Write::ActOnAnswer(question.id)];
            let committed = self.scope.tree.commit(acted).await;
            committed.map_err(|error| self.halt(error.into()))?;
            return Ok(Begun::Go {
                call,
                at,
                step: None,
            });
        }
        let given = said.get("answer").filter(|answer| !answer.is_null());
        let answer: Answered<C::Answer> = match given.map(|a| serde_json::from_value(a.clone())) {
            Some(Ok(answer)) => Ok(answer),
            _ => Err(Error::Interrupted(
                "it took effect, and its answer was lost when the host stopped".to_owned(),
            )),
        };
        let told = self
            .record::<C>(
                at.sequence,
                at.index,
                None,
                answer,
                false,
                Vec::new(),
                MicroUsd::ZERO,
            )
            .await?;
        Ok(Begun::Answered(told))
    }
}

fn question<C: Capability>(call: &C, at: &At) -> Question {
    let scope = &at.scope;
    let arguments = serde_json::to_string(call).unwrap_or_default();
    let shown: String = arguments.chars().take(MOST_SHOWN).collect();
    Question {
        id: QuestionId::fresh(),
        kind: QuestionKind::UnknownEffect,
        status: QuestionStatus::Open,
        tenant: scope.tree.tenant.clone(),
        task: scope.tree.task.clone(),
        subject: scope.tree.subject.clone(),
        execution: scope.tree.execution.clone(),
        invocation: scope.id.clone(),
        sequence: at.sequence,
        index: at.index,
        plugin: scope.plugin.name().clone(),
        text: format!(
            "The host stopped after `{}` began `{}` and before it heard the answer. Did this happen? {shown}",
            scope.plugin.name(),
            C::FUNCTION
        ),
        schema: json!({
            "type": "object",
            "properties": {
                "happened": {
                    "type": "boolean",
                    "description": "true: it took effect and is not done again; false: it did not, and is done now if it is still granted"
                },
                "answer": {
                    "description": "what it answered, if that is known; the form is that of the call's answer"
                }
            },
            "required": ["happened"],
            "additionalProperties": false
        }),
        asked_at: Timestamp::now(),
        answer: None,
        answered_by: None,
        answered_at: None,
    }
}

/// Subscribers hear of a question as they hear of a decision: somebody must answer.
pub fn question_event(question: &Question) -> Write {
    Write::Event(Box::new(mandate_store::NewEvent {
        time: question.asked_at,
        kind: mandate_types::EventKind::DECISION_REQUESTED.to_owned(),
        subject: question.subject.clone(),
        task: question.task.clone(),
        tenant: question.tenant.clone(),
        data: json!({
            "question": question.id,
            "kind": question.kind,
            "sentence": question.text,
            "plugin": question.plugin,
        }),
    }))
}
