//! Answers to the questions that agents and the host ask.

use super::Approvals;
use crate::task::{commit_problem, store_problem};
use mandate_plugin::{compile_schema, validate};
use mandate_store::{CommitError, NewAct, Principal, Question, WaitKey, Write};
use mandate_types::{Act, Actor, FieldProblem, Problem, QuestionStatus, Timestamp};
use serde_json::{Value, json};

impl Approvals {
    /// Answers a question, and lets what waits for it go on. One answer counts: the first.
    ///
    /// # Errors
    /// A [`Problem`] that names the fields which are not what the question's schema says, or why
    /// nobody can answer it any more.
    pub async fn answer(
        &self,
        question: Question,
        answer: Value,
        by: &Principal,
    ) -> Result<Question, Problem> {
        if let Some(refused) = refused(&question) {
            return Err(refused);
        }
        let (schema, said) = (question.schema.clone(), answer.clone());
        let checked = tokio::task::spawn_blocking(move || check(&schema, &said)).await;
        checked.map_err(|lost| Problem::internal(lost.to_string()))??;
        let now = Timestamp::now();
        let answered = Question {
            status: QuestionStatus::Answered,
            answer: Some(answer.clone()),
            answered_by: Some(by.name.clone()),
            answered_at: Some(now),
            ..question
        };
        let id = answered.id.clone();
        let act = NewAct {
            at: now,
            actor: Actor::from(&by.name),
            act: Act::QUESTION_ANSWERED,
            subject: format!("question/{id}"),
            tenant: Some(answered.tenant.clone()),
            data: json!({
                "kind": answered.kind,
                "answer_digest": mandate_types::json::digest(&answer),
            }),
        };
        let writes = vec![
            Write::AnswerQuestion {
                id: id.clone(),
                answer,
                by: by.name.clone(),
                at: now,
            },
            Write::Audit(Box::new(act)),
            Write::Wake {
                key: WaitKey::Question(id.clone()),
                at: now,
            },
        ];
        match self.store().commit(None, writes).await {
            Ok(committed) => {
                self.tasks.woken(committed.woken).await;
                Ok(answered)
            }
            // Somebody was faster.
            Err(CommitError::Conflict(_)) => {
                let current = self.store().question(&id).await.map_err(store_problem)?;
                let refused = current.as_ref().and_then(refused);
                Err(refused.unwrap_or_else(|| Problem::conflict("the question is not open")))
            }
            Err(error) => Err(commit_problem(error)),
        }
    }
}

/// Why nobody can answer it; none if somebody can.
fn refused(question: &Question) -> Option<Problem> {
    let id = &question.id;
    match question.status {
        QuestionStatus::Open => None,
        QuestionStatus::Answered | QuestionStatus::Acted => {
            let who = question
                .answered_by
                .as_ref()
                .map_or("somebody".to_owned(), |by| format!("`{by}`"));
            let when = question
                .answered_at
                .map(|at| format!(" at {at}"))
                .unwrap_or_default();
            Some(Problem::new(
                409,
                "question-answered",
                "The question is answered already",
                format!(
                    "{who} answered it{when}; an answer stands. GET /api/v1/questions/{id} shows it"
                ),
            ))
        }
        QuestionStatus::Withdrawn => Some(Problem::new(
            409,
            "question-withdrawn",
            "The question was withdrawn",
            format!("the execution that asked {id} has ended; nobody waits for an answer any more"),
        )),
    }
}

fn check(schema: &Value, answer: &Value) -> Result<(), Problem> {
    // It was compiled when it was asked, by the same rules.
    let schema = compile_schema(schema).map_err(|error| Problem::internal(error.to_string()))?;
    validate(&schema, answer).map_err(|fields| {
        let fields = fields.into_iter().map(|problem| FieldProblem {
            field: format!("/answer{}", problem.field),
            ..problem
        });
        Problem {
            fields: fields.collect(),
            ..Problem::invalid("the answer is not what the question's schema says")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_names_its_field() {
        let schema = json!({"type": "object", "required": ["done"], "properties": {"done": {"type": "boolean"}}});
        assert_eq!(check(&schema, &json!({"done": true})), Ok(()));
        let problem = check(&schema, &json!({"done": "yes"})).unwrap_err();
        assert_eq!(problem.status, 422);
        assert_eq!(problem.fields[0].field, "/answer/done");
        assert!(check(&schema, &json!({})).is_err());
    }
}
