//! What can be done in a turn, and what is noted of it.

use crate::complaint::{self, Complaints};
use crate::footprint::{self, Footprint};
use crate::look::{self, LOGS, Line, Logs, LogsArguments, TRACES, Traces, TracesArguments};
use crate::measure;
use crate::notebook::Notebook;
use crate::{rank, recheck};
use incident_asking::monitoring::{self, HEALTH, METRICS};
use incident_asking::text::{line, names};
use incident_contract::Window;
use incident_contract::ranking::TOOL as RANK;
use mandate_sdk::prelude::*;

const LINES: u32 = 500;
const SPANS: u32 = 500;
/// Components of which the share of time is told.
const SHOWN: usize = 6;
/// Without a ranking there is nowhere to look.
pub const NOWHERE: &str = "There is no ranking that says where to look.";
const LONGEST_OBSERVATION: usize = 900;

/// What is done in a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Rank the suspects around the symptom.
    Rank,
    /// Rank them again after a while, for what began a moment ago.
    RankLater,
    /// Rank them over a wider time, for what began earlier or slowly.
    RankWider,
    /// Rank them over the time after another incident ended.
    RankAfter,
    /// See how those are to which something was done that did not help.
    Recheck,
    /// Look at the resources of components.
    Resources(Vec<String>),
    /// Look at the logs of components: errors and changes.
    Logs(Vec<String>),
    /// Look where the time is spent.
    Traces,
    /// Report what is known.
    Conclude,
}

impl Action {
    /// The tool that is called for it.
    pub fn tool(&self) -> &'static str {
        match self {
            Self::Rank | Self::RankLater | Self::RankWider | Self::RankAfter => RANK,
            Self::Recheck => HEALTH,
            Self::Resources(_) => METRICS,
            Self::Logs(_) => LOGS,
            Self::Traces => TRACES,
            Self::Conclude => "conclude",
        }
    }

    /// What people see of it while it runs.
    pub fn title(&self) -> String {
        let of = |what: &str, components: &[String]| {
            format!(
                "Looking at {what} of {}.",
                names(components.iter().map(String::as_str))
            )
        };
        match self {
            Self::Rank => "Ranking the suspects.".to_owned(),
            Self::RankLater => "Waiting for more data, then ranking again.".to_owned(),
            Self::RankWider => "Ranking the suspects over a wider time.".to_owned(),
            Self::RankAfter => "Ranking the suspects after the other incident.".to_owned(),
            Self::Recheck => "Looking how what was acted upon is now.".to_owned(),
            Self::Resources(components) => of("the resources", components),
            Self::Logs(components) => of("the logs", components),
            Self::Traces => "Looking where the time is spent.".to_owned(),
            Self::Conclude => "Concluding.".to_owned(),
        }
    }

    /// Does it and says what it told. What fails is noted and no end.
    pub fn perform(&self, host: &Host, notebook: &mut Notebook) -> String {
        let observation = match self {
            Self::Rank => rank::rank(host, notebook, None),
            Self::RankLater => rank::later(host, notebook),
            Self::RankWider => rank::wider(host, notebook),
            Self::RankAfter => rank::after(host, notebook),
            Self::Recheck => recheck::recheck(host, notebook),
            Self::Resources(components) => measure::resources(host, notebook, components),
            Self::Logs(components) => logs(host, notebook, components),
            Self::Traces => traces(host, notebook),
            Self::Conclude => notebook.standing(),
        };
        line(&observation, LONGEST_OBSERVATION)
    }
}

fn logs(host: &Host, notebook: &mut Notebook, components: &[String]) -> String {
    let Some(window) = notebook.window() else {
        return NOWHERE.to_owned();
    };
    let changed = footprint::when_changed(&window, notebook.seen());
    let arguments: Vec<LogsArguments> = components
        .iter()
        .map(|component| LogsArguments {
            service: component.clone(),
            window: Window {
                start: changed.start,
                end: window.end,
            },
            limit: LINES,
        })
        .collect();
    let mut failure = know_components(host, notebook);
    let mut told = Vec::new();
    for (component, answer) in components
        .iter()
        .zip(look::together(host, LOGS, &arguments))
    {
        let lines = match answer.and_then(|answer| answer.typed::<Logs>()) {
            Ok(logs) => logs.lines,
            Err(error) => {
                failure = Some(error.to_string());
                Vec::new()
            }
        };
        let complained: Vec<&Line> = lines
            .iter()
            .filter(|line| complaint::is_complaint(line) && line.time >= window.start)
            .collect();
        let complaints = Complaints::of(component, &complained, &notebook.watched);
        for accused in complaints.accused() {
            let footprint = notebook.footprints.entry(accused.clone()).or_default();
            footprint.named_by.insert(component.clone());
        }
        let footprint = notebook.footprints.entry(component.clone()).or_default();
        footprint.saw_log = true;
        footprint.changes = footprint::changes(&lines, &changed);
        footprint.complaints = complaints;
        told.push(noticed(component, footprint));
    }
    noted(told, failure, "logs")
}

/// Learns the names of all components, once; returns why it cannot.
fn know_components(host: &Host, notebook: &mut Notebook) -> Option<String> {
    if notebook.knows_topology {
        return None;
    }
    notebook.knows_topology = true;
    match monitoring::topology(host) {
        Ok(topology) => {
            notebook
                .watched
                .extend(topology.components().map(str::to_owned));
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

/// What a component's log told, in one line.
fn noticed(component: &str, footprint: &Footprint) -> String {
    let complaints = &footprint.complaints;
    let mut parts = Vec::new();
    if let Some(change) = footprint.changes.last() {
        let kind = if change.configuration {
            "configuration"
        } else {
            "deployment"
        };
        parts.push(format!("{kind} `{}`", line(&change.what, 60)));
    }
    if let Some(lost) = &complaints.lost {
        parts.push(format!("it cannot reach `{lost}`, which nobody watches"));
    }
    if let Some(example) = &complaints.example {
        parts.push(format!(
            "{} errors of its own such as “{example}”",
            complaints.own
        ));
    }
    let accused: Vec<&str> = complaints.accused().map(String::as_str).collect();
    if !accused.is_empty() {
        parts.push(format!("it complains of {}", names(accused)));
    }
    if parts.is_empty() {
        parts.push("nothing of note".to_owned());
    }
    format!("`{component}`: {}", parts.join(", "))
}

fn traces(host: &Host, notebook: &mut Notebook) -> String {
    let Some(window) = notebook.window() else {
        return NOWHERE.to_owned();
    };
    notebook.saw_spans = true;
    let arguments = TracesArguments {
        window,
        limit: SPANS,
    };
    match host.call_tool::<Traces>(TRACES, &arguments) {
        Ok(traces) if traces.spans.is_empty() => "There are no spans.".to_owned(),
        Ok(traces) => {
            let shares = look::own_time(&traces.spans);
            let listed: Vec<String> = shares
                .iter()
                .take(SHOWN)
                .map(|(component, share)| format!("`{component}` {:.0} %", share * 100.0))
                .collect();
            format!(
                "Of the time in {} spans, without waiting for others: {}.",
                traces.spans.len(),
                listed.join(", ")
            )
        }
        Err(error) => noted(Vec::new(), Some(error.to_string()), "spans"),
    }
}

/// What was told, and what could not be looked at.
pub fn noted(told: Vec<String>, failure: Option<String>, what: &str) -> String {
    match failure {
        None => format!("{}.", told.join("; ")),
        Some(why) => format!(
            "{}. Not all {what} could be looked at: {why}.",
            told.join("; ")
        ),
    }
}
