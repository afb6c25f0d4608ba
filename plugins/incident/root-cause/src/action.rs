//! What can be done in a turn, and what is noted of it.

use crate::footprint::{self, Resource};
use crate::look::{
    self, LOGS, Line, Logs, LogsArguments, METRICS, Metrics, MetricsArguments, Point, Span, TRACES,
    Traces, TracesArguments,
};
use crate::notebook::Notebook;
use chrono::TimeDelta;
use incident_asking::text::{line, names};
use incident_contract::Window;
use incident_contract::ranking::{RankArguments, Ranking, TOOL as RANK};
use mandate_sdk::prelude::*;
use std::collections::BTreeMap;

const SUSPECTS: u32 = 10;
/// Points of a resource before, and as many in the window: enough for a median, few enough for the journal.
const STEPS: i64 = 30;
const LINES: u32 = 200;
const SPANS: u32 = 200;
const LONGEST_OBSERVATION: usize = 900;
/// How much of the time before the window tells what is usual for a resource.
const USUAL: TimeDelta = TimeDelta::minutes(60);

/// What is done in a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Rank the suspects around the symptom.
    Rank,
    /// Rank them over a wider time, for what began earlier or slowly.
    RankWider,
    /// Look at the resources of components.
    Resources(Vec<String>),
    /// Look at the logs of components: errors and changes.
    Logs(Vec<String>),
    /// Look where components spend their time.
    Traces(Vec<String>),
    /// Report what is known.
    Conclude,
}

impl Action {
    /// The tool that is called for it.
    pub fn tool(&self) -> &'static str {
        match self {
            Self::Rank | Self::RankWider => RANK,
            Self::Resources(_) => METRICS,
            Self::Logs(_) => LOGS,
            Self::Traces(_) => TRACES,
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
            Self::RankWider => "Ranking the suspects over a wider time.".to_owned(),
            Self::Resources(components) => of("the resources", components),
            Self::Logs(components) => of("the logs", components),
            Self::Traces(components) => of("the spans", components),
            Self::Conclude => "Concluding.".to_owned(),
        }
    }

    /// Does it and says what it told. What fails is noted and no end.
    pub fn perform(&self, host: &Host, notebook: &mut Notebook) -> String {
        let observation = match self {
            Self::Rank => rank(host, notebook, None),
            Self::RankWider => rank(host, notebook, wider(notebook)),
            Self::Resources(components) => resources(host, notebook, components),
            Self::Logs(components) => logs(host, notebook, components),
            Self::Traces(components) => traces(host, notebook, components),
            Self::Conclude => notebook.standing(),
        };
        line(&observation, LONGEST_OBSERVATION)
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
    let Some(window) = notebook.ranking.as_ref().map(|ranking| ranking.window) else {
        return "There is no ranking that says where to look.".to_owned();
    };
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
                    aggregation: "mean",
                    step_seconds: step(&window),
                });
            }
        }
    }
    let mut answers: Vec<Result<Vec<Point>, Error>> = look::together(host, METRICS, &arguments)
        .into_iter()
        .map(|answer| answer?.typed::<Metrics>())
        .map(|answer| {
            Ok(answer?
                .series
                .into_iter()
                .flat_map(|series| series.points)
                .collect())
        })
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
                if let Some(movement) = footprint::movement(*resource, before, during) {
                    footprint.resources.insert(*resource, movement);
                }
            }
            (Err(error), _) | (_, Err(error)) => failure = Some(error.to_string()),
        }
    }
    for component in components {
        let footprint = notebook.footprint(component);
        let outside = footprint.confirmations();
        told.push(match (footprint.resources.is_empty(), outside.is_empty()) {
            (true, _) => format!("`{component}`: no data of its resources"),
            (false, true) => format!("`{component}`: its resources are as usual"),
            (false, false) => format!("`{component}`: {}", outside.join(", ")),
        });
    }
    noted(notebook, told, failure, "resources")
}

