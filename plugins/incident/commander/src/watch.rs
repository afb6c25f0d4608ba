//! No incident is forgotten: those that a human was called for are closed when their alerts end and health agrees;
//! those whose task was lost, or that came while nobody was there, are taken up again.

use crate::desk::Stop;
use crate::flow::{End, Flow};
use crate::lead::{self, Lead};
use crate::{Output, Settings, alerts};
use incident_asking::incident::now;
use incident_contract::incident::{COLLECTION, Incident, Status};
use mandate_sdk::prelude::*;
use mandate_sdk::serde_json::Value;

/// The kind of tasks for it.
pub const KIND: &str = "incident-watch";
/// What an incident is led by.
const LEADING: &str = "incident";
/// The tool that lets go of alerts that are quiet.
const SETTLE: &str = "incidents.settle";
/// Whoever leads an incident takes it within so many microseconds.
const TAKEN: u64 = 90_000_000;
/// Incidents that are taken up at a time; the next look finds the rest.
const MOST: u32 = 20;
/// Incidents of which it is looked at a time whether they are over, the newest first; each look may take a while.
const MOST_CLOSED: u32 = 5;
/// Tasks that may fail to bring an incident to an end, before a human is called.
const MOST_ATTEMPTS: u32 = 3;

/// An alert is over: perhaps the incident for which a human was called is over too.
///
/// # Errors
/// What the host says.
pub fn after_alert(
    host: &Host,
    task: &str,
    alert: &str,
    settings: Settings,
) -> Result<Output, Error> {
    let incident = host
        .records::<alerts::Alert>(alerts::COLLECTION)
        .get(alert)?
        .body
        .incident;
    let Some(id) = incident else {
        return Ok(Output::nothing(
            "",
            "The alert belongs to no incident.".to_owned(),
        ));
    };
    let record = host.records::<Incident>(COLLECTION).get(&id)?;
    if record.body.status != Status::Awaiting {
        return Ok(Output::nothing(
            &id,
            "No human was called for it.".to_owned(),
        ));
    }
    close(host, task, &record, settings)
}

/// Closes an incident for which a human was called, if its alerts are over and health agrees.
fn close(
    host: &Host,
    task: &str,
    record: &Record<Incident>,
    settings: Settings,
) -> Result<Output, Error> {
    let id = &record.id;
    if !alerts::are_over(host, id, &record.body) {
        return Ok(Output::nothing(
            id,
            "It has other alerts that go on.".to_owned(),
        ));
    }
    let lead = match lead::take(host, id, task, settings.most_seconds)? {
        lead::Taken::Mine(lead) => lead,
        lead::Taken::Other(reason) => return Ok(Output::nothing(id, reason)),
    };
    let ended = Flow::new(host, id, settings, host.now()).close(record);
    lead::leave(host, lead);
    match ended {
        Err(Stop::Closed(_)) => Ok(Output::nothing(id, "It was closed meanwhile.".to_owned())),
        Err(Stop::Failed(error)) => Err(error),
        Ok(output) => Ok(output),
    }
}

/// Looks for incidents that nobody leads, and has them led.
///
/// # Errors
/// What the host says.
pub fn look_around(host: &Host, task: &str, settings: Settings) -> Result<Output, Error> {
    settle(host);
    let mut taken_up = Vec::new();
    for record in left_behind(host)? {
        let lead = match host.records::<Lead>(lead::COLLECTION).get(&record.id) {
            Ok(lead) => Some(lead.body),
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        if lead
            .as_ref()
            .is_some_and(|lead| !lead.ended && lead.until > now(host))
        {
            continue;
        }
        let failed = lead.map_or(0, |lead| lead.attempts);
        if failed >= MOST_ATTEMPTS {
            let flow = Flow::new(host, &record.id, settings, host.now());
            if let Err(Stop::Failed(error)) = flow.hand_over(failed) {
                return Err(error);
            }
        } else {
            let title = format!("Take up {}", record.id);
            let task = NewTask::new(LEADING, &title, &Value::Object(Default::default()))?;
            host.submit(&task.about(COLLECTION, &record.id))?;
        }
        taken_up.push(record.id);
    }
    // What wakes the agent for an alert may have come before the last of them was let go of.
    let awaiting = host
        .records::<Incident>(COLLECTION)
        .find()
        .equal("status", "awaiting")
        .limit(MOST_CLOSED)
        .page()?;
    let mut closed = Vec::new();
    for record in awaiting.records {
        if close(host, task, &record, settings)?.end == End::Resolved {
            closed.push(record.id);
        }
    }
    Ok(Output::nothing(
        "",
        match (taken_up.is_empty(), closed.is_empty()) {
            (true, true) => "No incident is left behind.".to_owned(),
            (false, true) => format!("Taken up: {}.", taken_up.join(", ")),
            (true, false) => format!("Over: {}.", closed.join(", ")),
            (false, false) => format!(
                "Taken up: {}. Over: {}.",
                taken_up.join(", "),
                closed.join(", ")
            ),
        },
    ))
}

/// Has alerts let go of that were held open because they flapped: nobody else watches the time, and what they hold
/// open cannot be closed.
fn settle(host: &Host) {
    let nothing = Value::Object(Default::default());
    if let Err(error) = host.call_tool::<Value>(SETTLE, &nothing) {
        host.warn(format!("alerts that flapped stay as they are: {error}"));
    }
}

/// Incidents that somebody should lead by now.
fn left_behind(host: &Host) -> Result<Vec<Record<Incident>>, Error> {
    // Of its own times the host wants RFC 3339, as it shows them.
    let before = incident_contract::time(host.now().saturating_sub(TAKEN));
    let incidents = host.records::<Incident>(COLLECTION);
    let open = [Value::from("new"), Value::from("active")];
    let with = incidents.find().filter("status", Comparison::OneOf, open);
    // Whoever made the record may have left the status out: it is new.
    let without = incidents.find().equal("status", Value::Null);
    let mut found = Vec::new();
    for query in [with, without] {
        let page = query
            .filter("updated_at", Comparison::Less, before)
            .limit(MOST)
            .page()?;
        found.extend(page.records);
    }
    found.truncate(MOST as usize);
    Ok(found)
}
