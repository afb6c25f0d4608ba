//! An agent that says how bad an incident is: facts are gathered first, a table turns impact and urgency into a
//! severity, and a model may only raise it. What is not known raises, and never lowers.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod facts;
mod matrix;
mod opinion;
mod route;

use facts::Facts;
use incident_asking::incident::{self, Input};
use incident_contract::incident::{Severity, Triage};
use mandate_sdk::prelude::*;

/// What the operator may fill in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    routes: Vec<route::Rule>,
}

/// The agent.
pub struct TriageAgent;

impl Agent for TriageAgent {
    type Input = Input;
    type Output = Triage;
    const SUMMARY: &'static str =
        "Says how bad an incident is, who has to look at it, and whether a human is told at once.";

    fn run(task: Task<Input>, host: &Host) -> Result<Report<Triage>, Error> {
        let settings: Settings = task.settings()?;
        let id = incident::id(&task, task.input.incident.as_deref())?;
        let record = incident::read(host, &id)?;

        host.progress(0.1, format!("{id}: gathering facts"));
        let facts = Facts::gather(host, &record);
        let mut judged = matrix::judge(&facts);

        host.progress(0.6, format!("{id}: {}", name(judged.severity)));
        opinion::ask(host, &record.body, &facts, &mut judged);

        let route = route::route(&settings.routes, &facts);
        judged.reasons.push(route.reason);
        let escalate = judged.severity == Severity::Critical;
        let confidence = facts.confidence();
        let triage = Triage {
            severity: judged.severity,
            impact: judged.impact,
            urgency: judged.urgency,
            route: route.to,
            escalate,
            reasons: judged.reasons,
            confidence,
        };
        let summary = summary(&triage);
        Ok(Report::new(triage, summary).with_quality(confidence))
    }
}

mandate_sdk::agent!(TriageAgent);

fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

fn summary(triage: &Triage) -> String {
    let told = if triage.escalate {
        "; a human has to be told at once"
    } else {
        ""
    };
    format!(
        "Severity {}, for {}{told}.",
        name(triage.severity),
        triage.route
    )
}

#[cfg(test)]
mod tests;
