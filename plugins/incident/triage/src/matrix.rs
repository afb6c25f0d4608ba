//! Impact and urgency to severity: one table, and the rules that place an incident in it.

use crate::facts::Facts;
use incident_asking::monitoring::State;
use incident_asking::text::{line, names};
use incident_contract::incident::{Level, Severity};

/// Below this share of answered requests an entry point is down for most of its users, in percent.
const DOWN: f64 = 50.0;
/// From this share of components on, what depends on the fault is a large part of the business.
const FAR: f64 = 0.5;
/// From so many affected components on, it is no matter of one of them any more.
const MANY: usize = 3;
const LONGEST_CHECK: usize = 300;

/// A judgement, and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// From the table, raised by what was declared.
    pub severity: Severity,
    /// How much of the business it touches.
    pub impact: Level,
    /// How soon it must be looked at.
    pub urgency: Level,
    /// One fact per line.
    pub reasons: Vec<String>,
}

/// The table. Critical is kept for what takes a large part of the business down *and* is happening: whoever is
/// called at night for less will not come for more. One step less of either is one severity less.
pub fn severity(impact: Level, urgency: Level) -> Severity {
    match (impact, urgency) {
        (Level::High, Level::High) => Severity::Critical,
        (Level::High, Level::Medium) | (Level::Medium, Level::High) => Severity::High,
        (Level::High, Level::Low) | (Level::Medium, Level::Medium) | (Level::Low, Level::High) => {
            Severity::Medium
        }
        (Level::Medium, Level::Low) | (Level::Low, Level::Medium | Level::Low) => Severity::Low,
    }
}

/// Places an incident in the table.
pub fn judge(facts: &Facts) -> Judged {
    let mut reasons = Vec::new();
    let impact = impact(facts, &mut reasons);
    let urgency = urgency(facts, &mut reasons);
    let mut severity = severity(impact, urgency);
    if let Some(declared) = facts.declared.filter(|declared| *declared > severity) {
        reasons.push(format!(
            "It was reported as {}; triage does not lower that.",
            crate::name(declared)
        ));
        severity = declared;
    }
    reasons.extend(facts.missing.iter().cloned());
    Judged {
        severity,
        impact,
        urgency,
        reasons,
    }
}

/// High: users at large. Medium: some users, or more than one component; also whatever is not known. Low: a
/// component on which little depends.
fn impact(facts: &Facts, reasons: &mut Vec<String>) -> Level {
    let mut level = Level::Low;
    let mut raise = |to: Level, reason: String| {
        level = level.max(to);
        reasons.push(reason);
    };
    let entries = facts.entries();
    if let Some(availability) = facts
        .availability
        .filter(|availability| *availability < DOWN)
    {
        raise(
            Level::High,
            format!("Users get an answer to {availability:.0} % of their requests only."),
        );
    }
    if !entries.is_empty() {
        raise(
            Level::Medium,
            format!("Users come in at {}.", names(entries)),
        );
    }
    match facts.reach() {
        None => raise(
            Level::Medium,
            "Who depends on it is not known, so it counts as medium.".to_owned(),
        ),
        Some(reach) => {
            let text = format!(
                "{:.0} % of all components depend on what is affected, or are.",
                reach * 100.0
            );
            raise(
                if reach >= FAR {
                    Level::Medium
                } else {
                    Level::Low
                },
                text,
            );
        }
    }
    let affected = facts.affected.len() + facts.more_affected;
    if affected >= MANY {
        raise(Level::Medium, format!("{affected} components show it."));
    }
    level
}

/// High: it hurts now. Medium: it is there, or may be. Low: everything that was measured is as usual.
fn urgency(facts: &Facts, reasons: &mut Vec<String>) -> Level {
    let mut level = Level::Low;
    let mut raise = |to: Level, reason: String| {
        level = level.max(to);
        reasons.push(reason);
    };
    let mut measured = false;
    for health in facts.health.iter().flatten() {
        let said = health
            .checks
            .first()
            .map(|check| line(check, LONGEST_CHECK));
        let said = said.map(|check| format!(": {check}")).unwrap_or_default();
        match health.verdict {
            State::Degraded => {
                measured = true;
                let to = if facts
                    .topology
                    .as_ref()
                    .is_none_or(|topology| reaches_users(topology, &health.service))
                {
                    Level::High
                } else {
                    Level::Medium
                };
                raise(to, format!("`{}` is degraded{said}.", health.service));
            }
            State::Healthy => {
                measured = true;
                raise(
                    Level::Low,
                    format!("`{}` is as usual{said}.", health.service),
                );
            }
            State::NoData => {}
        }
    }
    if !measured {
        raise(
            Level::High,
            "How it is now is not known, so it counts as urgent.".to_owned(),
        );
    }
    let open = facts.open_alerts().count();
    if let Some(worst) = facts.open_alerts().map(|alert| alert.severity()).max() {
        let to = match worst {
            Severity::Critical | Severity::High => Level::High,
            Severity::Medium => Level::Medium,
            Severity::Low => Level::Low,
        };
        let plural = if open == 1 { "" } else { "s" };
        raise(
            to,
            format!(
                "{open} open alert{plural}, the worst {}.",
                crate::name(worst)
            ),
        );
    }
    level
}

fn reaches_users(topology: &incident_asking::monitoring::Topology, component: &str) -> bool {
    topology.is_entry(component)
        || topology
            .above(component)
            .into_iter()
            .any(|name| topology.is_entry(name))
}
