//! What the search knows at a moment.

use crate::footprint::{Footprint, is_confirmed};
use crate::weigh;
use incident_contract::incident::Symptom;
use incident_contract::ranking::{Ranking, Suspect};
use incident_contract::{Time, Window};
use std::collections::{BTreeMap, BTreeSet};

/// Suspects that are looked at; evidence for those behind them would have to be overwhelming.
pub const LOOKED_AT: usize = 3;
/// A first suspect that is so many times as likely as the second stands apart.
const APART: f64 = 2.0;

/// What was done to a component did not help: it is somebody else, or needs something else.
pub const IN_VAIN: f64 = 0.5;
/// And it is healthy, while the symptom goes on: it is somebody else.
pub const RECOVERED: f64 = 0.1;

/// What the search knows.
#[derive(Debug)]
pub struct Notebook {
    /// What is to be explained.
    pub symptom: Symptom,
    /// A time without faults, if the incident names one.
    pub baseline: Option<Window>,
    /// The confidence that suffices.
    pub enough: f64,
    /// The components to which something was done that did not help, and what that leaves of their likelihood.
    pub in_vain: BTreeMap<String, f64>,
    /// Whether it was looked how they are now.
    pub rechecked: bool,
    /// When the last other incident before this one ended.
    pub earlier: Option<Time>,
    /// Whether the time after it was ranked.
    pub went_after: bool,
    /// The best ranking so far, as it was told.
    pub ranking: Option<Ranking>,
    /// The rankings that were asked for.
    pub rankings: u32,
    /// How often it was waited for more data.
    pub waits: u32,
    /// Whether a wider time was ranked.
    pub went_wider: bool,
    /// Why there is none, when the last one failed.
    pub failure: Option<String>,
    /// What is known of components beside the ranking.
    pub footprints: BTreeMap<String, Footprint>,
    /// Names that somebody watches: components of rankings and topology.
    pub watched: BTreeSet<String>,
    /// Whether the topology's are among them, or cannot be had.
    pub knows_topology: bool,
    /// Whether it was looked at where the time is spent.
    pub saw_spans: bool,
}

impl Notebook {
    /// An empty one.
    pub fn new(symptom: Symptom, baseline: Option<Window>, enough: f64) -> Self {
        Self {
            symptom,
            baseline,
            enough,
            in_vain: BTreeMap::new(),
            rechecked: false,
            earlier: None,
            went_after: false,
            ranking: None,
            rankings: 0,
            waits: 0,
            went_wider: false,
            failure: None,
            footprints: BTreeMap::new(),
            watched: BTreeSet::new(),
            knows_topology: false,
            saw_spans: false,
        }
    }

    /// When the symptom was seen.
    pub fn seen(&self) -> Time {
        let end = self.window().map(|window| window.end);
        self.symptom.at.or(end).unwrap_or_default()
    }

    /// The time that the ranking explains.
    pub fn window(&self) -> Option<Window> {
        self.ranking.as_ref().map(|ranking| ranking.window)
    }

    /// Whether the ranking says that its first suspect explains the symptom.
    pub fn found(&self) -> bool {
        self.ranking
            .as_ref()
            .is_some_and(|ranking| ranking.found && !ranking.suspects.is_empty())
    }

    /// The suspects, weighed by what was measured beside the ranking.
    pub fn suspects(&self) -> Vec<Suspect> {
        let ranked = self
            .ranking
            .as_ref()
            .map(|ranking| ranking.suspects.as_slice());
        weigh::weigh(ranked.unwrap_or_default(), &self.footprints, &self.in_vain)
    }

    /// The names of the first suspects.
    pub fn first(&self, most: usize) -> Vec<String> {
        self.suspects()
            .into_iter()
            .take(most)
            .map(|suspect| suspect.component)
            .collect()
    }

    /// The confidence in the first suspect.
    pub fn confidence(&self) -> f64 {
        self.suspects()
            .first()
            .map_or(0.0, |suspect| suspect.confidence)
    }

    /// What is known of a component.
    pub fn footprint(&self, component: &str) -> Footprint {
        self.footprints.get(component).cloned().unwrap_or_default()
    }

    /// Whether the evidence suffices to say who it is: the first suspect is likely enough, stands apart from the
    /// second, and something beside latency and errors confirms it.
    pub fn suffices(&self) -> bool {
        let suspects = self.suspects();
        let Some(first) = suspects.first().filter(|_| self.found()) else {
            return false;
        };
        let second = suspects.get(1).map_or(0.0, |second| second.confidence);
        first.confidence >= self.enough && first.confidence >= APART * second && is_confirmed(first)
    }

    /// Where the search stands, in one line.
    pub fn standing(&self) -> String {
        let suspects = self.suspects();
        let listed: Vec<String> = suspects
            .iter()
            .take(LOOKED_AT)
            .map(|suspect| format!("`{}` {:.2}", suspect.component, suspect.confidence))
            .collect();
        match (&self.ranking, self.found()) {
            (None, _) => "There is no ranking.".to_owned(),
            (Some(_), _) if listed.is_empty() => "There are no suspects.".to_owned(),
            (Some(_), true) => format!("Suspects: {}.", listed.join(", ")),
            (Some(ranking), false) => format!(
                "Not found ({}); weak suspects: {}.",
                ranking.reason,
                listed.join(", ")
            ),
        }
    }
}
