//! One record through which all decisions about new incidents go, one after the other: who decides writes it in
//! the version that he read, and who was slower decides again. So payloads that come at once make one incident.

use crate::groups::Group;
use crate::readable::Readable;
use chrono::TimeDelta;
use incident_contract::Time;
use mandate_sdk::prelude::*;

/// The collection.
pub const COLLECTION: &str = "alert_groups";
/// The one record in it.
pub const ID: &str = "GRP-current";
/// After so long an incident was written, or whoever wanted to write it is gone.
const LIFE: TimeDelta = TimeDelta::minutes(2);
/// Claims that are kept; the newest.
const MOST: usize = 500;

/// What was decided lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// The oldest first.
    #[schemars(length(max = 500))]
    pub claims: Vec<Claim>,
}

/// An incident that somebody is about to open or to extend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Its id, which was chosen with the decision.
    #[schemars(regex(pattern = "^INC-[0-9]{8}$"))]
    pub incident: String,
    /// What it will affect.
    #[schemars(length(max = 1000))]
    pub services: Vec<String>,
    /// The name of its alerts, if they are about no known service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When its group was opened.
    pub opened_at: Time,
    /// When that was decided.
    pub at: Time,
}

impl Guard {
    /// Keeps what still matters at `now`.
    pub fn trim(&mut self, now: Time) {
        self.claims.retain(|claim| now - claim.at < LIFE);
        let surplus = self.claims.len().saturating_sub(MOST);
        self.claims.drain(..surplus);
    }

    /// Says that a group will be as it is given.
    pub fn claim(&mut self, group: &Group, now: Time) {
        self.claims.retain(|claim| claim.incident != group.incident);
        self.claims.push(Claim {
            incident: group.incident.clone(),
            services: group.services.clone(),
            name: group.name.clone(),
            opened_at: group.opened_at,
            at: now,
        });
    }
}

/// The guard as it is now.
///
/// # Errors
/// What the host says.
pub fn read(host: &Host) -> Result<Record<Guard>, Error> {
    match present(host) {
        Err(Error::NotFound(_)) => {}
        found => return found,
    }
    let made = host.records(COLLECTION).create_as(ID, &Guard::default());
    match made {
        Err(Error::Conflict(_)) => present(host),
        made => made,
    }
}

/// One that somebody spoiled holds no claims.
fn present(host: &Host) -> Result<Record<Guard>, Error> {
    let found = host.records::<Readable<Guard>>(COLLECTION).get(ID)?;
    Ok(Record {
        id: found.id,
        version: found.version,
        body: found.body.0.unwrap_or_default(),
        created_at: found.created_at,
        updated_at: found.updated_at,
    })
}
