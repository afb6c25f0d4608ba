//! Splitting a question into questions that can be searched for.

use mandate_sdk::prelude::*;

/// What the model is asked for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Short questions, each of which can be looked up on its own.
    pub questions: Vec<String>,
}

/// The question itself first, then up to `depth` more. Without a model it is the question alone, with a caveat.
pub fn plan(host: &Host, question: &str, depth: usize, caveats: &mut Vec<String>) -> Vec<String> {
    let request = Request::new(ModelClass::Smart)
        .system(format!(
            "You plan research in a library of articles about running operations. Split the question into at most \
             {depth} short questions that can be looked up one by one."
        ))
        .user(question)
        .max_output_tokens(400);
    let mut questions = vec![question.to_owned()];
    match host.llm().structured::<Plan>(request) {
        Ok(plan) => {
            if plan.simulated {
                caveats.push(
                    "The model is simulated: its plan and its words are not a model's.".to_owned(),
                );
            }
            for wanted in plan.value.questions {
                let wanted: String = wanted
                    .trim()
                    .chars()
                    .take(crate::LONGEST_QUESTION)
                    .collect();
                if !wanted.is_empty() && !questions.contains(&wanted) && questions.len() <= depth {
                    questions.push(wanted);
                }
            }
        }
        Err(error) => {
            host.warn(format!("no plan: {error}"));
            caveats.push(format!(
                "No model made a plan ({error}): only the question itself was searched for."
            ));
        }
    }
    questions
}
