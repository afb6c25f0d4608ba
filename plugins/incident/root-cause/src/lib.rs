//! An agent that searches for the cause of an incident. It reasons, acts through the tools of `monitoring` and
//! observes, turn by turn, until the evidence suffices or its budget ends; every turn is in its report. Rules can do
//! the whole search; a model may choose what to look at and word the summary, and its word is no evidence.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod action;
mod chooser;
mod complaint;
mod footprint;
mod history;
mod look;
mod measure;
mod narrative;
mod notebook;
mod rank;
mod reasoner;
mod recheck;
mod resource;
mod weigh;

use action::Action;
use chooser::Chooser;
use incident_asking::incident::{self, Input};
use incident_contract::incident::{Cause, Investigation};
use mandate_sdk::prelude::*;
use notebook::Notebook;

/// What the operator may fill in.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
struct Settings {
    most_turns: u32,
    most_seconds: u64,
    enough_confidence: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            most_turns: 8,
            most_seconds: 45,
            enough_confidence: 0.6,
        }
    }
}

/// The agent.
pub struct RootCause;

impl Agent for RootCause {
    type Input = Input;
    type Output = Cause;
    const SUMMARY: &'static str = "Searches for the cause of an incident: a ranking of components with evidence, or that it was not found.";

    fn run(task: Task<Input>, host: &Host) -> Result<Report<Cause>, Error> {
        let settings: Settings = task.settings()?;
        let id = incident::id(&task, task.input.incident.as_deref())?;
        let record = incident::read(host, &id)?;
        let Some(symptom) = incident::symptom(&record) else {
            let cause = narrative::nothing_to_look_at();
            let summary = cause.summary.clone();
            return Ok(Report::new(cause, summary).with_quality(0.0));
        };
        let mut notebook = Notebook::new(symptom, record.body.baseline, settings.enough_confidence);
        history::read(host, &record, &mut notebook);
        let mut steps = Vec::new();
        let chooser = search(
            host,
            &record.body.title,
            settings,
            &mut notebook,
            &mut steps,
        );
        let cause = narrative::report(host, &notebook, steps, &chooser);
        let summary = cause.summary.clone();
        let quality = if cause.found {
            notebook.confidence()
        } else {
            0.0
        };
        Ok(Report::new(cause, summary).with_quality(quality))
    }
}

mandate_sdk::agent!(RootCause);

/// Turn by turn, until somebody concludes or the budget ends.
fn search(
    host: &Host,
    title: &str,
    settings: Settings,
    notebook: &mut Notebook,
    steps: &mut Vec<Investigation>,
) -> Chooser {
    let mut chooser = Chooser::new(title);
    let begin = host.now();
    let budget = settings.most_seconds.saturating_mul(1_000_000);
    for turn in 1..=settings.most_turns {
        if host.now().saturating_sub(begin) > budget {
            steps.push(ended(format!(
                "the {} seconds for it are used up",
                settings.most_seconds
            )));
            return chooser;
        }
        let (action, reason) = chooser.next(host, notebook, steps);
        if action == Action::Conclude {
            steps.push(Investigation {
                reason,
                action: action.tool().to_owned(),
                observation: notebook.standing(),
            });
            return chooser;
        }
        host.progress(
            f64::from(turn) / f64::from(settings.most_turns + 1),
            format!("{reason} {}", action.title()),
        );
        let observation = action.perform(host, notebook);
        steps.push(Investigation {
            reason,
            action: action.tool().to_owned(),
            observation,
        });
    }
    steps.push(ended(format!(
        "its {} turns are used up",
        settings.most_turns
    )));
    chooser
}

fn ended(why: String) -> Investigation {
    Investigation {
        reason: format!("The search ends here: {why}."),
        action: Action::Conclude.tool().to_owned(),
        observation: "What is known by now is reported.".to_owned(),
    }
}

#[cfg(test)]
mod tests;
