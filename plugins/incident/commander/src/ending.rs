//! The two ends of an incident, and what is learnt from it.

use crate::desk::{self, Stop};
use crate::tell;
use incident_asking::incident::now;
use incident_asking::text::line;
use incident_contract::FaultKind;
use incident_contract::incident::{Escalation, Incident, Status, StepStatus, Symptom};
use mandate_sdk::prelude::*;

/// The tool that keeps what was learnt.
const LEARN: &str = "knowledge.learn";
const LONGEST: usize = 500;

/// Calls a human: in the record first, then by an event.
///
/// # Errors
/// When the record cannot be written.
pub fn escalate(host: &Host, id: &str, to: &str, reason: &str) -> Result<(), Stop> {
    let reason = line(reason, LONGEST);
    let at = now(host);
    let record = desk::change(host, id, |incident| {
        incident.status = Status::Awaiting;
        incident.escalation = Some(Escalation {
            to: to.to_owned(),
            reason: reason.clone(),
            at,
        });
    })?;
    tell::escalated(host, id, to, &reason, record.body.severity);
    Ok(())
}

/// Writes that it is over, and why that is known.
///
/// # Errors
/// When the record cannot be written.
pub fn resolve(host: &Host, id: &str, resolution: &str) -> Result<Incident, Stop> {
    let resolution = line(resolution, LONGEST);
    let at = now(host);
    let record = desk::change(host, id, |incident| {
        incident.status = Status::Resolved;
        incident.resolution = Some(resolution.clone());
        incident.resolved_at = Some(at);
    })?;
    tell::resolved(host, id, &resolution);
    Ok(record.body)
}

#[derive(Serialize)]
struct Lesson<'a> {
    incident: &'a str,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    symptom: Option<&'a Symptom>,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<FaultKind>,
    steps: Vec<&'a str>,
    helped: bool,
    text: &'a str,
}

/// Lets the knowledge base learn from it. That it could not is no reason to fail.
pub fn learn(host: &Host, id: &str, incident: &Incident, helped: bool, text: &str) {
    let cause = incident.cause.as_ref().filter(|cause| cause.found);
    let done = incident
        .remediation
        .iter()
        .flat_map(|remediation| &remediation.steps)
        .filter(|step| step.status == StepStatus::Done);
    let lesson = Lesson {
        incident: id,
        title: &incident.title,
        symptom: incident.symptom.as_ref(),
        component: cause
            .and_then(|cause| cause.ranking.first())
            .map(|first| first.component.as_str()),
        kind: cause.and_then(|cause| cause.kind),
        steps: done.map(|step| step.tool.as_str()).collect(),
        helped,
        text,
    };
    if let Err(error) = host.call_tool::<mandate_sdk::serde_json::Value>(LEARN, &lesson) {
        host.warn(format!("nothing was learnt from {id}: {error}"));
    }
}
