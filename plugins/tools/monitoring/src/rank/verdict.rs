//! What the ranking answers: suspects in order, with confidence; whether the cause was found, and why or why not.

use super::Case;
use super::circumstance::Circumstance;
use super::deviation::Deviation;
use super::evidence::{self, FAR, Suspicion};
use super::explain::Explanation;
use super::graph::Graph;
use crate::frame::Frame;
use crate::golden::Picture;
use crate::window::told;
use incident_contract::Signal;
use incident_contract::ranking::{Ranking, Suspect};
use std::collections::BTreeMap;

/// A first suspect that is suspected less is a guess.
const FOUND_FROM: f64 = 0.3;
/// Below so many robust standard deviations a symptom cannot be told from noise. Less than what a suspect needs: that
/// there is a symptom was said by whoever asks.
const VISIBLE: f64 = 2.0;
/// Who is suspected less is no suspect.
const LEAST_SUSPICION: f64 = 0.001;
/// Nobody is ever sure.
const MOST_CONFIDENCE: f64 = 0.95;
/// More missing components are not named.
const MOST_MISSING: usize = 100;

/// Components in the order of how much they are suspected. What is suspected alike is ordered by how far it deviates:
/// never by name.
pub fn order(deviations: &[Deviation], explanation: &Explanation) -> Vec<usize> {
    let far = |of: usize| {
        deviations.get(of).map_or(0.0, |deviation| {
            deviation
                .latency
                .score
                .max(deviation.failing.score)
                .max(deviation.tail.score)
        })
    };
    let share = |of: usize| explanation.suspicion.get(of).copied().unwrap_or(0.0);
    let mut all: Vec<usize> = (0..explanation.suspicion.len())
        .filter(|of| share(*of) > LEAST_SUSPICION)
        .collect();
    all.sort_by(|a, b| {
        share(*b)
            .total_cmp(&share(*a))
            .then_with(|| far(*b).total_cmp(&far(*a)))
    });
    all
}

/// The answer.
pub fn of(
    case: &Case,
    explanation: &Explanation,
    circumstances: &[(usize, Circumstance)],
    limit: usize,
) -> Ranking {
    let symptom = case.graph.name(0);
    let order = order(&case.deviations, explanation);
    let all: f64 = explanation.suspicion.iter().sum::<f64>().max(1.0);
    // What can hardly be seen cannot be explained with confidence.
    let seen = super::deviation::belief(explanation.visible);
    let confidence = |of: usize| {
        let share = explanation.suspicion.get(of).copied().unwrap_or(0.0) / all;
        (share * seen).clamp(0.0, MOST_CONFIDENCE)
    };
    let nothing = Deviation::default();
    let deviation = |of: usize| case.deviations.get(of).unwrap_or(&nothing);
    let victims: BTreeMap<usize, usize> = explanation
        .origin_of
        .iter()
        .map(|(victim, origin)| (*origin, *victim))
        .collect();
    let below = case.graph.below(0);
    let suspects = order
        .iter()
        .take(limit)
        .map(|&of| Suspect {
            component: case.graph.name(of).to_owned(),
            confidence: confidence(of),
            evidence: evidence::of(&Suspicion {
                name: case.graph.name(of),
                symptom,
                signal: case.signal,
                deviation: deviation(of),
                at_symptom: deviation(0),
                circumstance: circumstances
                    .iter()
                    .find(|(who, _)| *who == of)
                    .map(|(_, what)| what),
                victim: victims.get(&of).map(|victim| case.graph.name(*victim)),
            }),
            path: case.graph.way(&below, of),
        })
        .collect();
    let (found, reason) = judge(case, explanation, order.first().copied(), &victims);
    Ranking {
        suspects,
        found,
        reason,
        window: told(case.frame.window),
        baseline: told(case.frame.baseline),
        missing: missing(&case.graph, |of| deviation(of).measured),
    }
}

/// Whether the first one explains the symptom, and why.
fn judge(
    case: &Case,
    explanation: &Explanation,
    first: Option<usize>,
    victims: &BTreeMap<usize, usize>,
) -> (bool, String) {
    let symptom = case.graph.name(0);
    let what = match case.signal {
        Signal::Latency => "latency",
        Signal::Availability => "availability",
    };
    let nothing = Deviation::default();
    let at = |of: usize| case.deviations.get(of).unwrap_or(&nothing);
    if explanation.visible < VISIBLE {
        let reason = format!(
            "The {what} of `{symptom}` is not clearly worse than usual in this time, so there is little to explain."
        );
        return (false, reason);
    }
    let Some(first) = first else {
        return (
            false,
            format!("Nothing that was measured explains the {what} of `{symptom}`."),
        );
    };
    let name = case.graph.name(first);
    let deviation = at(first);
    let share = explanation.suspicion.get(first).copied().unwrap_or(0.0);
    let stands_out = deviation.latency.score >= FAR
        || deviation.failing.score >= FAR
        || deviation.lost > 0.0
        || deviation.growth.is_some();
    if share < FOUND_FROM || !stands_out {
        let reason = format!(
            "Several components explain a part of the {what} of `{symptom}`, and none of them enough; `{name}` comes first."
        );
        return (false, reason);
    }
    let reason = if let (Some(victim), Some(growth)) = (victims.get(&first), deviation.growth) {
        format!(
            "`{name}` gets {growth:.1} times as many requests as usual, which is too much for `{}`.",
            case.graph.name(*victim)
        )
    } else if first == 0 {
        format!(
            "Nothing that `{symptom}` calls explains its {what}: the cause is in it, or in what nobody measures."
        )
    } else if deviation.lost > 0.0 && deviation.failing.score < FAR && deviation.latency.score < FAR
    {
        format!("Requests no longer reach `{name}`, while those that call it fail.")
    } else {
        let how = if deviation.failing.score >= FAR && case.signal == Signal::Availability {
            "fails more than usual"
        } else if deviation.latency.score >= FAR {
            "is slower than usual"
        } else {
            "deviates"
        };
        format!(
            "`{name}` {how}, which explains the {what} of `{symptom}`, and nothing that it calls explains it."
        )
    };
    (true, reason)
}

/// The answer when nothing is known about the symptom's component.
pub fn unseen(
    service: &str,
    signal: Option<Signal>,
    graph: &Graph,
    picture: &Picture,
    frame: &Frame,
) -> Ranking {
    let what = match signal {
        Some(Signal::Latency) => "latency",
        Some(Signal::Availability) => "availability",
        None => "latency and availability",
    };
    let known = |of: usize| {
        picture
            .components
            .get(graph.name(of))
            .is_some_and(|golden| {
                golden.latency.is_known() || golden.failing.is_known() || golden.requests.is_known()
            })
    };
    Ranking {
        suspects: Vec::new(),
        found: false,
        reason: format!(
            "There is no data about the {what} of `{service}` in this time: it cannot be told what is wrong, nor why."
        ),
        window: told(frame.window),
        baseline: told(frame.baseline),
        missing: missing(graph, known),
    }
}

/// Components below the symptom without data.
fn missing(graph: &Graph, known: impl Fn(usize) -> bool) -> Vec<String> {
    let mut missing: Vec<String> = graph
        .below(0)
        .into_keys()
        .filter(|of| !known(*of))
        .map(|of| graph.name(of).to_owned())
        .collect();
    missing.sort();
    missing.truncate(MOST_MISSING);
    missing
}
