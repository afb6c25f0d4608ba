//! What measured facts add to the ranking. Only facts that it does not state already move it, and only facts about
//! the component itself: no names, and no words of a model.

use crate::footprint::Footprint;
use incident_contract::ranking::Suspect;
use std::collections::BTreeMap;

/// Together they move a suspect by no more than this: who is far behind stays behind.
const MOST: f64 = 2.5;
/// A component that complains of others and of nothing else is rather hurt than the cause.
const COMPLAINS_OF_OTHERS: f64 = 0.8;

/// The suspects by likelihood, with what was found as evidence. The sum of the confidences stays.
/// `in_vain` says what is left of the likelihood of components to which something was done that did not help.
pub fn weigh(
    suspects: &[Suspect],
    footprints: &BTreeMap<String, Footprint>,
    in_vain: &BTreeMap<String, f64>,
) -> Vec<Suspect> {
    let mut weighed = suspects.to_vec();
    for suspect in &mut weighed {
        suspect.confidence = sane(suspect.confidence);
    }
    let before: f64 = weighed.iter().map(|suspect| suspect.confidence).sum();
    for suspect in &mut weighed {
        if let Some(footprint) = footprints.get(&suspect.component) {
            add(suspect, footprint);
        }
        suspect.confidence *= in_vain.get(&suspect.component).unwrap_or(&1.0);
    }
    let after: f64 = weighed.iter().map(|suspect| suspect.confidence).sum();
    if after > 0.0 {
        for suspect in &mut weighed {
            let share = suspect.confidence / after;
            suspect.confidence = (share * before.min(1.0) * 1_000.0).round() / 1_000.0;
        }
    }
    // Stable: what is equally likely stays in the order of the ranking.
    weighed.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    weighed
}

fn add(suspect: &mut Suspect, footprint: &Footprint) {
    let findings = footprint.findings();
    let mut factor = 1.0;
    if findings.is_empty() && footprint.complaints.accused().next().is_some() {
        factor = COMPLAINS_OF_OTHERS;
    }
    for finding in findings {
        let known = suspect
            .evidence
            .iter()
            .any(|evidence| evidence.what == finding.evidence.what);
        if !known {
            factor *= finding.weight;
            suspect.evidence.push(finding.evidence);
        }
    }
    suspect.confidence *= factor.min(MOST);
}

fn sane(confidence: f64) -> f64 {
    if confidence.is_finite() {
        confidence.clamp(0.0, 1.0)
    } else {
        0.0
    }
}
