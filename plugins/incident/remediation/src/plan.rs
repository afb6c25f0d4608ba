//! From runbooks to steps: filled in for the component, each with its terms, and whether it may be done.

use crate::Target;
use crate::runbooks::Found;
use crate::terms::{Catalogue, Entry, Terms};
use incident_asking::text::line;
use incident_contract::Arguments;
use incident_contract::incident::{Remediation, Step, StepStatus};
use incident_contract::runbook::RunbookStep;
use mandate_sdk::serde_json::Value;

/// What stands for the cause in a runbook.
const COMPONENT: &str = "{component}";
/// Only these are done; other tools belong to somebody else.
const ACTIONS: &str = "actions.";
/// Steps of one remediation.
const MOST_STEPS: usize = 20;
const LONGEST_WHY: usize = 500;

/// The steps of the runbooks in their order, without those that are done; the tried ones first, as they are.
pub fn plan(
    found: &Found,
    target: &Target,
    catalogue: &Catalogue,
    most_cost_micro_usd: i64,
    tried: &[Step],
) -> Remediation {
    let mut steps = tried.to_vec();
    for entry in &found.runbooks {
        for wanted in &entry.runbook.steps {
            let arguments = filled(&wanted.arguments, &target.component);
            let same =
                |step: &Step| step.tool == wanted.tool && same_deed(&step.arguments, &arguments);
            if steps.len() < MOST_STEPS && !steps.iter().any(same) {
                steps.push(step(wanted, arguments, catalogue, most_cost_micro_usd));
            }
        }
    }
    Remediation {
        runbooks: found
            .runbooks
            .iter()
            .map(|entry| entry.id.clone())
            .collect(),
        steps,
        summary: String::new(),
        acted_at: None,
    }
}

fn step(wanted: &RunbookStep, arguments: Arguments, catalogue: &Catalogue, most: i64) -> Step {
    let said = Terms {
        cost_micro_usd: wanted.cost_micro_usd,
        risk: wanted.risk,
        undo: wanted.undo.clone(),
    };
    let entry = catalogue
        .as_ref()
        .ok()
        .and_then(|actions| actions.iter().find(|entry| entry.tool == wanted.tool));
    let objection = unknown(&wanted.tool, catalogue, entry);
    let terms = Terms::worse(said, entry);
    let objection = objection.or_else(|| terms.objection(most));
    Step {
        tool: wanted.tool.clone(),
        arguments,
        why: line(&wanted.why, LONGEST_WHY),
        cost_micro_usd: terms.cost_micro_usd,
        risk: terms.risk,
        undo: terms.undo,
        status: if objection.is_some() {
            StepStatus::Waiting
        } else {
            StepStatus::Proposed
        },
        outcome: objection.map(|why| format!("Not harmless: {why}.")),
    }
}

/// Whether `tool` is an action that this agent may ask for.
pub fn is_action(tool: &str, catalogue: &Catalogue) -> bool {
    let entry = catalogue
        .as_ref()
        .ok()
        .and_then(|actions| actions.iter().find(|entry| entry.tool == tool));
    unknown(tool, catalogue, entry).is_none()
}

/// Why an action cannot be judged, if it cannot.
fn unknown(tool: &str, catalogue: &Catalogue, entry: Option<&Entry>) -> Option<String> {
    if !tool.starts_with(ACTIONS) {
        return Some(format!(
            "`{}` is no action that this agent may take",
            line(tool, 100)
        ));
    }
    match (catalogue, entry) {
        (Err(why), _) => Some(format!(
            "the catalogue of actions could not be read ({})",
            line(why, 200)
        )),
        (Ok(_), None) => Some(format!("the catalogue does not know `{}`", line(tool, 100))),
        (Ok(_), Some(_)) => None,
    }
}

/// The arguments with the component in place of its mark, also within texts, lists and objects.
fn filled(arguments: &Arguments, component: &str) -> Arguments {
    arguments
        .iter()
        .map(|(name, value)| (name.clone(), fill(value, component)))
        .collect()
}

fn fill(value: &Value, component: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace(COMPONENT, component)),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| fill(item, component)).collect())
        }
        Value::Object(members) => Value::Object(filled(members, component)),
        other => other.clone(),
    }
}

/// Whether two calls of a tool do the same: the reason that is given for them does not count.
fn same_deed(one: &Arguments, other: &Arguments) -> bool {
    let deed = |arguments: &Arguments| -> Arguments {
        arguments
            .iter()
            .filter(|(name, _)| *name != "reason")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    deed(one) == deed(other)
}
