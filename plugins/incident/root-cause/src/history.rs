//! What the records of incidents tell the search: what was done in vain, and which other incident ended just before.

use crate::notebook::{IN_VAIN, Notebook};
use incident_contract::Time;
use incident_contract::incident::{COLLECTION, Incident, StepStatus, Verdict};
use mandate_sdk::prelude::*;

/// Other incidents that are looked at, the latest ones.
const LATEST: u32 = 30;

/// Notes what the records tell. That others cannot be read is no reason to give up.
pub fn read(host: &Host, record: &Record<Incident>, notebook: &mut Notebook) {
    for component in in_vain(&record.body) {
        notebook.in_vain.insert(component, IN_VAIN);
    }
    let latest = host
        .records::<Incident>(COLLECTION)
        .find()
        .limit(LATEST)
        .page();
    match latest {
        Ok(page) => {
            let others = page.records.iter().filter(|other| other.id != record.id);
            let seen = notebook.symptom.at;
            let ended = others.filter_map(|other| other.body.resolved_at);
            let before = |ended: &Time| seen.is_some_and(|seen| *ended < seen);
            notebook.earlier = ended.filter(before).max();
        }
        Err(error) => host.warn(format!("other incidents could not be read: {error}")),
    }
}

/// The components to which something was done that did not help.
fn in_vain(incident: &Incident) -> Vec<String> {
    let verdict = incident
        .verification
        .as_ref()
        .map(|verification| verification.verdict);
    if verdict != Some(Verdict::NotResolved) {
        return Vec::new();
    }
    let steps = incident
        .remediation
        .iter()
        .flat_map(|remediation| &remediation.steps);
    let done = steps.filter(|step| step.status == StepStatus::Done);
    let named = done.filter_map(|step| step.arguments.get("service")?.as_str());
    named.map(str::to_owned).collect()
}
