//! The collections of this plugin: the one environment of a tenant, and the faults that there were.

use crate::model::environment::{ActiveFault, Environment};
use crate::model::faults::Form;
use crate::model::services::Service;
use incident_contract::{FaultKind, Time, time};
use mandate_sdk::prelude::*;
use mandate_sdk::records::Collection;

/// The collection of the environment.
pub const ENVIRONMENTS: &str = "environments";
/// The id of a tenant's only environment.
pub const MAIN: &str = "main";
/// The collection of faults. Agents that look for causes have no grant for it.
pub const FAULTS: &str = "faults";
/// Faults are kept for so long, in microseconds; more than so many are not removed at once.
const KEEP: u64 = 2 * 24 * 3_600 * 1_000_000;
const REMOVE: u32 = 20;

/// A fault that is or was there: the truth that agents have to find out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultRecord {
    /// Always true: nothing of this exists.
    pub simulated: bool,
    /// What the service suffers from.
    pub kind: FaultKind,
    /// How exactly.
    pub form: Form,
    /// The true cause.
    pub service: Service,
    /// How bad; 1 is usual.
    pub strength: f64,
    /// What happened, for people.
    pub story: String,
    /// Whether it is still there.
    pub active: bool,
    /// When it began.
    pub injected_at: Time,
    /// By whom: `trouble` (by itself) or `inject` (somebody asked for it).
    pub injected_by: String,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Time>,
    /// What ended it: an action, as `restart`; `on-call`; `stop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_by: Option<String>,
    /// The task in which it was ended, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_in: Option<String>,
}

/// The environments of this tenant: one at most.
pub fn environments(host: &Host) -> Collection<'_, Environment> {
    host.records(ENVIRONMENTS)
}

/// An id for a fault, as the collection's pattern has it.
pub fn fresh_id(host: &Host) -> String {
    format!("FLT-{:08}", host.random_u64() % 100_000_000)
}

/// Writes down a fault that began.
///
/// # Errors
/// What the host says.
pub fn write_fault(host: &Host, fault: &ActiveFault, by: &str) -> Result<(), Error> {
    let record = FaultRecord {
        simulated: true,
        kind: fault.form.kind(),
        form: fault.form,
        service: fault.service,
        strength: fault.strength,
        story: fault.form.story(fault.service),
        active: true,
        injected_at: fault.since,
        injected_by: by.to_owned(),
        cleared_at: None,
        cleared_by: None,
        cleared_in: None,
    };
    host.records(FAULTS).create_as(&fault.id, &record).map(drop)
}

/// Writes down that a fault ended. One that is not there any more needs no end.
///
/// # Errors
/// What the host says.
pub fn clear_fault(
    host: &Host,
    id: &str,
    at: Time,
    by: &str,
    task: Option<&str>,
) -> Result<(), Error> {
    let faults = host.records::<FaultRecord>(FAULTS);
    let change = faults.change(id, |fault| {
        if fault.active {
            fault.active = false;
            fault.cleared_at = Some(at);
            fault.cleared_by = Some(by.to_owned());
            fault.cleared_in = task.map(str::to_owned);
        }
    });
    match change {
        Err(error) if error.is_not_found() => Ok(()),
        changed => changed.map(drop),
    }
}

/// Removes faults that ended long ago.
///
/// # Errors
/// What the host says.
pub fn forget_old_faults(host: &Host, now: Time) -> Result<(), Error> {
    let faults = host.records::<FaultRecord>(FAULTS);
    let before = incident_contract::micros(now).saturating_sub(KEEP);
    let old = faults
        .find()
        .equal("active", false)
        .filter("injected_at", Comparison::Less, time(before))
        .ascending("injected_at")
        .limit(REMOVE)
        .page()?;
    for fault in old.records {
        match faults.delete(&fault) {
            Err(error) if error.is_not_found() || error.is_conflict() => {}
            removed => removed?,
        }
    }
    Ok(())
}
