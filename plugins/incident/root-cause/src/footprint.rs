//! What a component shows beside latency and errors, and what that says about the kind of its fault.

use crate::complaint::Complaints;
use crate::look::Line;
use crate::resource::{Movement, Resource};
use chrono::TimeDelta;
use incident_asking::text::{line, names};
use incident_contract::ranking::{Evidence, Suspect};
use incident_contract::{FaultKind, Signal, Time, Window};
use std::collections::{BTreeMap, BTreeSet};

/// Lines of errors that may come without a fault.
const FEW: usize = 1;
const LONGEST_NAME: usize = 60;
/// What follows a change within this time followed from it.
const AT_ONCE: TimeDelta = TimeDelta::seconds(60);

/// What is said of evidence: the ranking uses the same words for what it found itself.
const DEPLOYMENT: &str = "deployment";
const CONFIGURATION: &str = "configuration";
/// The label of what was done to a component, and what takes changes back.
const ACTION: &str = "action";
const ROLL_BACK: &str = "roll-back";
const LOST: &str = "something that it depends on";
const OWN_ERRORS: &str = "errors of its own";
const COMPLAINTS: &str = "complaints of others";

/// A change just before the onset: most faults come with changes, and few changes come just then by chance.
const WEIGHT_OF_CHANGE: f64 = 2.0;
/// Memory that grows is nobody else's doing.
const WEIGHT_OF_MEMORY: f64 = 1.6;
/// A full pool or a busy processor can also follow from slow callees or many requests.
const WEIGHT_OF_RESOURCE: f64 = 1.3;
/// Errors about something unwatched: the fault is beyond it, and nearer to nobody else.
const WEIGHT_OF_LOST: f64 = 1.5;
/// Errors that name nobody else are its own.
const WEIGHT_OF_OWN_ERRORS: f64 = 1.3;
/// Others that name it in their complaints point at it, or at what is behind it.
const WEIGHT_OF_COMPLAINTS: f64 = 1.2;

/// A deployment or a change of configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When.
    pub at: Time,
    /// Whether it was a change of configuration; a deployment otherwise.
    pub configuration: bool,
    /// The version, or the key.
    pub what: String,
}

/// What is known about one component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Footprint {
    /// How its resources moved; none was looked at, or has no data.
    pub resources: BTreeMap<Resource, Movement>,
    /// What was changed near the onset.
    pub changes: Vec<Change>,
    /// What its log complains about.
    pub complaints: Complaints,
    /// The components whose complaints name it.
    pub named_by: BTreeSet<String>,
    /// Whether its resources were looked at, with or without success.
    pub saw_resources: bool,
    /// Whether its log was looked at.
    pub saw_log: bool,
}

/// A fact that speaks for a component, and how much more likely it makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The fact.
    pub evidence: Evidence,
    /// More than 1.
    pub weight: f64,
}

impl Footprint {
    /// The change that lies nearest to the onset, if there was one.
    fn change(&self) -> Option<&Change> {
        self.changes.last()
    }

    /// What speaks for it beside what the ranking measured.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut add = |what: &str, weight: f64, text: String| {
            found.push(Finding {
                evidence: Evidence {
                    signal: None,
                    what: what.to_owned(),
                    usual: None,
                    observed: None,
                    deviation: None,
                    text,
                },
                weight,
            });
        };
        if let Some(change) = self.change() {
            let (what, noun) = match change.configuration {
                true => (CONFIGURATION, "a change of its configuration"),
                false => (DEPLOYMENT, "its version"),
            };
            let name = line(&change.what, LONGEST_NAME);
            let text = format!(
                "{noun}, `{name}`, came at {}, just before",
                clock(change.at)
            );
            add(what, WEIGHT_OF_CHANGE, text);
        }
        if let Some(lost) = &self.complaints.lost {
            let name = line(lost, LONGEST_NAME);
            let text = format!("it cannot reach `{name}`, which nobody watches");
            add(LOST, WEIGHT_OF_LOST, text);
        } else if self.complaints.own > FEW {
            let example = self.complaints.example.as_deref().unwrap_or_default();
            let text = format!("its errors name nobody else: “{example}”");
            add(OWN_ERRORS, WEIGHT_OF_OWN_ERRORS, text);
        }
        if !self.named_by.is_empty() {
            let by = names(self.named_by.iter().map(String::as_str));
            add(
                COMPLAINTS,
                WEIGHT_OF_COMPLAINTS,
                format!("{by} complained of it"),
            );
        }
        let outside = self
            .resources
            .iter()
            .filter(|(_, movement)| movement.outside);
        found.extend(outside.map(|(resource, movement)| moved(*resource, movement)));
        found
    }
}

