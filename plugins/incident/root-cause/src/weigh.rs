//! What measured facts beside the ranking add to it. Only facts about the component itself move it: no names, and no
//! words of a model.

use crate::footprint::Footprint;
use incident_contract::ranking::{Evidence, Suspect};
use std::collections::BTreeMap;

/// A change just before the onset: most faults come with changes, and few changes come just then by chance.
const CHANGE: f64 = 2.0;
/// Memory that grows and does not come back is nobody else's doing.
const LEAK: f64 = 1.6;
/// A full pool or a busy processor can also follow from slow callees or many requests.
const RESOURCE: f64 = 1.3;
/// Errors about something unwatched: the fault is beyond it, and nearer to nobody else.
const LOST: f64 = 1.5;
/// Errors that name nobody else are its own.
const OWN_ERRORS: f64 = 1.3;
/// Others that name it in their complaints point at it, or at what is behind it.
const NAMED: f64 = 1.2;
/// Together they move a suspect by no more than this: who is far behind stays behind.
const MOST: f64 = 2.5;

/// The suspects by likelihood, with what confirms them as evidence. The sum of the confidences stays.
pub fn weigh(suspects: &[Suspect], footprints: &BTreeMap<String, Footprint>) -> Vec<Suspect> {
    let sane = |confidence: f64| {
        if confidence.is_finite() {
            confidence.clamp(0.0, 1.0)
        } else {
            0.0
        }
    };
    let before: f64 = suspects
        .iter()
        .map(|suspect| sane(suspect.confidence))
        .sum();
    let mut weighed: Vec<Suspect> = suspects
        .iter()
        .map(|suspect| {
            let mut suspect = suspect.clone();
            suspect.confidence = sane(suspect.confidence);
            if let Some(footprint) = footprints.get(&suspect.component) {
                suspect.confidence *= factor(footprint);
                suspect
                    .evidence
                    .extend(footprint.confirmations().into_iter().map(evidence));
            }
            suspect
        })
        .collect();
    let after: f64 = weighed.iter().map(|suspect| suspect.confidence).sum();
    if after > 0.0 {
        for suspect in &mut weighed {
            suspect.confidence =
                (suspect.confidence * before.min(1.0) / after * 1_000.0).round() / 1_000.0;
        }
    }
    // Stable: what is equally likely stays in the order of the ranking.
    weighed.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    weighed
}

fn factor(footprint: &Footprint) -> f64 {
    let mut factor = 1.0;
    if footprint.change().is_some() {
        factor *= CHANGE;
    }
    if footprint.leaks() {
        factor *= LEAK;
    } else if footprint.is_full() || footprint.is_busy() {
        factor *= RESOURCE;
    }
    if footprint.lost().is_some() {
        factor *= LOST;
    } else if footprint.fails_by_itself() {
        factor *= OWN_ERRORS;
    }
    if !footprint.named_by.is_empty() {
        factor *= NAMED;
    }
    factor.min(MOST)
}

fn evidence(text: String) -> Evidence {
    Evidence {
        signal: None,
        what: "looked at".to_owned(),
        usual: None,
        observed: None,
        deviation: None,
        text,
    }
}
