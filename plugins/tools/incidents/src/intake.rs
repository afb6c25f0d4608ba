//! Taking alerts in: each notification is merged with what is known, each alert that needs one gets an incident,
//! and the answer says of each what came of it. The order of the writes is such that whoever breaks off in the
//! middle and is sent the same again comes to the same end.

use crate::alert::{self, Alert, AlertStatus, Reported};
use crate::assign;
use crate::flapping;
use crate::merge::{Merged, Outcome, merge};
use crate::notification::Notification;
use crate::readable::{Readable, whole};
use incident_contract::Time;
use mandate_sdk::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Alerts that are taken of one payload.
pub const MOST: usize = 1_000;
/// How often a write is tried again when somebody else was quicker.
const ATTEMPTS: u32 = 20;
/// Ids that one query may name.
const IDS_OF_A_QUERY: usize = 200;
/// Alerts that are held open and looked at with each payload.
const MOST_HELD: u32 = 200;
/// Alerts without an incident that get theirs with another payload.
const MOST_ORPHANS: u32 = 100;
/// Refusals that are listed one by one.
const MOST_REFUSED: usize = 100;

/// The event that tells that an alert is over.
pub const RESOLVED: &str = "alert_resolved";

/// What came of a payload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    /// What was taken, in the order of the payload.
    pub taken: Vec<TakenAlert>,
    /// What was not, and why; the first hundred.
    pub refused: Vec<Refused>,
    /// How many were refused.
    pub refused_count: usize,
    /// Incidents that were opened for it.
    pub opened: Vec<String>,
    /// What the sender, or the operator, should know or do.
    pub notes: Vec<String>,
}

/// What came of one alert of a payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TakenAlert {
    /// Its place in the payload, from 0.
    pub index: usize,
    /// Its id in `alerts`.
    pub alert: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The incident that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
}

/// What was not taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// Its place in the payload, from 0; the first one, if several were refused for the same reason.
    pub index: usize,
    /// Why.
    pub reason: String,
}

impl Taken {
    /// Says that an alert was not taken.
    pub fn refuse(&mut self, index: usize, reason: impl Into<String>) {
        self.refused_count += 1;
        if self.refused.len() < MOST_REFUSED {
            let reason = reason.into();
            self.refused.push(Refused { index, reason });
        }
    }

    /// Says something once.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }
}

/// One alert while a payload is taken.
pub struct Work {
    /// Its id.
    pub id: String,
    /// What was said of it, with the place in the payload.
    pub said: Vec<(usize, Notification)>,
    /// As it is stored.
    stored: Option<Record<Readable<Alert>>>,
    /// As it is to be stored.
    pub alert: Alert,
    /// What came of each notification.
    outcomes: Vec<Outcome>,
    /// How often it was over meanwhile.
    resolved: bool,
    /// Whether this alert has been firing before this payload: then it may have an incident.
    pub repeated: bool,
    /// The incident that was chosen for it now.
    pub chosen: Option<String>,
}

