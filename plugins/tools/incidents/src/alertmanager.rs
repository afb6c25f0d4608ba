//! Alertmanager's webhook, version 4: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>.
//! Each alert is read for itself, so that one that cannot be read costs no other.

use crate::alert::{AlertSeverity, Reported, id_of, short_digest};
use crate::intake::{MOST, Taken, take};
use crate::notification::{
    LONGEST_NAME, Notification, annotations, cut, labels, line, signal_of, summary, url,
};
use incident_contract::{Signal, Time};
use mandate_sdk::prelude::*;
use serde_json::{Map, Value};

/// What alerts of Alertmanager have as their source.
pub const SOURCE: &str = "alertmanager";

/// Labels that name the component, the first one first.
const SERVICES: &[&str] = &[
    "service",
    "service_name",
    "app",
    "app_kubernetes_io_name",
    "component",
    "deployment",
    "statefulset",
    "job",
    "container",
    "pod",
    "instance",
];

/// What Alertmanager sends.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Payload {
    /// The alerts of one group. Each has `status`, `labels`, `annotations`, `startsAt`, `endsAt`, `generatorURL` and
    /// `fingerprint`.
    pub alerts: Vec<Value>,
    /// How many Alertmanager left out, by its own `max_alerts`.
    #[serde(default, rename = "truncatedAlerts")]
    pub truncated_alerts: Option<Value>,
}

/// Takes alerts in the form of Alertmanager's webhook.
pub struct TakeAlertmanager;

impl Tool for TakeAlertmanager {
    const NAME: &'static str = "take-alertmanager";
    const SUMMARY: &'static str =
        "Takes alerts as Alertmanager's webhook sends them, and gives them incidents.";
    type Arguments = Payload;
    type Result = Taken;

    fn call(payload: Payload, _: &Context, host: &Host) -> Result<Taken, Error> {
        let mut taken = Taken::default();
        if let Some(left_out) = payload.truncated_alerts.as_ref().and_then(Value::as_u64)
            && left_out > 0
        {
            taken.note(format!(
                "Alertmanager left out {left_out} alerts of this group: raise `max_alerts` of the receiver, or group finer."
            ));
        }
        let all = payload.alerts.len();
        if all > MOST {
            taken.refused_count += all - MOST - 1;
            taken.refuse(
                MOST,
                format!(
                    "this and the {} after it: at most {MOST} alerts of one payload are taken; group finer, or set `max_alerts`",
                    all - MOST - 1
                ),
            );
        }
        let mut said = Vec::new();
        for (index, alert) in payload.alerts.iter().take(MOST).enumerate() {
            match read(alert) {
                Ok(notification) => said.push((index, notification)),
                Err(reason) => taken.refuse(index, reason),
            }
        }
        take(host, SOURCE, said, taken)
    }
}

/// One alert of the payload.
fn read(alert: &Value) -> Result<Notification, String> {
    let alert = alert
        .as_object()
        .ok_or("it is no JSON object; expected an alert with `labels` and `status`")?;
    let text = |key: &str| alert.get(key).and_then(Value::as_str).unwrap_or_default();
    let reported = match text("status") {
        "firing" => Reported::Firing,
        "resolved" => Reported::Resolved,
        "" => return Err("`status` is missing; expected `firing` or `resolved`".to_owned()),
        other => {
            return Err(format!(
                "`status` is `{}`; expected `firing` or `resolved`",
                cut(other, 40)
            ));
        }
    };
    let none = Map::new();
    let given = |key: &str| match alert.get(key) {
        None | Some(Value::Null) => Ok(&none),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(format!(
            "`{key}` is no JSON object; expected names and texts"
        )),
    };
    let (all_labels, all_annotations) = (given("labels")?, given("annotations")?);
    if all_labels.is_empty() && text("fingerprint").is_empty() {
        return Err(
            "it has neither `labels` nor a `fingerprint`: nothing tells it from others".to_owned(),
        );
    }
    let label = |key: &str| {
        all_labels
            .get(key)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|value| !value.is_empty())
    };
    let fingerprint = match text("fingerprint") {
        "" => of_labels(all_labels),
        given => given.to_owned(),
    };
    let name = line(
        label("alertname").unwrap_or("alert without a name"),
        LONGEST_NAME,
    );
    let annotations = annotations(texts(all_annotations));
    let annotation = |key: &str| annotations.get(key).map(String::as_str);
    let texts = [
        annotation("summary"),
        annotation("title"),
        annotation("message"),
        annotation("description"),
    ];
    Ok(Notification {
        id: id_of(SOURCE, &fingerprint),
        fingerprint: cut(&fingerprint, LONGEST_NAME),
        reported,
        severity: label("severity")
            .or_else(|| label("priority"))
            .map_or(AlertSeverity::High, AlertSeverity::from_word),
        service: SERVICES
            .iter()
            .find_map(|key| label(key))
            .map(|service| line(service, LONGEST_NAME)),
        signal: signal(
            label("signal"),
            &name,
            label("metric").or_else(|| label("__name__")),
        ),
        summary: summary(texts),
        labels: labels(self::texts(all_labels)),
        starts_at: time("startsAt", text("startsAt"))?,
        ends_at: time("endsAt", text("endsAt"))?,
        url: url(text("generatorURL")),
        name,
        annotations: annotations.clone(),
    })
}

fn texts(map: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    map.iter()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// As Alertmanager does it: what differs in a label is another alert.
fn of_labels(labels: &Map<String, Value>) -> String {
    let mut all: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}\u{0}{value}"))
        .collect();
    all.sort_unstable();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    short_digest(&all)
}

fn signal(said: Option<&str>, name: &str, metric: Option<&str>) -> Option<Signal> {
    match said {
        Some("latency") => Some(Signal::Latency),
        Some("availability") => Some(Signal::Availability),
        _ => signal_of(name).or_else(|| signal_of(metric?)),
    }
}

/// A time; none for an open end, which Alertmanager writes as the year 1.
fn time(key: &str, text: &str) -> Result<Option<Time>, String> {
    if text.is_empty() || text.starts_with("0001-") {
        return Ok(None);
    }
    let time = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| {
        format!(
            "`{key}` is `{}`; expected a time such as 2026-01-31T12:00:00Z",
            cut(text, 60)
        )
    })?;
    let time = time.to_utc();
    Ok((time.timestamp() >= 0).then_some(time))
}
