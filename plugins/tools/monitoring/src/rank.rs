//! Who is the likely cause of a symptom: `monitoring.rank`.

mod circumstance;
mod deviation;
mod evidence;
mod explain;
mod graph;
mod rows;
mod verdict;

use crate::frame::Frame;
use crate::golden::{self, Picture, Scope};
use crate::settings::Settings;
use crate::source::Source;
use crate::window;
pub use evidence::number;

use circumstance::Circumstance;
use deviation::Deviation;
use explain::Explanation;
use graph::Graph;
use incident_contract::ranking::{RankArguments, Ranking};
use incident_contract::{Signal, micros};
use mandate_sdk::prelude::*;
use mandate_sdk::telemetry::Range;
use rows::Rows;

/// Suspects, when nothing was said, and at most.
const SUSPECTS: u32 = 10;
const MOST_SUSPECTS: u32 = 100;
/// How many suspects are looked at more closely: each costs steps and a place in the journal.
const LOOKED_AT: usize = 6;
/// Only those that are suspected as much.
const WORTH_A_LOOK: f64 = 0.02;
/// More components or calls are too many to ask about all at once, ...
const MANY: usize = 1_000;
/// ... and then so many are asked about one by one.
const NEAREST: usize = 150;
/// A percentage of failures is never known better than to this.
const LEAST_FAILING: f64 = 0.2;
/// A latency is never known better than to this share of itself.
const LEAST_LATENCY: f64 = 0.02;

/// `monitoring.rank`.
pub struct Rank;

impl Tool for Rank {
    const NAME: &'static str = "rank";
    const SUMMARY: &'static str =
        "Ranks the components that may be the cause of a symptom, with evidence and confidence.";
    type Arguments = RankArguments;
    type Result = Ranking;

    fn call(arguments: RankArguments, context: &Context, host: &Host) -> Result<Ranking, Error> {
        let settings: Settings = context.settings()?;
        rank(&arguments, &settings, &host.telemetry(), host.now())
    }
}

/// Everything that is known about a case.
struct Case {
    graph: Graph,
    frame: Frame,
    picture: Picture,
    signal: Signal,
    rows: Rows,
    deviations: Vec<Deviation>,
}

/// Ranks the suspects.
///
/// # Errors
/// [`Error::Invalid`] for arguments that make no sense; what reading says.
pub fn rank(
    arguments: &RankArguments,
    settings: &Settings,
    source: &impl Source,
    now: Timestamp,
) -> Result<Ranking, Error> {
    let service = arguments.symptom.service.trim();
    if service.is_empty() {
        return Err(Error::invalid(
            "symptom.service: expected the name of a component",
        ));
    }
    let limit = arguments.limit.unwrap_or(SUSPECTS).clamp(1, MOST_SUSPECTS) as usize;
    let frame = frame(arguments, settings, source, now)?;
    let edges: Vec<(String, String)> = source
        .topology()?
        .into_iter()
        .map(|edge| (edge.caller, edge.callee))
        .collect();
    let (scope, picture) = picture(service, &edges, settings, source, &frame)?;
    let near = frame.near(arguments.symptom.at.map_or(now, micros));
    let graph = Graph::new(service, &edges, picture.components.keys().cloned());
    let Some((signal, rows)) = symptom(&picture, service, arguments.symptom.signal, &near) else {
        return Ok(verdict::unseen(
            service,
            arguments.symptom.signal,
            &graph,
            &picture,
            &frame,
        ));
    };
    let deviations = deviation::of_all(&picture, &graph, &rows);
    let case = Case {
        graph,
        frame,
        picture,
        signal,
        rows,
        deviations,
    };
    let mut explanation = explain::explain(&case.graph, &case.deviations, case.signal);
    let circumstances = look_closer(&case, &mut explanation, settings, source, &scope)?;
    Ok(verdict::of(&case, &explanation, &circumstances, limit))
}

