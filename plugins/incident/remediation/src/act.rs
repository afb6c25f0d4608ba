//! Doing one harmless step.

use incident_asking::incident::now;
use incident_asking::text::line;
use incident_contract::incident::{Remediation, StepStatus};
use mandate_sdk::prelude::*;

const LONGEST_OUTCOME: usize = 500;

/// What an action answers.
#[derive(Deserialize)]
struct Answer {
    done: bool,
    #[serde(default)]
    message: String,
    #[serde(default)]
    undo: Option<String>,
}

/// Does the first step that may be done. One that says that it did nothing is followed by the next; after one that
/// may have had an effect, nothing more is done until somebody looked.
pub fn one(host: &Host, incident: &str, remediation: &mut Remediation) {
    for step in &mut remediation.steps {
        if step.status != StepStatus::Proposed {
            continue;
        }
        host.progress(0.6, format!("{incident}: {}", step.tool));
        match host.call_tool::<Answer>(&step.tool, &step.arguments) {
            Ok(answer) => {
                step.outcome = Some(line(&answer.message, LONGEST_OUTCOME));
                if answer.done {
                    step.status = StepStatus::Done;
                    step.undo = answer.undo.or(step.undo.take());
                    remediation.acted_at = Some(now(host));
                    return;
                }
                step.status = StepStatus::Failed;
            }
            Err(error) => {
                step.status = StepStatus::Failed;
                step.outcome = Some(line(&error.to_string(), LONGEST_OUTCOME));
                if may_have_happened(&error) {
                    remediation.acted_at = Some(now(host));
                    return;
                }
            }
        }
    }
}

/// Whether a call that ended with this error may have had its effect. What refuses in so many words did nothing.
fn may_have_happened(error: &Error) -> bool {
    match error {
        Error::Interrupted(_) | Error::Unavailable { .. } => true,
        Error::Failed { retryable, .. } => *retryable,
        Error::Denied { .. }
        | Error::BudgetExhausted { .. }
        | Error::Invalid(_)
        | Error::NotFound(_)
        | Error::Conflict(_) => false,
    }
}
