//! Which incident a task is about, and where it shows.

use incident_contract::incident::{COLLECTION, Incident, Symptom};
use incident_contract::{Time, time};
use mandate_sdk::prelude::*;

/// The most bytes of a record's id; a longer one is none.
const LONGEST_ID: usize = 128;

/// Which incident it is about.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Input {
    /// The id of the incident; may be left out in a task about one.
    #[serde(default)]
    #[schemars(length(max = 128))]
    pub incident: Option<String>,
}

/// The id in the task's input, or that of the record which the task is about.
///
/// # Errors
/// [`Error::Invalid`] if neither names an incident.
pub fn id<I>(task: &Task<I>, given: Option<&str>) -> Result<String, Error> {
    let id = given
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .or_else(|| task.subject_in(COLLECTION))
        .ok_or_else(|| {
            Error::invalid(
                "incident: expected the id of an incident, such as `INC-1A2B3C4D`, or a task about one",
            )
        })?;
    if id.len() > LONGEST_ID
        || !id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Err(Error::invalid(
            "incident: expected the id of an incident, such as `INC-1A2B3C4D`",
        ));
    }
    Ok(id.to_owned())
}

/// The incident as it is now.
///
/// # Errors
/// What the host says: there is none, or reading is not granted.
pub fn read(host: &Host, id: &str) -> Result<Record<Incident>, Error> {
    host.records::<Incident>(COLLECTION).get(id)
}

/// What was seen and where, as far as the record tells: the symptom, or else the first affected component, at the
/// time at which the record was made. None when it names no component.
pub fn symptom(record: &Record<Incident>) -> Option<Symptom> {
    let made = time(record.created_at);
    let known = |service: &str| !service.trim().is_empty();
    if let Some(symptom) = record
        .body
        .symptom
        .as_ref()
        .filter(|symptom| known(&symptom.service))
    {
        return Some(Symptom {
            at: Some(symptom.at.unwrap_or(made)),
            ..symptom.clone()
        });
    }
    let service = record
        .body
        .affected_services
        .iter()
        .find(|service| known(service))?;
    Some(Symptom {
        service: service.clone(),
        signal: None,
        at: Some(made),
    })
}

/// The time now.
pub fn now(host: &Host) -> Time {
    time(host.now())
}
