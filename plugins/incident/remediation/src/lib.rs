//! An agent that proposes what to do against the cause of an incident. Runbooks say what helps; the catalogue of
//! actions says what it costs. One step is done per task, the harmless ones first, so that whoever asked can verify;
//! policy or a human decides about each before it is done.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod act;
mod narrative;
mod plan;
mod runbooks;
mod terms;

use incident_asking::incident;
use incident_contract::Arguments;
use incident_contract::incident::{Cause, Incident, Remediation, Severity, Step, StepStatus};
use mandate_sdk::prelude::*;

/// What an operator lets pass as harmless, unless the settings say otherwise: $100.
const HARMLESS_MICRO_USD: i64 = 100_000_000;

/// What is to be done.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Input {
    /// The id of the incident; may be left out in a task about one.
    #[serde(default)]
    #[schemars(length(max = 128))]
    pub incident: Option<String>,
    /// False: only propose. It is never done for a critical incident, nor without a cause.
    #[serde(default = "yes")]
    pub execute: bool,
    /// Steps that are not to be done again, beside those that the incident's record says were tried.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub tried: Vec<Tried>,
}

fn yes() -> bool {
    true
}

/// A step that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tried {
    /// The tool.
    pub tool: String,
    /// What it was called with.
    pub arguments: Arguments,
}

/// What the operator may fill in.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
struct Settings {
    most_cost_micro_usd: i64,
    hour_costs_micro_usd: HourCosts,
}

/// What an hour of an incident costs, by its severity: what ending it is expected to bring.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct HourCosts {
    low: Option<i64>,
    medium: Option<i64>,
    high: Option<i64>,
    critical: Option<i64>,
}

impl HourCosts {
    fn of(self, severity: Severity) -> Option<i64> {
        match severity {
            Severity::Low => self.low,
            Severity::Medium => self.medium,
            Severity::High => self.high,
            Severity::Critical => self.critical,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            most_cost_micro_usd: HARMLESS_MICRO_USD,
            hour_costs_micro_usd: HourCosts::default(),
        }
    }
}

/// The agent.
pub struct RemediationAgent;

impl Agent for RemediationAgent {
    type Input = Input;
    type Output = Remediation;
    const SUMMARY: &'static str = "Proposes what to do against the cause of an incident, with cost, risk and undo, and does one step, if policy or a human lets it.";

    fn run(task: Task<Input>, host: &Host) -> Result<Report<Remediation>, Error> {
        let settings: Settings = task.settings()?;
        let id = incident::id(&task, task.input.incident.as_deref())?;
        let record = incident::read(host, &id)?;
        let done = already(&record.body, &task.input.tried);

        host.progress(0.1, format!("{id}: searching the runbooks"));
        let Some(target) = Target::of(&record.body) else {
            let remediation = without_target(done);
            let summary = remediation.summary.clone();
            return Ok(Report::new(remediation, summary).with_quality(0.0));
        };
        let found = runbooks::search(host, &record.body, &target);

        host.progress(
            0.4,
            format!("{id}: weighing {} runbooks", found.runbooks.len()),
        );
        let catalogue = terms::catalogue(host);
        let mut remediation = plan::plan(
            &found,
            &target,
            &catalogue,
            settings.most_cost_micro_usd,
            &done,
        );

        if let Some(why) = not_to_execute(&record.body, &task.input) {
            remediation.summary = narrative::proposal(&remediation, &found, &target, &why);
        } else {
            let case = act::Case {
                id: &id,
                incident: &record.body,
                settings: &settings,
            };
            act::one(host, &case, &catalogue, &mut remediation);
            remediation.summary = narrative::account(&remediation, &found, &target);
        }
        narrative::word(host, &mut remediation, &target);
        let summary = remediation.summary.clone();
        let quality = if remediation.steps.is_empty() {
            0.2
        } else {
            0.8
        };
        Ok(Report::new(remediation, summary).with_quality(quality))
    }
}

mandate_sdk::agent!(RemediationAgent);

/// What is to be remedied: the first suspect and what it suffers from.
#[derive(Clone, Debug, PartialEq)]
struct Target {
    component: String,
    kind: Option<incident_contract::FaultKind>,
    found: bool,
}

impl Target {
    fn of(incident: &Incident) -> Option<Self> {
        let cause: &Cause = incident.cause.as_ref()?;
        let first = cause.ranking.first()?;
        Some(Self {
            component: first.component.clone(),
            kind: cause.kind,
            found: cause.found,
        })
    }
}

/// Why nothing is done, if nothing is to be done.
fn not_to_execute(incident: &Incident, input: &Input) -> Option<String> {
    if !incident.cause.as_ref().is_some_and(|cause| cause.found) {
        return Some("the cause was not found".to_owned());
    }
    let critical = incident.severity == Some(Severity::Critical)
        || incident
            .triage
            .as_ref()
            .is_some_and(|triage| triage.escalate);
    if critical {
        return Some("it is critical, so a human decides".to_owned());
    }
    (!input.execute).then(|| "nothing was to be executed".to_owned())
}

/// The steps that were tried, as the record and the task tell.
fn already(incident: &Incident, tried: &[Tried]) -> Vec<Step> {
    let mut steps: Vec<Step> = incident
        .remediation
        .iter()
        .flat_map(|remediation| &remediation.steps)
        .filter(|step| matches!(step.status, StepStatus::Done | StepStatus::Failed))
        .cloned()
        .collect();
    for Tried { tool, arguments } in tried {
        if !steps
            .iter()
            .any(|step| step.tool == *tool && step.arguments == *arguments)
        {
            steps.push(Step {
                tool: tool.clone(),
                arguments: arguments.clone(),
                why: "It was tried before.".to_owned(),
                cost_micro_usd: None,
                risk: incident_contract::incident::Risk::Low,
                undo: None,
                status: StepStatus::Done,
                outcome: None,
            });
        }
    }
    steps
}

fn without_target(done: Vec<Step>) -> Remediation {
    Remediation {
        runbooks: Vec::new(),
        steps: done,
        summary: "There is no suspect, so there is nothing to propose.".to_owned(),
        acted_at: None,
    }
}

#[cfg(test)]
mod tests;
