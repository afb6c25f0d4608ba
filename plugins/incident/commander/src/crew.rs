//! The agents that the commander gives work to, and what stands in for an answer that does not come.

use incident_contract::incident::{Cause, Incident, Level, Remediation, Severity, Triage};
use mandate_sdk::prelude::*;

/// The agent that says how bad it is.
pub const TRIAGE: &str = "incident-triage";
/// The agent that searches for the cause.
pub const ROOT_CAUSE: &str = "incident-root-cause";
/// The agent that does something about it.
pub const REMEDIATION: &str = "incident-remediation";
/// Who is told when triage does not say.
pub const ANYBODY: &str = "on-call";

#[derive(Serialize)]
struct About<'a> {
    incident: &'a str,
}

#[derive(Serialize)]
struct Remedy<'a> {
    incident: &'a str,
    execute: bool,
}

/// What triage says. Without it the incident counts as high, or as bad as it was reported.
pub fn triage(host: &Host, id: &str, incident: &Incident) -> Triage {
    match host.call_agent::<Triage>(TRIAGE, &format!("Triage of {id}"), &About { incident: id }) {
        Ok(answer) => answer.output,
        Err(error) => {
            let severity = incident
                .severity
                .unwrap_or(Severity::High)
                .max(Severity::High);
            Triage {
                severity,
                impact: Level::High,
                urgency: Level::High,
                route: ANYBODY.to_owned(),
                escalate: severity == Severity::Critical,
                reasons: vec![format!(
                    "There was no triage ({error}): it counts as {} until somebody knows better.",
                    if severity == Severity::Critical {
                        "critical"
                    } else {
                        "high"
                    }
                )],
                confidence: 0.1,
            }
        }
    }
}

/// What the search for the cause says. Without it nothing was found.
pub fn cause(host: &Host, id: &str) -> Cause {
    match host.call_agent::<Cause>(
        ROOT_CAUSE,
        &format!("Root cause of {id}"),
        &About { incident: id },
    ) {
        Ok(answer) => answer.output,
        Err(error) => Cause {
            found: false,
            ranking: Vec::new(),
            kind: None,
            summary: format!("Nobody searched for the cause: {error}."),
            steps: Vec::new(),
            author: "rules".to_owned(),
        },
    }
}

/// What remediation says, or why it does not.
pub fn remediation(host: &Host, id: &str, execute: bool) -> Result<Remediation, String> {
    let title = if execute {
        format!("Remediation of {id}")
    } else {
        format!("Proposals for {id}")
    };
    host.call_agent::<Remediation>(
        REMEDIATION,
        &title,
        &Remedy {
            incident: id,
            execute,
        },
    )
    .map(|answer| answer.output)
    .map_err(|error| format!("Nobody answered for the remediation: {error}."))
}
