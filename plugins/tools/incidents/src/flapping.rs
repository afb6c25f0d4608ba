//! When an alert changes so often that each change means nothing: it is then held open until it is quiet.
//! Pure: alerts in, alerts out, by the alerts' own times.

use crate::alert::{Alert, AlertStatus, MOST_CHANGES, Reported};
use chrono::TimeDelta;
use incident_contract::Time;

/// So many changes…
const CHANGES: usize = 3;
/// …within so much time are flapping.
const WITHIN: TimeDelta = TimeDelta::minutes(10);
/// After so long without a change it is over.
const QUIET: TimeDelta = TimeDelta::minutes(5);

/// The alert changed between firing and resolved, at `at`.
pub fn changed(alert: &mut Alert, at: Time) {
    alert.flaps = alert.flaps.saturating_add(1);
    alert.changes.push(at);
    let surplus = alert.changes.len().saturating_sub(MOST_CHANGES);
    alert.changes.drain(..surplus);
    let since = at - WITHIN;
    let recent = alert.changes.iter().filter(|change| **change > since);
    if recent.count() >= CHANGES {
        alert.flapping = true;
    }
}

/// Whether an alert that flaps has been quiet for long enough.
pub fn is_quiet(alert: &Alert, now: Time) -> bool {
    alert.flapping && alert.changes.last().is_none_or(|last| now - *last >= QUIET)
}

/// An alert that was quiet for long enough does not flap any more, and is what its source said last. True when
/// it is over with that.
pub fn settle(alert: &mut Alert) -> bool {
    alert.flapping = false;
    alert.changes.clear();
    let over = alert.reported == Reported::Resolved && !alert.status.is_muted();
    if over {
        alert.status = AlertStatus::Resolved;
    }
    over
}