/// Takes what a source says; and lets go of alerts that were held, and gives those without an incident one.
///
/// # Errors
/// When nothing could be taken: what the host says.
pub fn take(
    host: &Host,
    source: &str,
    said: Vec<(usize, Notification)>,
    mut taken: Taken,
) -> Result<Taken, Error> {
    let now = incident_contract::time(host.now());
    settle(host, now)?;
    let mut by_id: Vec<(String, Vec<(usize, Notification)>)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (index, notification) in said {
        let place = *places.entry(notification.id.clone()).or_insert_with(|| {
            by_id.push((notification.id.clone(), Vec::new()));
            by_id.len() - 1
        });
        if let Some((_, all)) = by_id.get_mut(place) {
            all.push((index, notification));
        }
    }
    let mut known = known(host, by_id.iter().map(|(id, _)| id))?;
    let mut work = Vec::new();
    for (id, said) in by_id {
        let stored = known.remove(&id);
        match start(id, said, stored, source, now) {
            Ok(one) => work.push(one),
            Err(ignored) => {
                for (index, id) in ignored {
                    taken.note("Alerts that are over and were never heard of before are not kept.");
                    taken.taken.push(TakenAlert {
                        index,
                        alert: id,
                        outcome: Outcome::Ignored,
                        incident: None,
                    });
                }
            }
        }
    }
    orphans(host, &mut work)?;
    let plan = assign::assign(host, &mut work, now, &mut taken).map_err(send_again)?;
    // Alerts before incidents: whoever wakes for a new incident finds its alerts.
    let mut again = None;
    for one in &mut work {
        match write(host, one, source, now) {
            Ok(()) => {}
            Err(error @ Error::Denied { .. }) => return Err(error),
            Err(error) if error.is_retryable() => {
                host.warn(format!("{} could not be written: {error}", one.id));
                again = Some(error);
            }
            Err(error) => {
                for (index, _) in &one.said {
                    taken.refuse(*index, format!("the alert could not be written: {error}"));
                }
                one.outcomes.clear();
            }
        }
    }
    let carried_out = assign::carry_out(host, plan, &work, &mut taken);
    if let Some(error) = again.or(carried_out.err()) {
        return Err(send_again(error));
    }
    for one in &work {
        let each = one.said.iter().zip(&one.outcomes);
        taken
            .taken
            .extend(each.map(|((index, _), outcome)| TakenAlert {
                index: *index,
                alert: one.id.clone(),
                outcome: *outcome,
                incident: one.alert.incident.clone(),
            }));
    }
    taken.taken.sort_by_key(|one| one.index);
    Ok(taken)
}

/// What may succeed later has to be sent again, as a whole: what was taken already is then only counted. Senders
/// understand that of an outage, and not of a conflict.
fn send_again(error: Error) -> Error {
    if !error.is_retryable() {
        return error;
    }
    Error::Unavailable {
        reason: format!("not everything could be written, so send it again: {error}"),
        retry_after: Some(Duration::from_secs(1)),
    }
}

/// Adds alerts that go on without an incident, because there were too many at once when they came.
fn orphans(host: &Host, work: &mut Vec<Work>) -> Result<(), Error> {
    let found = host
        .records::<Readable<Alert>>(alert::COLLECTION)
        .find()
        .equal("status", AlertStatus::Firing)
        .equal("incident", Value::Null)
        .limit(MOST_ORPHANS)
        .page()?;
    for stored in found.records {
        let known = work.iter().any(|one| one.id == stored.id);
        if !known
            && let Some(alert) = stored.body.0.clone()
            && alert.needs_incident()
        {
            work.push(Work {
                id: stored.id.clone(),
                said: Vec::new(),
                alert,
                outcomes: Vec::new(),
                resolved: false,
                repeated: true,
                chosen: None,
                stored: Some(stored),
            });
        }
    }
    Ok(())
}

/// The records of alerts that there are.
fn known<'i>(
    host: &Host,
    ids: impl Iterator<Item = &'i String>,
) -> Result<BTreeMap<String, Record<Readable<Alert>>>, Error> {
    let ids: Vec<&String> = ids.collect();
    let mut known = BTreeMap::new();
    for some in ids.chunks(IDS_OF_A_QUERY) {
        let found = host
            .records::<Readable<Alert>>(alert::COLLECTION)
            .find()
            .filter("id", Comparison::OneOf, some)
            .limit(1_000)
            .all(IDS_OF_A_QUERY)?;
        known.extend(found.into_iter().map(|record| (record.id.clone(), record)));
    }
    Ok(known)
}

/// Merges all that was said of one alert; the places and the id of it, if there is nothing to keep.
fn start(
    id: String,
    said: Vec<(usize, Notification)>,
    stored: Option<Record<Readable<Alert>>>,
    source: &str,
    now: Time,
) -> Result<Work, Vec<(usize, String)>> {
    let before = stored.as_ref().and_then(|record| record.body.0.clone());
    let (alert, outcomes, resolved) = merge_all(before, &said, source, now);
    match alert {
        None => Err(said
            .into_iter()
            .map(|(index, _)| (index, id.clone()))
            .collect()),
        Some(alert) => Ok(Work {
            id,
            said,
            repeated: stored
                .as_ref()
                .and_then(|record| record.body.0.as_ref())
                .is_some_and(|alert| alert.reported == Reported::Firing),
            stored,
            alert,
            outcomes,
            resolved,
            chosen: None,
        }),
    }
}

