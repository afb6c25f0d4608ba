//! A model's second look: it may raise a severity by one step and say why, and nothing else.

use crate::facts::Facts;
use crate::matrix::Judged;
use incident_asking::model::{self, DATA_RULE, Thought};
use incident_asking::text::{data, line, list};
use incident_contract::incident::{Incident, Severity};
use mandate_sdk::prelude::*;

const LONGEST_TITLE: usize = 200;
const LONGEST_DESCRIPTION: usize = 2_000;
const LONGEST_REASON: usize = 300;
/// Shorter is no reason.
const SHORTEST_REASON: usize = 10;

/// What the model is asked for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Opinion {
    /// The severity that the facts call for.
    severity: Severity,
    /// The fact that the table does not know, in one sentence; empty if there is none.
    reason: String,
}

/// Lets a model raise the severity. What it says that is lower, or without a reason, changes nothing.
pub fn ask(host: &Host, incident: &Incident, facts: &Facts, judged: &mut Judged) {
    let request = Request::new(ModelClass::Fast)
        .system(format!(
            "You are the second pair of eyes in the triage of incidents. A table gave a severity from measured facts. \
             Say a higher one only if the text tells of harm that the facts do not show, such as lost data or lost \
             money. {DATA_RULE}"
        ))
        .user(format!(
            "Title: {}\nDescription: {}\nAffected: {}\nSeverity by the table: {}\nFacts:\n{}",
            data(&incident.title, LONGEST_TITLE),
            data(&incident.description, LONGEST_DESCRIPTION),
            data(&facts.affected.join(", "), LONGEST_DESCRIPTION),
            crate::name(judged.severity),
            list(judged.reasons.iter().map(String::as_str), LONGEST_REASON),
        ))
        .max_output_tokens(200)
        .temperature(0.0);
    match model::ask::<Opinion>(host, request) {
        Thought::Real(opinion) => raise(&opinion, judged),
        Thought::Simulated => {}
        Thought::None(why) => {
            host.warn(format!("no model had a second look: {why}"));
            judged
                .reasons
                .push("No model had a second look: rules alone decided.".to_owned());
        }
    }
}

fn raise(opinion: &Opinion, judged: &mut Judged) {
    let reason = line(&opinion.reason, LONGEST_REASON);
    if opinion.severity <= judged.severity || reason.chars().count() < SHORTEST_REASON {
        return;
    }
    judged.severity = one_step_above(judged.severity);
    judged.reasons.push(format!(
        "Raised one step to {} by a model: {reason}",
        crate::name(judged.severity)
    ));
}

fn one_step_above(severity: Severity) -> Severity {
    match severity {
        Severity::Low => Severity::Medium,
        Severity::Medium => Severity::High,
        Severity::High | Severity::Critical => Severity::Critical,
    }
}
