//! What else speaks about a suspect: what it uses up, what it logs, and what was changed at it shortly before. None
//! of that says by itself who is the cause; it sharpens what the calls say, and tells what the cause suffers from.

use super::deviation::{Change, change};
use super::rows::Rows;
use crate::frame::Frame;
use crate::golden::{Merge, Scope, Signal, signal};
use crate::settings::Settings;
use crate::source::Source;
use crate::window::MINUTE;
use mandate_sdk::telemetry::{Label, LogQuery, Range, Severity};
use mandate_sdk::{Error, Timestamp};
use std::collections::BTreeMap;

/// Lines of one suspect that are read.
const MOST_LINES: u32 = 300;
/// A change so long before the onset may be its reason.
const CHANGED_BEFORE: u64 = 10 * MINUTE;
/// The label that marks changes, and what it says.
const EVENT: &str = "event";
const CHANGES: [&str; 2] = ["deployment", "configuration"];
/// The label that marks what was done to a component, and what takes changes back.
const ACTION: &str = "action";
const UNDOES: &str = "roll-back";
/// A resource is busy so many standard deviations and so much of its usual above that.
const BUSY_SCORE: f64 = 4.0;
const BUSY_SHARE: f64 = 0.2;
/// No resource is known better than to this.
const LEAST_SPREAD: f64 = 0.02;
/// So many times as many error lines as before, and so many more, are more than usual.
const MORE_LINES: (f64, f64) = (3.0, 3.0);
/// How much more likely each makes a suspect.
const CHANGED: f64 = 3.0;
const BUSY: f64 = 2.0;
const LOGS_ERRORS: f64 = 1.2;

/// A deployment or a change of configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// `deployment` or `configuration`.
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// What the line says.
    pub message: String,
}

/// What else speaks about a component.
#[derive(Clone, Debug, Default)]
pub struct Circumstance {
    /// Resources that it uses up more than usual, by metric.
    pub busy: Vec<(String, Change)>,
    /// The last change near the onset.
    pub changed: Option<Changed>,
    /// Error lines in a minute in the bad rows, and before.
    pub errors: Option<(f64, f64)>,
}

impl Circumstance {
    /// How much more likely it makes the suspect.
    pub fn weight(&self) -> f64 {
        let changed = if self.changed.is_some() { CHANGED } else { 1.0 };
        let busy = if self.busy.is_empty() { 1.0 } else { BUSY };
        let errors = if self.errors.is_some() {
            LOGS_ERRORS
        } else {
            1.0
        };
        changed * busy * errors
    }
}

/// Looks at the circumstances of some components, in their order.
///
/// # Errors
/// What reading says.
pub fn of(
    suspects: &[&str],
    source: &impl Source,
    settings: &Settings,
    frame: &Frame,
    rows: &Rows,
    points_per_row: f64,
    scope: &Scope,
) -> Result<Vec<Circumstance>, Error> {
    let scope = match scope {
        Scope::All => Scope::All,
        Scope::Only(_) => Scope::Only(suspects.iter().map(|&of| of.to_owned()).collect()),
    };
    let mut found: BTreeMap<&str, Circumstance> = BTreeMap::new();
    for resource in &settings.resources {
        let names = [resource.clone()];
        let asked = Signal {
            names: &names,
            statistic: "",
            merge: Merge::Mean,
        };
        let measured = signal(source, settings, frame, &scope, asked)?;
        for suspect in suspects {
            let Some(measured) = measured.get(*suspect) else {
                continue;
            };
            let level = measured.usual.map_or(0.0, |usual| usual.median.abs());
            let least = BUSY_SHARE * level.max(LEAST_SPREAD);
            // What grows slowly is seen against the baseline, what jumps against the rows before.
            let jump = change(measured, rows, None, LEAST_SPREAD * level, points_per_row);
            let since = Rows {
                good: Vec::new(),
                ..rows.clone()
            };
            let growth = change(measured, &since, None, LEAST_SPREAD * level, points_per_row);
            let most = if measured.usual.is_some() && growth.score > jump.score {
                growth
            } else {
                jump
            };
            if most.usual.is_some() && most.score > BUSY_SCORE && most.rise > least {
                let place = found.entry(suspect).or_default();
                place.busy.push((resource.clone(), most));
            }
        }
    }
    let onset = frame.start_of(rows.onset().unwrap_or(0));
    for suspect in suspects {
        let place = found.entry(suspect).or_default();
        place.changed = changed(suspect, source, onset, frame)?;
        place.errors = errors(suspect, source, frame, rows)?;
    }
    Ok(suspects
        .iter()
        .map(|suspect| found.get(suspect).cloned().unwrap_or_default())
        .collect())
}

fn changed(
    suspect: &str,
    source: &impl Source,
    onset: Timestamp,
    frame: &Frame,
) -> Result<Option<Changed>, Error> {
    let lines = source.logs(&LogQuery {
        service: Some(suspect.to_owned()),
        at_least: None,
        text: None,
        range: Range {
            start: onset.saturating_sub(CHANGED_BEFORE),
            // What is done to end the trouble comes later and did not begin it.
            end: onset.saturating_add(frame.row),
        },
        limit: MOST_LINES,
    })?;
    // What was taken back before it began is not there any more.
    let undone = lines
        .iter()
        .filter(|line| {
            let is = |label: &Label| label.name == ACTION && label.value == UNDOES;
            line.time < onset && line.labels.iter().any(is)
        })
        .map(|line| line.time)
        .max();
    let standing = lines
        .into_iter()
        .filter(|line| undone.is_none_or(|undone| line.time > undone));
    let changes = standing.filter_map(|line| {
        let event = line.labels.iter().find(|label| label.name == EVENT)?;
        CHANGES.contains(&event.value.as_str()).then(|| Changed {
            kind: event.value.clone(),
            at: line.time,
            message: line.message.chars().take(200).collect(),
        })
    });
    Ok(changes.max_by_key(|change| change.at))
}

fn errors(
    suspect: &str,
    source: &impl Source,
    frame: &Frame,
    rows: &Rows,
) -> Result<Option<(f64, f64)>, Error> {
    let lines = source.logs(&LogQuery {
        service: Some(suspect.to_owned()),
        at_least: Some(Severity::Error),
        text: None,
        range: frame.window,
        limit: MOST_LINES,
    })?;
    let in_rows = |which: &[bool]| {
        let row_of = |time: Timestamp| {
            let at = time.saturating_sub(frame.window.start) / frame.row.max(1);
            usize::try_from(at).unwrap_or(usize::MAX)
        };
        let is = |time| which.get(row_of(time)).copied().unwrap_or(false);
        lines.iter().filter(|line| is(line.time)).count() as f64
    };
    let minutes = |which: &[bool]| {
        let count = which.iter().filter(|is| **is).count() as f64;
        (count * frame.row as f64 / MINUTE as f64).max(f64::MIN_POSITIVE)
    };
    let bad = in_rows(&rows.bad);
    let now = bad / minutes(&rows.bad);
    let before = if rows.good_rows() == 0 {
        0.0
    } else {
        in_rows(&rows.good) / minutes(&rows.good)
    };
    let more = bad >= MORE_LINES.1 && now > MORE_LINES.0 * before;
    Ok(more.then_some((now, before)))
}
