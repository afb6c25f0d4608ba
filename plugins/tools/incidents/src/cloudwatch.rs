//! Alarms of Amazon CloudWatch: as SNS delivers them, or bare. Nothing that they name is ever fetched.

use crate::alert::{AlertSeverity, Reported, id_of};
use crate::intake::{Taken, take};
use crate::notification::{
    LONGEST_NAME, Notification, annotations, cut, labels, line, signal_of, summary,
};
use crate::subscription;
use incident_contract::Time;
use mandate_sdk::prelude::*;
use serde_json::{Map, Value};

/// What alarms of CloudWatch have as their source.
pub const SOURCE: &str = "cloudwatch";

/// Dimensions that name the component, the first one first.
const SERVICES: &[&str] = &[
    "Service",
    "ServiceName",
    "FunctionName",
    "ApiName",
    "TableName",
    "DBInstanceIdentifier",
    "DBClusterIdentifier",
    "CacheClusterId",
    "QueueName",
    "TopicName",
    "TargetGroup",
    "LoadBalancer",
    "LoadBalancerName",
    "AutoScalingGroupName",
    "ClusterName",
    "InstanceId",
];

/// What SNS or CloudWatch sends: an envelope with `Type`, or an alarm with `AlarmName`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Payload(pub Map<String, Value>);

/// Takes alarms of CloudWatch.
pub struct TakeCloudwatch;

impl Tool for TakeCloudwatch {
    const NAME: &'static str = "take-cloudwatch";
    const SUMMARY: &'static str =
        "Takes alarms of CloudWatch, in the envelope of SNS or bare, and gives them incidents.";
    type Arguments = Payload;
    type Result = Taken;

    fn call(Payload(payload): Payload, _: &Context, host: &Host) -> Result<Taken, Error> {
        let Some(kind) = payload.get("Type").and_then(Value::as_str) else {
            return alarm(&payload, host, Taken::default());
        };
        match kind {
            "Notification" => {
                let mut taken = Taken::default();
                if let Some(topic) = payload.get("TopicArn").and_then(Value::as_str) {
                    subscription::heard(host, topic, &mut taken)?;
                }
                let message = payload
                    .get("Message")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                match serde_json::from_str::<Value>(message) {
                    Ok(Value::Object(message)) => alarm(&message, host, taken),
                    _ => {
                        taken.refuse(
                            0,
                            "`Message` is no alarm: expected the JSON text of a CloudWatch alarm",
                        );
                        Ok(taken)
                    }
                }
            }
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => {
                subscription::record(host, kind, &payload)
            }
            other => Err(Error::invalid(format!(
                "/Type: expected Notification, SubscriptionConfirmation or UnsubscribeConfirmation, not `{}`",
                cut(other, 60)
            ))),
        }
    }
}

fn alarm(alarm: &Map<String, Value>, host: &Host, mut taken: Taken) -> Result<Taken, Error> {
    let state = alarm.get("NewStateValue").and_then(Value::as_str);
    if state == Some("INSUFFICIENT_DATA") {
        taken.note(
            "INSUFFICIENT_DATA says nothing about whether it is over: the alert stays as it was.",
        );
    }
    match read(alarm) {
        Ok(Some(notification)) => take(host, SOURCE, vec![(0, notification)], taken),
        Ok(None) => Ok(taken),
        Err(reason) => {
            taken.refuse(0, reason);
            Ok(taken)
        }
    }
}

/// None when it says nothing about whether something is wrong.
fn read(alarm: &Map<String, Value>) -> Result<Option<Notification>, String> {
    let text = |key: &str| alarm.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = line(text("AlarmName"), LONGEST_NAME);
    if name.is_empty() {
        return Err(
            "`AlarmName` is missing: expected a CloudWatch alarm, or the envelope of SNS around it"
                .to_owned(),
        );
    }
    let reported = match text("NewStateValue") {
        "ALARM" => Reported::Firing,
        "OK" => Reported::Resolved,
        "INSUFFICIENT_DATA" => return Ok(None),
        other => {
            return Err(format!(
                "`NewStateValue` is `{}`; expected ALARM, OK or INSUFFICIENT_DATA",
                cut(other, 40)
            ));
        }
    };
    let at = time(text("StateChangeTime"))?;
    let fingerprint = match text("AlarmArn") {
        "" => [text("AWSAccountId"), text("Region"), text("AlarmName")].join("/"),
        arn => arn.to_owned(),
    };
    let none = Map::new();
    let trigger = alarm
        .get("Trigger")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    let of_trigger = |key: &str| trigger.get(key).and_then(Value::as_str).unwrap_or_default();
    let dimensions = dimensions(trigger);
    let own = [
        ("region", text("Region")),
        ("account", text("AWSAccountId")),
        ("namespace", of_trigger("Namespace")),
        ("metric", of_trigger("MetricName")),
        ("statistic", of_trigger("Statistic")),
    ];
    let service = SERVICES
        .iter()
        .find_map(|key| dimensions.iter().find(|(name, _)| name == key))
        .or_else(|| dimensions.first())
        .map(|(_, value)| line(value, LONGEST_NAME))
        .filter(|service| !service.is_empty());
    let firing = reported == Reported::Firing;
    Ok(Some(Notification {
        id: id_of(SOURCE, &fingerprint),
        fingerprint: cut(&fingerprint, LONGEST_NAME),
        reported,
        // CloudWatch knows no severities: unsure means higher.
        severity: AlertSeverity::High,
        service,
        signal: signal_of(of_trigger("MetricName")).or_else(|| signal_of(&name)),
        summary: summary([Some(text("AlarmDescription")), Some(text("NewStateReason"))]),
        labels: labels(own.into_iter().chain(dimensions.iter().copied())),
        annotations: annotations(
            [
                ("description", text("AlarmDescription")),
                ("reason", text("NewStateReason")),
            ]
            .into_iter(),
        ),
        starts_at: at.filter(|_| firing),
        ends_at: at.filter(|_| !firing),
        url: None,
        name,
    }))
}

/// `[{name, value}]`; some senders write the keys in capitals. Alarms on expressions have them per metric.
fn dimensions(trigger: &Map<String, Value>) -> Vec<(&str, &str)> {
    let own = trigger.get("Dimensions");
    let of_metrics = trigger
        .get("Metrics")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|metric| metric.pointer("/MetricStat/Metric/Dimensions"));
    own.into_iter()
        .chain(of_metrics)
        .filter_map(Value::as_array)
        .flatten()
        .take(64)
        .filter_map(|dimension| {
            let text = |one: &str, other: &str| {
                let value = dimension.get(one).or_else(|| dimension.get(other))?;
                value.as_str()
            };
            Some((text("name", "Name")?, text("value", "Value")?))
        })
        .collect()
}

/// CloudWatch writes `2026-01-31T12:00:00.000+0000`, without the colon of RFC 3339.
fn time(text: &str) -> Result<Option<Time>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    chrono::DateTime::parse_from_rfc3339(text)
        .or_else(|_| chrono::DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .map(|time| Some(time.to_utc()).filter(|time| time.timestamp() >= 0))
        .map_err(|_| {
            format!(
                "`StateChangeTime` is `{}`; expected a time such as 2026-01-31T12:00:00.000+0000",
                cut(text, 60)
            )
        })
}
