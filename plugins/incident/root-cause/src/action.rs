//! What can be done in a turn, and what is noted of it.

use crate::complaint::{self, Complaints};
use crate::footprint::{self, Footprint};
use crate::look::{self, LOGS, Line, Logs, LogsArguments, TRACES, Traces, TracesArguments};
use crate::notebook::Notebook;
use crate::resource::{self, Resource};
use chrono::TimeDelta;
use incident_asking::monitoring::{self, METRICS, Metrics, MetricsArguments, Point};
use incident_asking::text::{line, names};
use incident_contract::Window;
use incident_contract::ranking::{RankArguments, Ranking, TOOL as RANK};
use mandate_sdk::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const SUSPECTS: u32 = 10;
/// How long is waited for more data.
const WAIT: Duration = Duration::from_secs(10);
/// Points of a resource before, and as many in the window: enough for a median, few enough for the journal.
const STEPS: i64 = 30;
const LINES: u32 = 500;
const SPANS: u32 = 500;
/// Components of which the share of time is told.
const SHOWN: usize = 6;
const NOWHERE: &str = "There is no ranking that says where to look.";
const LONGEST_OBSERVATION: usize = 900;
/// How much of the time before the window tells what is usual for a resource.
const USUAL: TimeDelta = TimeDelta::minutes(60);

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
            Self::Resources(components) => resources(host, notebook, components),
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
    let told = told(&ranking);
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

fn resources(host: &Host, notebook: &mut Notebook, components: &[String]) -> String {
    let Some(window) = notebook.window() else {
        return NOWHERE.to_owned();
    };
    let seen = notebook.seen();
    let usual = Window {
        start: window.start - USUAL,
        end: window.start,
    };
    let mut asked = Vec::new();
    let mut arguments = Vec::new();
    for component in components {
        for resource in Resource::ALL {
            for window in [usual, window] {
                asked.push((component, resource));
                arguments.push(MetricsArguments {
                    metric: resource.metric(),
                    service: component.clone(),
                    window,
                    labels: BTreeMap::new(),
                    step_seconds: step(&window),
                });
            }
        }
    }
    let mut answers: Vec<Result<Vec<Point>, Error>> = look::together(host, METRICS, &arguments)
        .into_iter()
        .map(|answer| Ok(answer?.typed::<Metrics>()?.points()))
        .collect();
    let mut failure = None;
    let mut told = Vec::new();
    for (pair, asked) in answers.chunks_mut(2).zip(asked.chunks(2)) {
        let (Some((component, resource)), [before, during]) = (asked.first(), pair) else {
            continue;
        };
        let footprint = notebook.footprints.entry((*component).clone()).or_default();
        footprint.saw_resources = true;
        match (before, during) {
            (Ok(before), Ok(during)) => {
                if let Some(movement) = resource::movement(*resource, before, during, seen) {
                    footprint.resources.insert(*resource, movement);
                }
            }
            (Err(error), _) | (_, Err(error)) => failure = Some(error.to_string()),
        }
    }
    for component in components {
        let footprint = notebook.footprint(component);
        let outside: Vec<String> = footprint
            .resources
            .iter()
            .filter(|(_, movement)| movement.outside)
            .map(|(resource, movement)| {
                format!(
                    "{} {:.2} instead of {:.2}",
                    resource.metric(),
                    movement.now,
                    movement.usual
                )
            })
            .collect();
        told.push(match (footprint.resources.is_empty(), outside.is_empty()) {
            (true, _) => format!("`{component}`: no data of its resources"),
            (false, true) => format!("`{component}`: its resources are as usual"),
            (false, false) => format!("`{component}`: {}", outside.join(", ")),
        });
    }
    noted(notebook, told, failure, "resources")
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

fn noted(
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

fn step(window: &Window) -> u64 {
    u64::try_from((window.end - window.start).num_seconds() / STEPS)
        .unwrap_or(1)
        .max(1)
}