fn merge_all(
    mut alert: Option<Alert>,
    said: &[(usize, Notification)],
    source: &str,
    now: Time,
) -> (Option<Alert>, Vec<Outcome>, bool) {
    let mut outcomes = Vec::new();
    let mut over = false;
    for (_, notification) in said {
        let merged: Merged = merge(alert, notification, source, now);
        over |= merged.settled || merged.outcome == Outcome::Resolved;
        outcomes.push(merged.outcome);
        alert = merged.alert;
    }
    (alert, outcomes, over)
}

/// Writes an alert, again on top of what somebody else wrote meanwhile; then tells that it is over, if it is.
fn write(host: &Host, work: &mut Work, source: &str, now: Time) -> Result<(), Error> {
    let alerts = host.records::<Alert>(alert::COLLECTION);
    let unchanged = work
        .stored
        .as_ref()
        .is_some_and(|stored| stored.body.0.as_ref() == Some(&work.alert));
    if unchanged && work.chosen.is_none() {
        return Ok(());
    }
    let mut attempt = 1;
    let written = loop {
        if let Some(incident) = &work.chosen {
            work.alert.incident = Some(incident.clone());
        }
        let tried = match &work.stored {
            None => alerts.create_as(&work.id, &work.alert),
            Some(stored) => alerts.update(&Record {
                id: stored.id.clone(),
                version: stored.version,
                body: work.alert.clone(),
                created_at: stored.created_at,
                updated_at: stored.updated_at,
            }),
        };
        match tried {
            Err(Error::Conflict(_) | Error::NotFound(_)) if attempt < ATTEMPTS => attempt += 1,
            done => break done?,
        }
        work.stored = match host.records(alert::COLLECTION).get(&work.id) {
            Ok(record) => Some(record),
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        let before = work
            .stored
            .as_ref()
            .and_then(|record| record.body.0.clone());
        let (alert, outcomes, resolved) = merge_all(before, &work.said, source, now);
        if let Some(alert) = alert {
            work.alert = alert;
        }
        (work.outcomes, work.resolved) = (outcomes, resolved);
    };
    if work.resolved {
        tell(host, &written)?;
    }
    Ok(())
}

/// What subscribers learn when an alert is over.
#[derive(Serialize)]
struct Over<'a> {
    alert: &'a str,
    name: &'a str,
    service: Option<&'a str>,
    incident: Option<&'a str>,
    ends_at: Option<Time>,
}

fn tell(host: &Host, record: &Record<Alert>) -> Result<(), Error> {
    let alert = &record.body;
    let over = Over {
        alert: &record.id,
        name: &alert.name,
        service: alert.service.as_deref(),
        incident: alert.incident.as_deref(),
        ends_at: alert.ends_at,
    };
    let subject = format!("{}/{}", alert::COLLECTION, record.id);
    match host.publish(RESOLVED, Some(&subject), &over) {
        // The record says it too; a missing grant is not worth losing alerts for.
        Err(error @ Error::Denied { .. }) => {
            host.warn(format!(
                "nobody is told that {} is over: {error}",
                record.id
            ));
            Ok(())
        }
        told => told,
    }
}

/// Lets go of alerts that were held open and have been quiet since; how many.
///
/// # Errors
/// What the host says.
pub fn settle(host: &Host, now: Time) -> Result<usize, Error> {
    let alerts = host.records::<Alert>(alert::COLLECTION);
    let held = host
        .records::<Readable<Alert>>(alert::COLLECTION)
        .find()
        .equal("flapping", true)
        .limit(MOST_HELD)
        .page()?;
    let mut settled = 0;
    for mut record in held.records.into_iter().filter_map(whole) {
        if !flapping::is_quiet(&record.body, now) {
            continue;
        }
        let over = flapping::settle(&mut record.body);
        match alerts.update(&record) {
            Ok(written) if over => tell(host, &written)?,
            Ok(_) => {}
            // Whoever was quicker does it, or it is not quiet any more.
            Err(Error::Conflict(_) | Error::NotFound(_)) => continue,
            Err(error) => return Err(error),
        }
        settled += 1;
    }
    Ok(settled)
}
