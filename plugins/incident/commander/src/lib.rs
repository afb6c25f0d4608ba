//! An agent that leads each incident: triage, cause, remediation, verification, one after the other. Every incident
//! that it takes ends resolved and verified, or with a human and the reason, whatever fails on the way.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod alerts;
mod crew;
mod desk;
mod ending;
mod flow;
mod lead;
mod tell;
mod verify;
mod watch;

use flow::{End, Flow};
use incident_asking::incident::{self, Input};
use incident_contract::FaultKind;
use incident_contract::incident::Severity;
use mandate_sdk::prelude::*;

/// What the operator may fill in.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
struct Settings {
    verify_after_seconds: u64,
    verify_checks: u32,
    most_seconds: u64,
    most_wait_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verify_after_seconds: 15,
            verify_checks: 3,
            most_seconds: 170,
            most_wait_seconds: 3_600,
        }
    }
}

/// How it went.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// The incident; empty if it was not about one.
    pub incident: String,
    /// How it ended.
    pub end: End,
    /// Why, in one line.
    pub reason: String,
    /// How bad it was, as triage saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The component that was found to be the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What it suffers from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FaultKind>,
    /// The steps that were done, in order.
    pub steps: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// The agent.
pub struct Commander;

impl Agent for Commander {
    // The event that wakes the agent fits too: its subject names the incident.
    type Input = Input;
    type Output = Output;
    const SUMMARY: &'static str = "Leads an incident: triage, root cause, remediation, verification; ends it resolved, or with a human.";

    fn run(task: Task<Input>, host: &Host) -> Result<Report<Output>, Error> {
        let settings: Settings = task.settings()?;
        if task.kind == watch::KIND {
            let output = match task.subject_in(alerts::COLLECTION) {
                Some(alert) => watch::after_alert(host, &task.id, alert, settings)?,
                None => watch::look_around(host, &task.id, settings)?,
            };
            return Ok(report(output, 1.0));
        }
        let id = incident::id(&task, task.input.incident.as_deref())?;
        let begin = host.now();
        let lead = match lead::take(host, &id, &task.id, settings.most_seconds)? {
            lead::Taken::Mine(lead) => lead,
            lead::Taken::Other(reason) => {
                return Ok(report(Output::nothing(&id, reason), 1.0));
            }
        };
        let flow = Flow::new(host, &id, settings, begin).leading(lead);
        let ended = flow.run();
        flow.leave();
        let output = ended?;
        let quality = match output.end {
            End::Resolved => 0.95,
            End::Escalated => 0.6,
            End::Nothing => 1.0,
        };
        Ok(report(output, quality))
    }
}

mandate_sdk::agent!(Commander);

impl Output {
    fn nothing(id: &str, reason: String) -> Self {
        Self {
            incident: id.to_owned(),
            end: End::Nothing,
            reason,
            severity: None,
            cause: None,
            kind: None,
            steps: Vec::new(),
            seconds: 0.0,
        }
    }
}

fn report(output: Output, quality: f64) -> Report<Output> {
    let end = match output.end {
        End::Resolved => "resolved",
        End::Escalated => "escalated",
        End::Nothing => "nothing to do",
    };
    let summary = if output.incident.is_empty() {
        output.reason.clone()
    } else {
        format!("{}: {end}. {}", output.incident, output.reason)
    };
    Report::new(output, summary).with_quality(quality)
}

#[cfg(test)]
mod tests;
