//! What is said about a remediation.

use crate::Target;
use crate::act::REFUSED;
use crate::runbooks::Found;
use crate::terms::dollars;
use incident_asking::model::{self, DATA_RULE, Thought, unknown_name};
use incident_asking::text::{data, line, sentence};
use incident_contract::incident::{Remediation, Step, StepStatus};
use mandate_sdk::prelude::*;

const LONGEST_SUMMARY: usize = 600;
const LONGEST_STEP: usize = 300;

/// What the model is asked for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Words {
    /// One or two sentences.
    summary: String,
}

/// What is said when nothing was done.
pub fn proposal(remediation: &Remediation, found: &Found, target: &Target, why: &str) -> String {
    let ready = count(remediation, StepStatus::Proposed);
    let waiting = count(remediation, StepStatus::Waiting);
    if ready + waiting == 0 {
        return nothing(remediation, found, target);
    }
    format!(
        "Proposed for `{}`: {ready} harmless steps and {waiting} that are not. Nothing was done: {why}.",
        target.component
    )
}

/// What is said when something was to be done.
pub fn account(remediation: &Remediation, found: &Found, target: &Target) -> String {
    let acted = remediation
        .acted_at
        .and(remediation.steps.iter().rfind(|step| is_tried(step)));
    let waiting = count(remediation, StepStatus::Waiting);
    let refused = remediation.steps.iter().find_map(|step| {
        let why = step.outcome.as_deref()?.strip_prefix(REFUSED)?;
        Some((step, why))
    });
    match (acted, refused) {
        (None, Some((step, why))) => format!(
            "{} of `{}` was refused: {}",
            step.tool,
            target.component,
            sentence(why, LONGEST_STEP)
        ),
        (Some(step), _) => format!(
            "{} of `{}`: {} Undo: {}.",
            step.tool,
            target.component,
            sentence(step.outcome.as_deref().unwrap_or("Done."), LONGEST_STEP),
            line(step.undo.as_deref().unwrap_or("not known"), LONGEST_STEP).trim_end_matches('.')
        ),
        (None, None) if waiting > 0 => format!(
            "No step is left for `{}` that may be asked for; {}.",
            target.component,
            waits(remediation)
        ),
        (None, None) => nothing(remediation, found, target),
    }
}

fn nothing(remediation: &Remediation, found: &Found, target: &Target) -> String {
    let tried = remediation
        .steps
        .iter()
        .filter(|step| is_tried(step))
        .count();
    match &found.failure {
        Some(why) => format!(
            "The runbooks could not be searched ({}).",
            line(why, LONGEST_STEP)
        ),
        None if found.runbooks.is_empty() => format!(
            "No runbook fits what is known about `{}`.",
            target.component
        ),
        None => format!(
            "All {tried} steps of the runbooks for `{}` were tried.",
            target.component
        ),
    }
}

fn waits(remediation: &Remediation) -> String {
    let waiting = remediation
        .steps
        .iter()
        .filter(|step| step.status == StepStatus::Waiting);
    let listed: Vec<String> = waiting
        .take(3)
        .map(|step| {
            let cost = step
                .cost_micro_usd
                .map_or("unknown cost".to_owned(), dollars);
            format!("{} ({cost})", step.tool)
        })
        .collect();
    format!("waiting for a human: {}", listed.join(", "))
}

fn is_tried(step: &Step) -> bool {
    matches!(step.status, StepStatus::Done | StepStatus::Failed)
}

fn count(remediation: &Remediation, status: StepStatus) -> usize {
    remediation
        .steps
        .iter()
        .filter(|step| step.status == status)
        .count()
}

/// Lets a model word the summary. It stays as it is when there is no model, or when the words name what nobody knows
/// or leave the component out.
pub fn word(host: &Host, remediation: &mut Remediation, target: &Target) {
    if remediation.steps.is_empty() {
        return;
    }
    let mut known = remediation.summary.clone();
    for step in &remediation.steps {
        let status = match step.status {
            StepStatus::Proposed => "proposed",
            StepStatus::Waiting => "waiting",
            StepStatus::Done => "done",
            StepStatus::Failed => "failed",
        };
        let outcome = step.outcome.as_deref().unwrap_or_default();
        known.push_str(&format!(
            "\n{} {status}: {} {}",
            step.tool,
            line(&step.why, LONGEST_STEP),
            line(outcome, LONGEST_STEP)
        ));
    }
    let request = Request::new(ModelClass::Fast)
        .system(format!(
            "Say in at most two sentences, for the engineer on call, what was done or is proposed and what waits for \
             him. Use only what is given, and its names. {DATA_RULE}"
        ))
        .user(format!("Component: {}\nSteps: {}", data(&target.component, 200), data(&known, 4_000)))
        .max_output_tokens(200)
        .temperature(0.0);
    match model::ask::<Words>(host, request) {
        Thought::Real(words) => {
            let words = line(&words.summary, LONGEST_SUMMARY);
            let known = format!("{known} {}", target.component);
            if unknown_name(&words, &known).is_none() && words.contains(&target.component) {
                remediation.summary = words;
            }
        }
        Thought::Simulated => {}
        Thought::None(why) => host.warn(format!("no model worded the summary: {why}")),
    }
}
