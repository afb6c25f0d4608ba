//! The alerts of an incident, as far as the commander needs them: whether they are over.

use incident_contract::incident::Incident;
use mandate_sdk::prelude::*;

/// The collection.
pub const COLLECTION: &str = "alerts";
/// Alerts that are read; an incident with more is not over unless a human says so.
const MOST: usize = 200;

/// An alert.
#[derive(Debug, Deserialize)]
pub struct Alert {
    #[serde(default)]
    status: String,
    #[serde(default)]
    flapping: bool,
    /// The incident that it belongs to.
    #[serde(default)]
    pub incident: Option<String>,
}

/// Whether the incident has alerts, and all of them are over and not merely flapping. Those that another incident has
/// taken since are no longer its own.
pub fn are_over(host: &Host, id: &str, incident: &Incident) -> bool {
    if incident.alerts.is_empty() || incident.alerts.len() > MOST {
        return false;
    }
    let found = host
        .records::<Alert>(COLLECTION)
        .find()
        .filter("id", Comparison::OneOf, &incident.alerts)
        .all(MOST);
    match found {
        Ok(alerts) => {
            alerts.len() == incident.alerts.len()
                && alerts.iter().all(|Record { body: alert, .. }| {
                    let elsewhere = alert.incident.as_deref().is_some_and(|other| other != id);
                    elsewhere || alert.status == "resolved" && !alert.flapping
                })
        }
        Err(error) => {
            host.warn(format!(
                "the alerts of an incident could not be read: {error}"
            ));
            false
        }
    }
}
