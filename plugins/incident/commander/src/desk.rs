//! The incident's record as the commander writes it: what others wrote meanwhile is kept, and what a human closed
//! stays closed.

use incident_contract::incident::{COLLECTION, Incident, Status};
use mandate_sdk::prelude::*;

/// How often a change is tried when others are quicker: alerts may come in by the dozen.
const ATTEMPTS: u32 = 12;

/// Why the flow cannot go on.
#[derive(Debug)]
pub enum Stop {
    /// Somebody else closed the incident.
    Closed(Status),
    /// The host does not let us.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The incident as it is now.
///
/// # Errors
/// [`Stop::Closed`] when it is over.
pub fn read(host: &Host, id: &str) -> Result<Record<Incident>, Stop> {
    let record = host.records::<Incident>(COLLECTION).get(id)?;
    match record.body.status {
        status @ (Status::Resolved | Status::Closed) => Err(Stop::Closed(status)),
        Status::New | Status::Active | Status::Awaiting => Ok(record),
    }
}

/// Reads, changes and writes it, again if somebody else was quicker.
///
/// # Errors
/// [`Stop::Closed`] when it is over; what the host says.
pub fn change(
    host: &Host,
    id: &str,
    mut change: impl FnMut(&mut Incident),
) -> Result<Record<Incident>, Stop> {
    let mut attempt = 1;
    loop {
        let mut record = read(host, id)?;
        change(&mut record.body);
        match host.records::<Incident>(COLLECTION).update(&record) {
            Err(Error::Conflict(_)) if attempt < ATTEMPTS => attempt += 1,
            written => return Ok(written?),
        }
    }
}
