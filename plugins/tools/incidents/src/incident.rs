//! What alerts make of an incident's record. Pure.

use crate::alert::Alert;
use crate::assign::gravest;
use crate::notification::cut;
use crate::open::is_open;
use incident_contract::incident::{Incident, Severity, Status, Symptom};
use std::fmt::Write as _;

/// As the record's schema has it.
const LONGEST_TITLE: usize = 200;
const LONGEST_DESCRIPTION: usize = 10_000;
const MOST_SERVICES: usize = 100;
const MOST_ALERTS: usize = 1_000;
/// Alerts that a description names.
const MOST_NAMED: usize = 10;

/// A new incident of some alerts, the first one first.
pub fn opened(alerts: &[(&str, &Alert)]) -> Incident {
    let mut incident = Incident {
        title: alerts
            .first()
            .map(|(_, alert)| title(alert))
            .unwrap_or_default(),
        description: description(alerts),
        severity: Some(gravest(alerts).of_incident()),
        affected_services: Vec::new(),
        detected_by: alerts
            .first()
            .map(|(_, alert)| alert.source.clone())
            .unwrap_or_default(),
        status: Status::New,
        symptom: None,
        baseline: None,
        alerts: Vec::new(),
        triage: None,
        cause: None,
        remediation: None,
        verification: None,
        escalation: None,
        resolution: None,
        resolved_at: None,
    };
    extend(&mut incident, alerts);
    incident
}

/// Adds alerts to an incident; false if nothing changed. Its severity rises with a worse alert and never falls.
/// One that is over already stays as it is.
pub fn extend(incident: &mut Incident, alerts: &[(&str, &Alert)]) -> bool {
    if !is_open(incident.status) {
        return false;
    }
    let mut changed = false;
    for (id, alert) in alerts {
        if incident.alerts.len() < MOST_ALERTS && !incident.alerts.iter().any(|known| known == id) {
            incident.alerts.push((*id).to_owned());
            changed = true;
        }
        if let Some(service) = &alert.service {
            if incident.affected_services.len() < MOST_SERVICES
                && !incident.affected_services.contains(service)
            {
                incident.affected_services.push(service.clone());
                changed = true;
            }
            changed |= show(incident, service, alert);
        }
        let severity = alert.severity.of_incident();
        // Nobody said how bad it is: triage will, and is not to be led to think that it is little.
        let least = incident.severity.unwrap_or(Severity::Medium);
        if least < severity {
            incident.severity = Some(severity);
            changed = true;
        }
    }
    changed
}

/// What is seen, where and when: of the first alert, and more exactly if a later one of that service says more.
fn show(incident: &mut Incident, service: &str, alert: &Alert) -> bool {
    match &mut incident.symptom {
        None => {
            incident.symptom = Some(Symptom {
                service: service.to_owned(),
                signal: alert.signal,
                at: Some(alert.starts_at),
            });
            true
        }
        Some(symptom)
            if symptom.service == service && symptom.signal.is_none() && alert.signal.is_some() =>
        {
            symptom.signal = alert.signal;
            true
        }
        Some(_) => false,
    }
}

fn title(alert: &Alert) -> String {
    let title = match (&alert.service, alert.summary.is_empty()) {
        (Some(service), true) => format!("{}: {service}", alert.name),
        (Some(service), false) if !alert.summary.contains(service.as_str()) => {
            format!("{}: {}", service, alert.summary)
        }
        (None, true) => alert.name.clone(),
        (_, false) => alert.summary.clone(),
    };
    cut(&title, LONGEST_TITLE)
}

fn description(alerts: &[(&str, &Alert)]) -> String {
    let mut text = String::new();
    for (_, alert) in alerts.iter().take(MOST_NAMED) {
        let service = alert.service.as_deref().unwrap_or("no service named");
        // Writing to a String does not fail.
        let _ = write!(text, "{} ({service}) since {}", alert.name, alert.starts_at);
        let said = alert
            .annotations
            .get("description")
            .or_else(|| alert.annotations.get("message"))
            .map_or(alert.summary.as_str(), String::as_str);
        if !said.is_empty() {
            let _ = write!(text, ": {said}");
        }
        text.push('\n');
    }
    if alerts.len() > MOST_NAMED {
        let _ = writeln!(text, "And {} more alerts.", alerts.len() - MOST_NAMED);
    }
    cut(text.trim_end(), LONGEST_DESCRIPTION)
}
