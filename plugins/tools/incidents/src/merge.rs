//! What a notification makes of the alert that is known. Pure.

use crate::alert::{Alert, AlertStatus, Reported};
use crate::flapping;
use crate::notification::Notification;
use incident_contract::Time;
use mandate_sdk::prelude::*;

/// What came of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An alert that was not known.
    New,
    /// Said before: it was counted.
    Repeated,
    /// It was over, and is there again.
    Reopened,
    /// It is over.
    Resolved,
    /// The source says that it is over, and it is held open: it changes too often.
    Held,
    /// It was over before anybody heard of it.
    Missed,
    /// Nothing is known that could be over.
    Ignored,
}

/// An alert after a notification.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// As it is to be kept; none when there is nothing to keep.
    pub alert: Option<Alert>,
    /// What came of it.
    pub outcome: Outcome,
    /// Whether an alert that was held open had been over before.
    pub settled: bool,
}

/// The alert after a notification that came at `now`.
pub fn merge(known: Option<Alert>, said: &Notification, source: &str, now: Time) -> Merged {
    // The clocks of sources are their own: nothing begins or ends later than now.
    let starts_at = said.starts_at.map(|at| at.min(now));
    let ends_at = said.ends_at.map(|at| at.min(now));
    let Some(mut alert) = known else {
        let (outcome, alert) = match (said.reported, starts_at) {
            (Reported::Firing, _) => (Outcome::New, Some(begun(said, source, now))),
            (Reported::Resolved, Some(_)) => (Outcome::Missed, Some(begun(said, source, now))),
            (Reported::Resolved, None) => (Outcome::Ignored, None),
        };
        return Merged {
            alert,
            outcome,
            settled: false,
        };
    };
    let settled = flapping::is_quiet(&alert, now) && flapping::settle(&mut alert);
    alert.count = alert.count.saturating_add(1);
    alert.last_seen_at = now;
    let late = match said.reported {
        Reported::Firing => starts_at.is_some_and(|at| at < alert.starts_at),
        // Who says only when it ended speaks of what began before.
        Reported::Resolved => starts_at.or(ends_at).is_some_and(|at| at < alert.starts_at),
    };
    let outcome = match (said.reported, alert.reported) {
        _ if late => Outcome::Repeated,
        (Reported::Firing, Reported::Firing) => {
            // The end of the time before was missed.
            alert.starts_at = starts_at.unwrap_or(alert.starts_at);
            Outcome::Repeated
        }
        (Reported::Firing, Reported::Resolved) => {
            if starts_at.is_some_and(|at| at == alert.starts_at) {
                Outcome::Repeated
            } else {
                fire(&mut alert, starts_at.unwrap_or(now))
            }
        }
        (Reported::Resolved, Reported::Resolved) => Outcome::Repeated,
        (Reported::Resolved, Reported::Firing) => {
            let at = ends_at.unwrap_or(now).max(alert.starts_at);
            resolve(&mut alert, at)
        }
    };
    if !late {
        describe(&mut alert, said);
    }
    Merged {
        alert: Some(alert),
        outcome,
        settled,
    }
}

fn fire(alert: &mut Alert, at: Time) -> Outcome {
    alert.reported = Reported::Firing;
    alert.starts_at = at;
    alert.ends_at = None;
    flapping::changed(alert, at);
    if alert.status == AlertStatus::Resolved {
        alert.status = AlertStatus::Firing;
        return Outcome::Reopened;
    }
    // Held open, or muted: nobody was told that it was over.
    Outcome::Repeated
}

fn resolve(alert: &mut Alert, at: Time) -> Outcome {
    alert.reported = Reported::Resolved;
    alert.ends_at = Some(at);
    flapping::changed(alert, at);
    if alert.flapping {
        return Outcome::Held;
    }
    if !alert.status.is_muted() {
        alert.status = AlertStatus::Resolved;
    }
    Outcome::Resolved
}

/// What the source says last counts.
fn describe(alert: &mut Alert, said: &Notification) {
    alert.name.clone_from(&said.name);
    alert.severity = said.severity;
    alert.service = said.service.clone().or(alert.service.take());
    alert.signal = said.signal.or(alert.signal);
    alert.summary.clone_from(&said.summary);
    alert.labels.clone_from(&said.labels);
    alert.annotations.clone_from(&said.annotations);
    alert.url = said.url.clone().or(alert.url.take());
}

fn begun(said: &Notification, source: &str, now: Time) -> Alert {
    let starts_at = said.starts_at.unwrap_or(now).min(now);
    let over = said.reported == Reported::Resolved;
    Alert {
        fingerprint: said.fingerprint.clone(),
        source: source.to_owned(),
        name: said.name.clone(),
        status: if over {
            AlertStatus::Resolved
        } else {
            AlertStatus::Firing
        },
        reported: said.reported,
        severity: said.severity,
        service: said.service.clone(),
        signal: said.signal,
        summary: said.summary.clone(),
        labels: said.labels.clone(),
        annotations: said.annotations.clone(),
        starts_at,
        ends_at: over.then(|| said.ends_at.unwrap_or(now).min(now).max(starts_at)),
        last_seen_at: now,
        count: 1,
        flaps: 0,
        changes: Vec::new(),
        flapping: false,
        incident: None,
        url: said.url.clone(),
    }
}
