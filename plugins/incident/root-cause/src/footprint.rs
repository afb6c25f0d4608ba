//! What a component shows beside latency and errors, and what that says about the kind of its fault.

use crate::complaint::Complaints;
use crate::look::{Line, Point};
use chrono::TimeDelta;
use incident_asking::text::{line, names};
use incident_contract::ranking::Suspect;
use incident_contract::{FaultKind, Signal, Time, Window};
use std::collections::{BTreeMap, BTreeSet};

/// A resource is outside of its usual range from so many robust standard deviations on. Golden signals of a healthy
/// component stay within 4; resources wander more.
const OUTSIDE: f64 = 6.0;
/// And only if it changed by this share of its usual level: what is very steady deviates by nothing.
const CHANGED: f64 = 0.15;
/// From this level on (0–1), a pool, queue or quota is as good as full.
const FULL: f64 = 0.9;
/// From this level on (0–1), a processor is busy.
const BUSY: f64 = 0.85;
/// The median absolute deviation of normal noise, times this, is its standard deviation.
const MAD: f64 = 1.4826;
/// Lines of errors that may come without a fault.
const FEW: usize = 3;

/// A resource that every component has, by the name of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// How much memory it uses.
    Memory,
    /// How busy its processor is, 0–1.
    Cpu,
    /// How full its pools, queues and quotas are, 0–1.
    Saturation,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Saturation];

    /// The metric.
    pub fn metric(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Saturation => "saturation",
        }
    }
}

/// How a resource moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Movement {
    /// Median without faults.
    pub usual: f64,
    /// Median of the last third of the window.
    pub now: f64,
    /// How far outside of the usual, in robust standard deviations.
    pub deviation: f64,
    /// Whether it is outside of its usual range, in the direction that hurts.
    pub outside: bool,
    /// Whether it came to where nothing is left of it.
    pub at_the_limit: bool,
    /// Whether it still goes up.
    pub rising: bool,
}

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

impl Footprint {
    /// The change that lies nearest to the onset, if there was one.
    pub fn change(&self) -> Option<&Change> {
        self.changes.last()
    }

    fn is_outside(&self, resource: Resource) -> bool {
        self.resources
            .get(&resource)
            .is_some_and(|movement| movement.outside)
    }

    /// Whether memory grows and does not come back.
    pub fn leaks(&self) -> bool {
        self.resources
            .get(&Resource::Memory)
            .is_some_and(|movement| movement.outside && movement.rising)
    }

    /// Whether its processor is busier than usual.
    pub fn is_busy(&self) -> bool {
        self.is_outside(Resource::Cpu)
    }

    /// Whether something of it is full.
    pub fn is_full(&self) -> bool {
        self.is_outside(Resource::Saturation)
    }

    /// Whether it writes more errors of its own than a healthy component does.
    pub fn fails_by_itself(&self) -> bool {
        self.complaints.own > FEW
    }

    /// Something that it cannot reach and that nobody watches.
    pub fn lost(&self) -> Option<&str> {
        self.complaints.lost.as_deref()
    }

    /// What confirms, beside the ranking, that something is wrong with the component itself; one sentence each.
    pub fn confirmations(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(change) = self.change() {
            let what = if change.configuration {
                "configuration"
            } else {
                "version"
            };
            found.push(format!(
                "{what} `{}` came at {}, just before it began",
                line(&change.what, 60),
                clock(change.at)
            ));
        }
        for (resource, movement) in &self.resources {
            if movement.outside {
                let verb = if movement.rising { "rises" } else { "is up" };
                found.push(format!(
                    "{} {verb}: {} instead of {}",
                    resource.metric(),
                    short(movement.now),
                    short(movement.usual)
                ));
            }
        }
        if let Some(lost) = self.lost() {
            found.push(format!(
                "its errors name `{}`, which nobody watches",
                line(lost, 60)
            ));
        } else if self.fails_by_itself() {
            let example = self.complaints.example.as_deref().unwrap_or_default();
            found.push(format!(
                "it writes errors that name nobody else, such as “{example}”"
            ));
        }
        if !self.named_by.is_empty() {
            let by = names(self.named_by.iter().map(String::as_str));
            found.push(format!("{by} complained of it"));
        }
        found
    }

    /// What the component suffers from: what began with a change was the change; a resource explains what follows
    /// from it; what cannot be reached explains errors. What remains is what callers see.
    pub fn kind(&self, suspect: &Suspect) -> Option<FaultKind> {
        if let Some(change) = self.change() {
            return Some(if change.configuration {
                FaultKind::Configuration
            } else {
                FaultKind::BadDeployment
            });
        }
        if self.leaks() {
            return Some(FaultKind::Leak);
        }
        if self.lost().is_some() {
            return Some(FaultKind::DependencyLoss);
        }
        // What is at its limit explains more than what is merely higher: both rise with the load.
        let explains = |resource, at_the_limit| {
            self.resources
                .get(&resource)
                .is_some_and(|movement| movement.outside && movement.at_the_limit == at_the_limit)
        };
        for at_the_limit in [true, false] {
            if explains(Resource::Saturation, at_the_limit) {
                return Some(FaultKind::Saturation);
            }
            if explains(Resource::Cpu, at_the_limit) {
                return Some(FaultKind::Cpu);
            }
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
}

/// How a resource moved, from its points without faults and in the window; none without enough of both.
pub fn movement(resource: Resource, usual: &[Point], window: &[Point]) -> Option<Movement> {
    let before = values(usual);
    let during = values(window);
    let middle = median(&before)?;
    let spread = MAD
        * median(
            &before
                .iter()
                .map(|value| (value - middle).abs())
                .collect::<Vec<_>>(),
        )?;
    let third = during.len().div_ceil(3);
    let first = median(during.get(..third)?)?;
    let now = median(during.get(during.len() - third..)?)?;
    // Without any spread, a tenth of what counts as a change stands in for it.
    let scale = spread
        .max(middle.abs() * CHANGED / 10.0)
        .max(f64::MIN_POSITIVE);
    let deviation = ((now - middle) / scale).clamp(-1_000.0, 1_000.0);
    let changed = now - middle > middle.abs() * CHANGED;
    let at_the_limit = match resource {
        Resource::Memory => false,
        Resource::Cpu => now >= BUSY && middle < BUSY,
        Resource::Saturation => now >= FULL && middle < FULL,
    };
    Some(Movement {
        usual: middle,
        now,
        deviation,
        outside: at_the_limit || (changed && deviation > OUTSIDE),
        at_the_limit,
        rising: now - first > spread.max(middle.abs() * 0.01),
    })
}

/// The changes among log lines: those with the label `event`, oldest first.
pub fn changes(lines: &[Line], when: &Window) -> Vec<Change> {
    let mut found: Vec<Change> = lines
        .iter()
        .filter(|line| line.time >= when.start && line.time < when.end)
        .filter_map(|line| {
            let configuration = match line.labels.get("event")?.as_str() {
                "deployment" => false,
                "configuration" => true,
                _ => return None,
            };
            let what = line
                .labels
                .get(if configuration { "key" } else { "version" });
            Some(Change {
                at: line.time,
                configuration,
                what: what.unwrap_or(&line.message).clone(),
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

fn values(points: &[Point]) -> Vec<f64> {
    points
        .iter()
        .map(|point| point.value)
        .filter(|value| value.is_finite())
        .collect()
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get((sorted.len() / 2).checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
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
