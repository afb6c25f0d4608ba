//! Who leads an incident: one task at a time. Two would act twice.

use incident_asking::incident::now;
use incident_contract::{Time, micros};
use mandate_sdk::prelude::*;

/// Declared in `plugin.toml`; a record has its incident's id.
pub const COLLECTION: &str = "incident_leads";
/// How long after its time a task may still be ending. Whoever is silent for longer is gone.
const GRACE_SECONDS: u64 = 60;

/// A task that leads an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lead {
    /// The id of the task.
    pub task: String,
    /// Since when.
    pub since: Time,
    /// Until when it will have ended; afterwards another may take over.
    pub until: Time,
    /// Whether it has ended.
    pub ended: bool,
    /// How many tasks have led the incident, with this one.
    pub attempts: u32,
}

/// What came of the wish to lead.
pub enum Taken {
    /// This task leads.
    Mine(Record<Lead>),
    /// Another does, and this is what can be said about it.
    Other(String),
}

/// Takes the lead for a task, if nobody has it.
///
/// # Errors
/// What the host says.
pub fn take(host: &Host, incident: &str, task: &str, seconds: u64) -> Result<Taken, Error> {
    let leads = host.records::<Lead>(COLLECTION);
    let since = now(host);
    let lead = Lead {
        task: task.to_owned(),
        since,
        until: until(since, seconds),
        ended: false,
        attempts: 1,
    };
    match leads.create_as(incident, &lead) {
        Err(Error::Conflict(_)) => {}
        created => return created.map(Taken::Mine),
    }
    let mut present = leads.get(incident)?;
    let others = present.body.task != task;
    if others && !present.body.ended && present.body.until > since {
        return Ok(Taken::Other(format!(
            "The task `{}` leads it already.",
            present.body.task
        )));
    }
    present.body = Lead {
        attempts: present.body.attempts.saturating_add(u32::from(others)),
        ..lead
    };
    match leads.update(&present) {
        Err(Error::Conflict(_)) => Ok(Taken::Other(
            "Another task took the lead a moment ago.".to_owned(),
        )),
        updated => updated.map(Taken::Mine),
    }
}

/// Keeps the lead until so many seconds from now. Whoever waits for a human is silent for long, and not gone.
///
/// # Errors
/// [`Error::Conflict`] when another task has taken it.
pub fn keep(host: &Host, lead: &mut Record<Lead>, seconds: u64) -> Result<(), Error> {
    lead.body.until = until(now(host), seconds);
    *lead = host.records::<Lead>(COLLECTION).update(lead)?;
    Ok(())
}

fn until(since: Time, seconds: u64) -> Time {
    let length = seconds
        .saturating_add(GRACE_SECONDS)
        .saturating_mul(1_000_000);
    incident_contract::time(micros(since).saturating_add(length))
}

/// Gives the lead up. If that fails it ends by its time.
pub fn leave(host: &Host, mut lead: Record<Lead>) {
    lead.body.ended = true;
    if let Err(error) = host.records::<Lead>(COLLECTION).update(&lead) {
        host.warn(format!(
            "the lead of {} ends by its time only: {error}",
            lead.id
        ));
    }
}