/// Which time is explained, compared with which.
fn frame(
    arguments: &RankArguments,
    settings: &Settings,
    source: &impl Source,
    now: Timestamp,
) -> Result<Frame, Error> {
    let service = arguments.symptom.service.trim();
    let at = arguments.symptom.at.map_or(now, micros);
    let given = |name, window| -> Result<Option<Range>, Error> {
        Option::map(window, |window| window::given(name, window)).transpose()
    };
    let wanted = given("window", arguments.window)?;
    let baseline = given("baseline", arguments.baseline)?;
    let near = wanted.unwrap_or(Range {
        start: at.saturating_sub(window::HOUR),
        end: at.saturating_add(window::HOUR).min(now.max(at)),
    });
    let interval = window::interval(source, settings, service, near)?.unwrap_or(window::MINUTE);
    let mut window = wanted.unwrap_or_else(|| window::around(at, interval, now));
    let row = window::row(window, interval);
    if wanted.is_none() {
        // Rows that begin when measurements do: most begin at whole intervals.
        window.start -= window.start % row;
    }
    let baseline = baseline.unwrap_or_else(|| window::before(window, interval));
    Ok(Frame {
        window,
        baseline,
        row,
        interval,
    })
}

/// Reads everything at once where that is possible, else only what is at or below the symptom, the nearest first.
fn picture(
    service: &str,
    edges: &[(String, String)],
    settings: &Settings,
    source: &impl Source,
    frame: &Frame,
) -> Result<(Scope, Picture), Error> {
    let graph = Graph::new(service, edges, Vec::new());
    if edges.len() <= MANY && graph.len() <= MANY {
        match golden::read(source, settings, frame, &Scope::All) {
            // The answer would be too long: others are measured that the topology does not know.
            Err(Error::Invalid(_)) => {}
            read => return Ok((Scope::All, read?)),
        }
    }
    let below = graph.below(0);
    let nearest = (0..graph.len()).filter(|of| below.contains_key(of));
    let nearest = nearest.take(NEAREST).map(|of| graph.name(of).to_owned());
    let scope = Scope::Only(nearest.collect());
    let read = golden::read(source, settings, frame, &scope)?;
    Ok((scope, read))
}

/// What is wrong with the symptom's component, and which rows show it. Where nobody said which signal, the clearer one.
fn symptom(
    picture: &Picture,
    service: &str,
    asked: Option<Signal>,
    near: &[bool],
) -> Option<(Signal, Rows)> {
    let golden = picture.components.get(service)?;
    let rows = |signal: Signal| {
        let (measured, floor) = match signal {
            Signal::Latency => {
                let level = golden.latency.usual.map_or(0.0, |usual| usual.median);
                (&golden.latency, LEAST_LATENCY * level)
            }
            Signal::Availability => (&golden.failing, LEAST_FAILING),
        };
        Some((
            signal,
            Rows::of(measured, floor, picture.points_per_row, near)?,
        ))
    };
    let both = || {
        let all = [rows(Signal::Availability), rows(Signal::Latency)];
        let clearer = all.into_iter().flatten();
        clearer.max_by(|a, b| a.1.clarity.total_cmp(&b.1.clarity))
    };
    match asked {
        // What was asked for and never measured may still show in the other signal.
        Some(signal) => rows(signal).or_else(both),
        None => both(),
    }
}

/// Looks at what else speaks about the first suspects, and weighs them with it; what all are suspected stays.
fn look_closer(
    case: &Case,
    explanation: &mut Explanation,
    settings: &Settings,
    source: &impl Source,
    scope: &Scope,
) -> Result<Vec<(usize, Circumstance)>, Error> {
    let mut first = verdict::order(&case.deviations, explanation);
    first.retain(|of| {
        explanation
            .suspicion
            .get(*of)
            .is_some_and(|share| *share > WORTH_A_LOOK)
    });
    first.truncate(LOOKED_AT);
    let names: Vec<&str> = first.iter().map(|of| case.graph.name(*of)).collect();
    let found = circumstance::of(
        &names,
        source,
        settings,
        &case.frame,
        &case.rows,
        case.picture.points_per_row,
        scope,
    )?;
    let found: Vec<(usize, Circumstance)> = first.into_iter().zip(found).collect();
    let before: f64 = explanation.suspicion.iter().sum();
    for (of, circumstance) in &found {
        if let Some(share) = explanation.suspicion.get_mut(*of) {
            *share *= circumstance.weight();
        }
    }
    let after: f64 = explanation.suspicion.iter().sum();
    if after > 0.0 {
        for share in &mut explanation.suspicion {
            *share *= before / after;
        }
    }
    Ok(found)
}
