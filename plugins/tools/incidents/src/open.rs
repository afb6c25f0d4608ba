//! Reading open incidents.

use crate::readable::Sketch;
use chrono::TimeDelta;
use incident_contract::Time;
use incident_contract::incident::{COLLECTION, Status};
use mandate_sdk::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// An alert that goes on for so long after its incident was resolved needs another one.
const GRACE: TimeDelta = TimeDelta::minutes(5);

/// Whether something is still to be done about an incident.
pub fn is_open(status: Status) -> bool {
    matches!(status, Status::New | Status::Active | Status::Awaiting)
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

/// Which incidents still care for alerts, each read once.
#[derive(Default)]
pub struct Caring {
    /// When it ended, for those that did; none for those that are open; nothing for those that are not there.
    known: BTreeMap<String, Option<Option<Time>>>,
}

impl Caring {
    /// Whether an incident still cares for an alert that goes on. A resolved one does for a while, for an alert that
    /// has not been over since: what helped takes time to show.
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
                let read = read(host, id)?;
                self.known.insert(id.to_owned(), read);
                read
            }
        };
        Ok(match known {
            None => false,
            Some(None) => true,
            Some(Some(ended)) => repeated && now - ended < GRACE,
        })
    }
}

fn read(host: &Host, id: &str) -> Result<Option<Option<Time>>, Error> {
    match host.records::<Sketch>(COLLECTION).get(id) {
        Ok(record) if is_open(record.body.status) => Ok(Some(None)),
        Ok(record) => {
            let changed = incident_contract::time(record.updated_at);
            Ok(Some(Some(record.body.resolved_at.unwrap_or(changed))))
        }
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
