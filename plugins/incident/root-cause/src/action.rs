//! What can be done in a turn, and what is noted of it.

use crate::complaint::{self, Complaints};
use crate::footprint::{self, Footprint};
use crate::look::{self, LOGS, Line, Logs, LogsArguments, TRACES, Traces, TracesArguments};
use crate::measure;
use crate::notebook::Notebook;
use incident_asking::monitoring::{self, METRICS};
use incident_asking::text::{line, names};
use incident_contract::Window;
use incident_contract::ranking::{RankArguments, Ranking, TOOL as RANK};
use mandate_sdk::prelude::*;
use std::time::Duration;

const SUSPECTS: u32 = 10;
/// How long is waited for more data.
const WAIT: Duration = Duration::from_secs(10);
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
            Self::Rank | Self::RankLater | Self::RankWider => RANK,
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
            Self::Resources(components) => of("the resources", components),
            Self::Logs(components) => of("the logs", components),
            Self::Traces => "Looking where the time is spent.".to_owned(),
            Self::Conclude => "Concluding.".to_owned(),
        }
    }

    /// Does it and says what it told. What fails is noted and no end.
    pub fn perform(&self, host: &Host, notebook: &mut Notebook) -> String {
        let observation = match self {
            Self::Rank => rank(host, notebook, None),
            Self::RankLater => later(host, notebook),
            Self::RankWider => {
                notebook.went_wider = true;
                rank(host, notebook, wider(notebook))
            }
            Self::Resources(components) => measure::resources(host, notebook, components),
            Self::Logs(components) => logs(host, notebook, components),
            Self::Traces => traces(host, notebook),
            Self::Conclude => notebook.standing(),
        };
        line(&observation, LONGEST_OBSERVATION)
    }
}

fn later(host: &Host, notebook: &mut Notebook) -> String {
    notebook.waits += 1;
    match host.sleep(WAIT) {
        Ok(()) => rank(host, notebook, None),
        Err(error) => format!("Waiting was refused: {error}."),
    }
}

/// From as much earlier as the window was long, up to the same end.
fn wider(notebook: &Notebook) -> Option<Window> {
    let window = notebook.ranking.as_ref()?.window;
    let length = window.end - window.start;
    Some(Window {
        start: window.start.checked_sub_signed(length)?,
        end: window.end,
    })
}

fn rank(host: &Host, notebook: &mut Notebook, window: Option<Window>) -> String {
    notebook.rankings += 1;
    let arguments = RankArguments {
        symptom: notebook.symptom.clone(),
        window,
        baseline: notebook.baseline,
        limit: Some(SUSPECTS),
    };
    let ranking = match look::rank(host, &arguments) {
        Ok(ranking) => ranking,
        Err(error) => {
            let why = format!("The suspects could not be ranked: {error}.");
            notebook.failure = Some(why.clone());
            return why;
        }
    };
    notebook.failure = None;
    for suspect in &ranking.suspects {
        notebook.watched.insert(suspect.component.clone());
        notebook.watched.extend(suspect.path.iter().cloned());
    }
    notebook.watched.extend(ranking.missing.iter().cloned());
    let mut told = told(&ranking);
    let in_vain = notebook.in_vain.iter().map(String::as_str);
    if !notebook.in_vain.is_empty() {
        told.push_str(&format!(
            " What was done to {} did not help.",
            names(in_vain)
        ));
    }
    let better = notebook
        .ranking
        .as_ref()
        .is_none_or(|old| !old.found && ranking.found);
    if better {
        notebook.ranking = Some(ranking);
    }
    told
}

fn told(ranking: &Ranking) -> String {
    let suspects: Vec<String> = ranking
        .suspects
        .iter()
        .take(5)
        .map(|suspect| {
            let why = suspect
                .evidence
                .first()
                .map(|evidence| format!(" ({})", line(&evidence.text, 120)));
            format!(
                "`{}` {:.2}{}",
                suspect.component,
                suspect.confidence,
                why.unwrap_or_default()
            )
        })
        .collect();
    let found = if ranking.found { "found" } else { "not found" };
    let missing = match ranking.missing.len() {
        0 => String::new(),
        number => format!(" No data of {number} components on its paths."),
    };
    format!(
        "{found}: {} {}.{missing}",
        ranking.reason,
        suspects.join("; ")
    )
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
    noted(notebook, told, failure, "logs")
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
        Err(error) => noted(notebook, Vec::new(), Some(error.to_string()), "spans"),
    }
}

/// What was told, and what could not be looked at: that is a gap in the evidence.
pub fn noted(
    notebook: &mut Notebook,
    told: Vec<String>,
    failure: Option<String>,
    what: &str,
) -> String {
    match failure {
        None => format!("{}.", told.join("; ")),
        Some(why) => {
            notebook
                .gaps
                .push(format!("Not all {what} could be looked at: {why}."));
            format!(
                "{}. Not all {what} could be looked at: {why}.",
                told.join("; ")
            )
        }
    }
}
