//! Doing one step: a harmless one if there is one left, otherwise the first of the others. Each is asked for with what
//! speaks for it; policy or a human decides, which may take days.

use crate::Settings;
use crate::plan::is_action;
use crate::terms::Catalogue;
use incident_asking::incident::now;
use incident_asking::text::line;
use incident_contract::incident::{Incident, Remediation, Risk, Step, StepStatus};
use mandate_sdk::invoke;
use mandate_sdk::prelude::*;

const LONGEST_OUTCOME: usize = 500;
/// In characters; the host takes 4,000 bytes.
const LONGEST_WHY: usize = 900;
const LONGEST_UNDO: usize = 120;

/// What an action answers.
#[derive(Deserialize)]
struct Answer {
    done: bool,
    #[serde(default)]
    message: String,
    #[serde(default)]
    undo: Option<String>,
}

/// The incident for which something is done.
pub struct Case<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its record.
    pub incident: &'a Incident,
    /// What the operator filled in.
    pub settings: &'a Settings,
}

/// Does one step. One that says that it did nothing is followed by the next; after one that may have had an effect,
/// or that was refused, nothing more is done until somebody looked.
pub fn one(host: &Host, case: &Case<'_>, catalogue: &Catalogue, remediation: &mut Remediation) {
    for index in order(&remediation.steps, catalogue) {
        let Some(step) = remediation.steps.get_mut(index) else {
            continue;
        };
        host.progress(0.6, format!("{}: {}", case.id, step.tool));
        match host.act::<Answer>(&step.tool, &step.arguments, &reasons(case, step)) {
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
            Err(error) if is_refusal(&error) => {
                step.status = StepStatus::Waiting;
                step.outcome = Some(format!(
                    "{REFUSED}{}",
                    line(&error.to_string(), LONGEST_OUTCOME)
                ));
                return;
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

/// How the outcome of a step begins that policy or a human refused.
pub const REFUSED: &str = "Refused: ";

/// The harmless steps, then the others that are actions at all, each in the order of the runbooks.
fn order(steps: &[Step], catalogue: &Catalogue) -> Vec<usize> {
    let of = |status: StepStatus| {
        let steps = steps.iter().enumerate();
        steps.filter_map(move |(index, step)| (step.status == status).then_some((index, step)))
    };
    let others = of(StepStatus::Waiting).filter(|(_, step)| is_action(&step.tool, catalogue));
    of(StepStatus::Proposed)
        .chain(others)
        .map(|(index, _)| index)
        .collect()
}

/// What speaks for a step and against it, from triage, the search for the cause, and the runbook.
fn reasons(case: &Case<'_>, step: &Step) -> Reasons {
    let Incident {
        title,
        severity,
        cause,
        triage,
        ..
    } = case.incident;
    let first = cause.as_ref().and_then(|cause| cause.ranking.first());
    let mut why = format!("{}, “{}”.", case.id, line(title, 200));
    if let Some(cause) = cause {
        why.push_str(&format!(" {}", line(&cause.summary, 350)));
    }
    why.push_str(&format!(" {}", line(&step.why, 300)));
    let mut reasons = Reasons::because(line(&why, LONGEST_WHY)).with_risk(match step.risk {
        Risk::Low => invoke::Risk::Low,
        Risk::Medium => invoke::Risk::Medium,
        Risk::High => invoke::Risk::High,
    });
    reasons.cost = step.cost_micro_usd.filter(|cost| *cost >= 0);
    let severity = triage.as_ref().map(|triage| triage.severity).or(*severity);
    reasons.gain = severity.and_then(|severity| case.settings.hour_costs_micro_usd.of(severity));
    if let Some(first) = first {
        reasons = reasons.with_confidence(first.confidence);
    }
    match &step.undo {
        Some(undo) => reasons.undone_by(line(undo, LONGEST_UNDO)),
        None => reasons.irreversibly(),
    }
}

/// Whether policy or a human said no to the effect; what is not granted is nobody's judgement of it.
fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Denied { capability, .. } => capability == "effects",
        Error::BudgetExhausted { .. } => true,
        _ => false,
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
