//! Tells alerts as Alertmanager does: its webhook, version 4.

use crate::model::environment::{Alert, Rule};
use mandate_sdk::prelude::*;
use mandate_sdk::serde_json::{Value, json};

/// Who takes alerts.
const TAKER: &str = "incidents.take-alertmanager";
/// How open ends are written in Go.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What an alert is called.
fn name(rule: Rule) -> &'static str {
    match rule {
        Rule::Latency => "HighLatency",
        Rule::Availability => "LowAvailability",
        Rule::Outage => "Outage",
    }
}

fn severity(alert: &Alert) -> &'static str {
    match alert.rule {
        Rule::Outage => "critical",
        _ if alert.service.is_user_facing() => "high",
        _ => "warning",
    }
}

/// FNV-1a over the sorted labels, as Prometheus does it: the same alert has the same fingerprint for ever.
fn fingerprint(labels: &[(&str, &str)]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (name, value) in labels {
        for byte in name
            .bytes()
            .chain([0xff])
            .chain(value.bytes())
            .chain([0xff])
        {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

fn alert(alert: &Alert) -> Value {
    let signal = match alert.rule {
        Rule::Latency => "latency",
        Rule::Availability | Rule::Outage => "availability",
    };
    let service = alert.service.name();
    let labels = [
        ("alertname", name(alert.rule)),
        ("service", service),
        ("severity", severity(alert)),
        ("signal", signal),
        ("simulated", "true"),
    ];
    let percent = 100.0 * alert.share;
    let objective = alert.service.spec().objective.unwrap_or_default();
    let (summary, description) = match alert.rule {
        Rule::Latency => (
            format!("{service} is slow"),
            format!(
                "{percent:.1} % of the requests to {service} took longer than {objective} s in the last 15 s; 5 % are \
                 accepted. This is a simulation."
            ),
        ),
        Rule::Availability => (
            format!("{service} answers with errors"),
            format!(
                "{percent:.1} % of the requests to {service} failed in the last 15 s; 1 % is accepted. This is a \
                 simulation."
            ),
        ),
        Rule::Outage => (
            format!("{service} is down"),
            format!(
                "{percent:.1} % of the requests to {service} failed in the last 15 s. This is a simulation."
            ),
        ),
    };
    let ends: Value = match alert.resolved_at {
        Some(at) => json!(at),
        None => NEVER.into(),
    };
    json!({
        "status": if alert.firing { "firing" } else { "resolved" },
        "labels": labels.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "annotations": { "summary": summary, "description": description },
        "startsAt": alert.since,
        "endsAt": ends,
        "generatorURL": "",
        "fingerprint": fingerprint(&labels),
    })
}

/// The webhook's body.
fn body(alerts: &[Alert]) -> Value {
    let firing = alerts.iter().any(|alert| alert.firing);
    json!({
        "version": "4",
        "groupKey": "{}:{simulated=\"true\"}",
        "truncatedAlerts": 0,
        "status": if firing { "firing" } else { "resolved" },
        "receiver": "mandate",
        "groupLabels": { "simulated": "true" },
        "commonLabels": { "simulated": "true" },
        "commonAnnotations": {},
        "externalURL": "",
        "alerts": alerts.iter().map(alert).collect::<Vec<_>>(),
    })
}

/// Delivers alerts; none is no delivery.
///
/// # Errors
/// Why they were not taken.
pub fn deliver(host: &Host, alerts: &[Alert]) -> Result<(), Error> {
    if alerts.is_empty() {
        return Ok(());
    }
    host.call_tool::<Value>(TAKER, &body(alerts)).map(drop)
}