fn moved(resource: Resource, movement: &Movement) -> Finding {
    let (usual, now) = (short(movement.usual), short(movement.now));
    Finding {
        evidence: Evidence {
            signal: None,
            what: resource.metric().to_owned(),
            usual: Some(movement.usual),
            observed: Some(movement.now),
            deviation: Some(movement.deviation),
            text: format!("its {} is {now} instead of {usual}", resource.metric()),
        },
        weight: match resource {
            Resource::Memory => WEIGHT_OF_MEMORY,
            Resource::Cpu | Resource::Saturation => WEIGHT_OF_RESOURCE,
        },
    }
}

/// Whether something beside latency and errors says that the fault is in the component itself.
pub fn is_confirmed(suspect: &Suspect) -> bool {
    confirmation(suspect).is_some()
}

/// What says so first.
pub fn confirmation(suspect: &Suspect) -> Option<&Evidence> {
    let resources = Resource::ALL.map(Resource::metric);
    let confirms = |what: &str| {
        [DEPLOYMENT, CONFIGURATION, LOST, OWN_ERRORS].contains(&what) || resources.contains(&what)
    };
    suspect
        .evidence
        .iter()
        .find(|evidence| confirms(&evidence.what))
}

/// What a suspect suffers from, as its evidence tells. What began at once with a change was the change; what cannot be
/// reached explains itself; then comes an earlier change, and memory that grows. A resource counts at its limit only:
/// below that it is merely higher, as it is whenever calls take longer. What remains is what callers see.
pub fn kind(suspect: &Suspect, footprint: &Footprint, seen: Time) -> Option<FaultKind> {
    let has = |what: &str| {
        suspect
            .evidence
            .iter()
            .any(|evidence| evidence.what == what)
    };
    let at_the_limit = |resource: Resource| {
        let moved = footprint.resources.get(&resource);
        moved.is_some_and(|movement| movement.at_the_limit)
    };
    let of = |change: &Change| match change.configuration {
        true => FaultKind::Configuration,
        false => FaultKind::BadDeployment,
    };
    let change = footprint.change();
    let at_once = change.filter(|change| seen - change.at < AT_ONCE);
    let told = [
        at_once.map(of),
        has(LOST).then_some(FaultKind::DependencyLoss),
        change.map(of),
        // The ranking saw a change, and nobody looked whether it was undone since.
        (!footprint.saw_log && has(CONFIGURATION)).then_some(FaultKind::Configuration),
        (!footprint.saw_log && has(DEPLOYMENT)).then_some(FaultKind::BadDeployment),
        has(Resource::Memory.metric()).then_some(FaultKind::Leak),
        at_the_limit(Resource::Saturation).then_some(FaultKind::Saturation),
        at_the_limit(Resource::Cpu).then_some(FaultKind::Cpu),
    ];
    if let Some(kind) = told.into_iter().flatten().next() {
        return Some(kind);
    }
    let signal = suspect
        .evidence
        .iter()
        .find_map(|evidence| evidence.signal)?;
    Some(match signal {
        Signal::Latency => FaultKind::Latency,
        Signal::Availability => FaultKind::Errors,
    })
}

/// The changes among log lines that were not undone since: those with the label `event`, oldest first.
pub fn changes(lines: &[Line], when: &Window) -> Vec<Change> {
    let undone = lines
        .iter()
        .filter(|line| {
            line.labels
                .get(ACTION)
                .is_some_and(|action| action == ROLL_BACK)
        })
        .map(|line| line.time)
        .max();
    let mut found: Vec<Change> = lines
        .iter()
        .filter(|line| line.time >= when.start && line.time < when.end)
        .filter(|line| undone.is_none_or(|undone| line.time > undone))
        .filter_map(|line| {
            let configuration = match line.labels.get("event")?.as_str() {
                DEPLOYMENT => false,
                CONFIGURATION => true,
                _ => return None,
            };
            let name = line
                .labels
                .get(if configuration { "key" } else { "version" });
            Some(Change {
                at: line.time,
                configuration,
                what: name.unwrap_or(&line.message).clone(),
            })
        })
        .collect();
    found.sort_by_key(|change| change.at);
    found
}

/// When a change may have come and be the reason: in the window or in the five minutes before the symptom was seen,
/// and hardly after that.
pub fn when_changed(window: &Window, seen: Time) -> Window {
    Window {
        start: window.start.min(seen - TimeDelta::minutes(5)),
        end: window.end.min(seen + TimeDelta::minutes(1)),
    }
}

fn clock(at: Time) -> String {
    at.format("%H:%M:%S").to_string()
}

/// Three significant digits.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let digits = 2 - value.abs().log10().floor() as i32;
    format!(
        "{value:.*}",
        usize::try_from(digits.clamp(0, 6)).unwrap_or(0)
    )
}