fn logs(host: &Host, notebook: &mut Notebook, components: &[String]) -> String {
    let Some(window) = notebook.ranking.as_ref().map(|ranking| ranking.window) else {
        return "There is no ranking that says where to look.".to_owned();
    };
    let window = Window {
        start: window.start - footprint::lookback(&window),
        end: window.end,
    };
    let arguments: Vec<LogsArguments> = components
        .iter()
        .map(|component| LogsArguments {
            service: component.clone(),
            at_least: None,
            window,
            limit: LINES,
        })
        .collect();
    let mut failure = None;
    let mut lines: BTreeMap<&str, Vec<Line>> = BTreeMap::new();
    for (component, answer) in components
        .iter()
        .zip(look::together(host, LOGS, &arguments))
    {
        match answer.and_then(|answer| answer.typed::<Logs>()) {
            Ok(logs) => {
                lines.insert(component, logs.lines);
            }
            Err(error) => failure = Some(error.to_string()),
        }
    }
    let mut told = Vec::new();
    for component in components {
        let Some(own) = lines.get(component.as_str()) else {
            continue;
        };
        let errors = footprint::errors(own, &window);
        let unwatched = errors
            .iter()
            .find_map(|error| peer(error, &notebook.watched));
        let named_by: Vec<String> = lines
            .iter()
            .filter(|(other, _)| **other != component)
            .filter(|(_, lines)| {
                footprint::errors(lines, &window).iter().any(|error| {
                    error.labels.values().any(|value| value == component)
                        || mentions(&error.message, component)
                })
            })
            .map(|(other, _)| (*other).to_owned())
            .collect();
        let footprint = notebook.footprints.entry(component.clone()).or_default();
        footprint.saw_log = true;
        footprint.changes = footprint::changes(own);
        footprint.errors = errors.len();
        footprint.example = footprint::example(&errors);
        footprint.unwatched = unwatched;
        footprint.named_by = named_by;
        let example = footprint
            .example
            .as_ref()
            .map(|text| format!(" such as “{text}”"))
            .unwrap_or_default();
        let change = footprint.change().map(|change| {
            let kind = if change.configuration {
                "configuration"
            } else {
                "deployment"
            };
            format!(", {kind} `{}`", line(&change.what, 60))
        });
        told.push(format!(
            "`{component}`: {} error lines{example}{}",
            footprint.errors,
            change.unwrap_or_default()
        ));
    }
    noted(notebook, told, failure, "logs")
}

fn traces(host: &Host, notebook: &mut Notebook, components: &[String]) -> String {
    let Some(window) = notebook.ranking.as_ref().map(|ranking| ranking.window) else {
        return "There is no ranking that says where to look.".to_owned();
    };
    let arguments: Vec<TracesArguments> = components
        .iter()
        .map(|component| TracesArguments {
            service: component.clone(),
            window,
            limit: SPANS,
        })
        .collect();
    let mut failure = None;
    let mut told = Vec::new();
    for (component, answer) in components
        .iter()
        .zip(look::together(host, TRACES, &arguments))
    {
        let footprint = notebook.footprints.entry(component.clone()).or_default();
        footprint.saw_spans = true;
        match answer.and_then(|answer| answer.typed::<Traces>()) {
            Ok(traces) => {
                footprint.own_time = own_time(component, &traces.spans);
                let failed = traces.spans.iter().filter(|span| span.error).count();
                let own = footprint
                    .own_time
                    .map(|share| format!(", {:.0} % of the time its own", share * 100.0));
                told.push(format!(
                    "`{component}`: {} spans, {failed} failed{}",
                    traces.spans.len(),
                    own.unwrap_or_default()
                ));
            }
            Err(error) => failure = Some(error.to_string()),
        }
    }
    noted(notebook, told, failure, "spans")
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

/// Something that an error names and that nobody watches: by a label, where there is one.
fn peer(error: &Line, watched: &std::collections::BTreeSet<String>) -> Option<String> {
    ["peer.service", "peer", "dependency", "upstream"]
        .iter()
        .find_map(|label| error.labels.get(*label))
        .filter(|name| !watched.contains(*name))
        .cloned()
}

/// Whether a message names the component, as a word of its own.
fn mentions(message: &str, component: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    !component.is_empty()
        && message.match_indices(component).any(|(at, _)| {
            let before = message.get(..at).and_then(|text| text.chars().next_back());
            let after = message
                .get(at + component.len()..)
                .and_then(|text| text.chars().next());
            !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
        })
}

/// The share of a component's time in spans that is not its callees', 0–1; none without spans.
fn own_time(component: &str, spans: &[Span]) -> Option<f64> {
    let own = spans.iter().filter(|span| span.service == component);
    let mut whole = 0_u64;
    let mut below = 0_u64;
    for span in own {
        whole = whole.saturating_add(span.duration_us);
        let children = spans
            .iter()
            .filter(|child| child.parent_id.as_deref() == Some(span.span_id.as_str()));
        let used: u64 = children
            .map(|child| child.duration_us)
            .fold(0, u64::saturating_add);
        below = below.saturating_add(used.min(span.duration_us));
    }
    (whole > 0).then(|| 1.0 - below as f64 / whole as f64)
}
