//! What subscribers are told of each stage, with a `summary` in one line. Whoever may not publish goes on in silence:
//! the record tells the same.

use incident_contract::FaultKind;
use incident_contract::incident::{
    COLLECTION, Cause, Remediation, Severity, Step, StepStatus, Triage, Verification,
};
use mandate_sdk::prelude::*;
use mandate_sdk::serde_json;

fn tell(host: &Host, id: &str, kind: &str, data: &impl Serialize) {
    if let Err(error) = host.publish(kind, Some(&format!("{COLLECTION}/{id}")), data) {
        host.warn(format!("nobody was told that {id} is {kind}: {error}"));
    }
}

#[derive(Serialize)]
struct Triaged<'a> {
    severity: Severity,
    route: &'a str,
    escalate: bool,
    summary: String,
}

/// How bad it is, and whose it is.
pub fn triaged(host: &Host, id: &str, triage: &Triage) {
    let data = Triaged {
        severity: triage.severity,
        route: &triage.route,
        escalate: triage.escalate,
        summary: format!("{} for {}", word(&triage.severity), triage.route),
    };
    tell(host, id, "triaged", &data);
}

#[derive(Serialize)]
struct Caused<'a> {
    found: bool,
    component: Option<&'a str>,
    confidence: Option<f64>,
    kind: Option<FaultKind>,
    summary: &'a str,
}

/// What the cause is, or that it was not found.
pub fn caused(host: &Host, id: &str, cause: &Cause) {
    let first = cause.ranking.first();
    let data = Caused {
        found: cause.found,
        component: first.map(|suspect| suspect.component.as_str()),
        confidence: first.map(|suspect| suspect.confidence),
        kind: cause.kind,
        summary: &cause.summary,
    };
    tell(host, id, "caused", &data);
}

#[derive(Serialize)]
struct Remediated<'a> {
    summary: &'a str,
    step: Option<&'a str>,
    waiting: usize,
}

/// What was done, and what waits.
pub fn remediated(host: &Host, id: &str, remediation: &Remediation) {
    let acted = remediation.acted_at.and(last_tried(remediation));
    let waiting = remediation
        .steps
        .iter()
        .filter(|step| step.status == StepStatus::Waiting);
    let data = Remediated {
        summary: &remediation.summary,
        step: acted.map(|step| step.tool.as_str()),
        waiting: waiting.count(),
    };
    tell(host, id, "remediated", &data);
}

/// The step that was tried last.
pub fn last_tried(remediation: &Remediation) -> Option<&Step> {
    let tried = |step: &&Step| matches!(step.status, StepStatus::Done | StepStatus::Failed);
    remediation.steps.iter().rfind(tried)
}

#[derive(Serialize)]
struct Verified<'a> {
    #[serde(flatten)]
    verification: &'a Verification,
    summary: String,
}

/// Whether it helped.
pub fn verified(host: &Host, id: &str, verification: &Verification) {
    let first = verification.checks.first().map_or("", String::as_str);
    let data = Verified {
        verification,
        summary: format!("{}: {first}", word(&verification.verdict)),
    };
    tell(host, id, "verified", &data);
}

/// As it is written in the record.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        _ => String::new(),
    }
}

#[derive(Serialize)]
struct Escalated<'a> {
    to: &'a str,
    reason: &'a str,
    severity: Option<Severity>,
    summary: String,
}

/// That a human is called.
pub fn escalated(host: &Host, id: &str, to: &str, reason: &str, severity: Option<Severity>) {
    let data = Escalated {
        to,
        reason,
        severity,
        summary: format!("to {to}: {reason}"),
    };
    tell(host, id, "escalated", &data);
}

#[derive(Serialize)]
struct Resolved<'a> {
    resolution: &'a str,
    summary: &'a str,
}

/// That it is over.
pub fn resolved(host: &Host, id: &str, resolution: &str) {
    let data = Resolved {
        resolution,
        summary: resolution,
    };
    tell(host, id, "resolved", &data);
}
