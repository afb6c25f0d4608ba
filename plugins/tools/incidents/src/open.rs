//! Reading open incidents.

use crate::readable::Sketch;
use chrono::TimeDelta;
use incident_contract::Time;
use incident_contract::incident::{COLLECTION, Status};
use mandate_sdk::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// An alert that goes on for so long after its incident was resolved needs another one. So does one that begins so
/// long after the agents handed its incident over to a human: it may be another trouble, which they can end.
const GRACE: TimeDelta = TimeDelta::minutes(5);

/// Whether something is still to be done about an incident.
pub fn is_open(status: Status) -> bool {
    matches!(status, Status::New | Status::Active | Status::Awaiting)
}

/// Whether alerts that begin now belong to an incident of their service.
pub fn takes_new(incident: &Sketch, now: Time) -> bool {
    let handed_over = incident
        .escalated_at
        .filter(|_| incident.status == Status::Awaiting);
    is_open(incident.status) && handed_over.is_none_or(|at| now - at < GRACE)
}

/// Incidents that are open, the newest first; `narrow` says which of them. A record that a client made may have
/// no status: it is new.
///
/// # Errors
/// What the host says.
pub fn find(
    host: &Host,
    limit: u32,
    narrow: &dyn Fn(
        mandate_sdk::records::Find<'_, Sketch>,
    ) -> mandate_sdk::records::Find<'_, Sketch>,
) -> Result<Vec<Record<Sketch>>, Error> {
    let incidents = host.records::<Sketch>(COLLECTION);
    let open = [Status::New, Status::Active, Status::Awaiting];
    let with = incidents.find().filter("status", Comparison::OneOf, open);
    let without = incidents.find().equal("status", Value::Null);
    let mut found = narrow(with).limit(limit).page()?.records;
    found.extend(narrow(without).limit(limit).page()?.records);
    found.sort_by_key(|record| std::cmp::Reverse(record.created_at));
    Ok(found)
}

/// What matters of an incident.
#[derive(Clone, Copy)]
enum Known {
    /// It is not there.
    Gone,
    /// It is open; whether it takes alerts that begin now.
    Open(bool),
    /// It ended then.
    Ended(Time),
}

/// Which incidents still care for alerts, each read once.
#[derive(Default)]
pub struct Caring {
    known: BTreeMap<String, Known>,
}

impl Caring {
    /// Whether an incident still cares for an alert that goes on. A resolved one does for a while, for an alert that
    /// has not been over since: what helped takes time to show. One that was handed over to a human does for long only
    /// for an alert that has not been over since.
    ///
    /// # Errors
    /// What the host says.
    pub fn cares(
        &mut self,
        host: &Host,
        id: &str,
        repeated: bool,
        now: Time,
    ) -> Result<bool, Error> {
        let known = match self.known.get(id) {
            Some(known) => *known,
            None => {
                let read = read(host, id, now)?;
                self.known.insert(id.to_owned(), read);
                read
            }
        };
        Ok(match known {
            Known::Gone => false,
            Known::Open(takes_new) => repeated || takes_new,
            Known::Ended(at) => repeated && now - at < GRACE,
        })
    }
}

fn read(host: &Host, id: &str, now: Time) -> Result<Known, Error> {
    match host.records::<Sketch>(COLLECTION).get(id) {
        Ok(record) if is_open(record.body.status) => Ok(Known::Open(takes_new(&record.body, now))),
        Ok(record) => {
            let changed = incident_contract::time(record.updated_at);
            Ok(Known::Ended(record.body.resolved_at.unwrap_or(changed)))
        }
        Err(Error::NotFound(_)) => Ok(Known::Gone),
        Err(error) => Err(error),
    }
}
