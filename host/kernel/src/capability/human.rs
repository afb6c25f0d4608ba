//! Capability `human`: a question to people, for whose answer the execution is parked.

use super::{At, Capability, Fail, JsonText, Performed, Scope};
use crate::guest::{Guest, Told};
use crate::seam::question_event;
use mandate_plugin::compile_schema;
use mandate_policy::Refusal;
use mandate_runtime::bindings::human::human as wit;
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{Question, Wait, WaitKey, Write};
use mandate_types::{QuestionId, QuestionKind, QuestionStatus, Timestamp, WaitReason};
use serde::Serialize;

/// The most bytes of a question.
const MOST_QUESTION: usize = 8 << 10;
/// The most bytes of the schema of its answer.
const MOST_SCHEMA: usize = 64 << 10;

#[derive(Serialize)]
struct Ask {
    question: String,
    schema: JsonText,
}

impl Capability for Ask {
    const INTERFACE: &'static str = "mandate:human/human";
    const FUNCTION: &'static str = "ask";
    type Answer = String;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        scope.plugin.grant().capabilities.ask()
    }

    async fn perform(self, at: At) -> Result<Performed<String>, Fail> {
        let scope = &at.scope;
        scope.tree.note_asked();
        let asked = scope
            .kernel
            .store()
            .question_of(&scope.id, at.sequence, at.index)
            .await?;
        let id = match asked {
            Some(question) if question.status == QuestionStatus::Answered => {
                let answer = question.answer.unwrap_or_default();
                return Ok(Performed::read(answer.to_string()));
            }
            Some(question) if question.status == QuestionStatus::Open => question.id,
            _ => {
                let question = self.question(&at)?;
                let (id, event) = (question.id.clone(), question_event(&question));
                let writes = vec![Write::AskQuestion(Box::new(question)), event];
                scope
                    .tree
                    .commit(writes)
                    .await
                    .map_err(crate::Halted::from)?;
                id
            }
        };
        let wait = Wait {
            key: WaitKey::Question(id),
            wake_at: None,
        };
        Err(Fail::Park(wait, WaitReason::Answer))
    }
}

impl Ask {
    /// As it is kept, if it can be asked.
    fn question(self, at: &At) -> Result<Question, Error> {
        let invalid = |reason: String| Err(Error::Invalid(reason));
        if self.question.trim().is_empty() || self.question.len() > MOST_QUESTION {
            let bytes = self.question.len();
            return invalid(format!(
                "question: has {bytes} bytes; expected 1–{MOST_QUESTION}"
            ));
        }
        let schema = self.schema.value("schema")?;
        let bytes = schema.to_string().len();
        if bytes > MOST_SCHEMA {
            return invalid(format!(
                "schema: has {bytes} bytes; the most is {MOST_SCHEMA}"
            ));
        }
        if let Err(error) = compile_schema(&schema) {
            return invalid(format!("schema: {error}"));
        }
        let scope = &at.scope;
        Ok(Question {
            id: QuestionId::fresh(),
            kind: QuestionKind::Ask,
            status: QuestionStatus::Open,
            tenant: scope.tree.tenant.clone(),
            task: scope.tree.task.clone(),
            subject: scope.tree.subject.clone(),
            execution: scope.tree.execution.clone(),
            invocation: scope.id.clone(),
            sequence: at.sequence,
            index: at.index,
            plugin: scope.plugin.name().clone(),
            text: self.question,
            schema,
            asked_at: Timestamp::now(),
            answer: None,
            answered_by: None,
            answered_at: None,
        })
    }
}

impl wit::Host for Guest {
    async fn ask(&mut self, question: String, schema: String) -> Told<Result<String, Error>> {
        self.step(Ask {
            question,
            schema: JsonText::new(schema),
        })
        .await
    }
}
