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

/// Whether the incident has alerts, and all of them are over and not merely flapping.
pub fn are_over(host: &Host, incident: &Incident) -> bool {
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
                && alerts
                    .iter()
                    .all(|alert| alert.body.status == "resolved" && !alert.body.flapping)
        }
        Err(error) => {
            host.warn(format!(
                "the alerts of an incident could not be read: {error}"
            ));
            false
        }
    }
}
