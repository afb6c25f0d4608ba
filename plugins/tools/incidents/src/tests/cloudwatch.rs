//! What CloudWatch alarms become.

use super::*;
use crate::TakeCloudwatch;
use crate::alert::AlertStatus;
use crate::subscription::{Subscription, SubscriptionStatus};
use incident_contract::Signal;

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:alarms";

/// As CloudWatch writes it.
fn alarm(state: &str, seconds: i64) -> Value {
    let time = at(seconds).format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string();
    json!({
        "AlarmName": "cart-latency", "AlarmDescription": "cart answers slowly", "AWSAccountId": "123456789012",
        "AlarmConfigurationUpdatedTimestamp": time, "NewStateValue": state, "OldStateValue": "OK",
        "NewStateReason": "Threshold Crossed: 1 datapoint [3.1] was greater than the threshold (1.0).",
        "StateChangeTime": time, "Region": "EU (Ireland)",
        "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:cart-latency",
        "OKActions": [], "AlarmActions": [TOPIC], "InsufficientDataActions": [],
        "Trigger": {
            "MetricName": "TargetResponseTime", "Namespace": "AWS/ApplicationELB", "StatisticType": "Statistic",
            "Statistic": "AVERAGE", "Unit": null, "Period": 60, "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold", "Threshold": 1.0, "TreatMissingData": "",
            "Dimensions": [{"value": "app/shop/1", "name": "LoadBalancer"}, {"value": "cart", "name": "ServiceName"}],
        },
    })
}

/// In the envelope of SNS.
fn envelope(message: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "c0ffee00-0000-0000-0000-000000000001", "TopicArn": TOPIC,
        "Subject": "ALARM: \"cart-latency\" in EU (Ireland)", "Message": message.to_string(),
        "Timestamp": "2026-11-21T12:00:00.000Z", "SignatureVersion": "1", "Signature": "x",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/x.pem", "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/",
    })
}

fn take(fake: &FakeHost, seconds: i64, payload: &Value) -> Value {
    fake.set_time(micros(at(seconds)));
    fake.call_json::<TakeCloudwatch>(payload).unwrap()
}

#[test]
fn an_alarm_begins_and_ends_in_the_envelope_and_bare() {
    for wrap in [envelope, Value::clone] {
        let fake = fake();
        assert_eq!(
            outcomes(&take(&fake, 5, &wrap(&alarm("ALARM", 0)))),
            ["new"]
        );
        let kept = alerts(&fake).remove(0);
        assert_eq!(
            (kept.source.as_str(), kept.service.as_deref()),
            ("cloudwatch", Some("cart"))
        );
        assert_eq!(
            (kept.signal, kept.starts_at),
            (Some(Signal::Latency), at(0))
        );
        assert_eq!(kept.labels["LoadBalancer"], "app/shop/1");
        let (_, incident) = &incidents(&fake)[0];
        assert_eq!(
            (incident.title.as_str(), incident.detected_by.as_str()),
            ("cart answers slowly", "cloudwatch")
        );
        assert_eq!(
            outcomes(&take(&fake, 65, &wrap(&alarm("OK", 60)))),
            ["resolved"]
        );
        let kept = &alerts(&fake)[0];
        assert_eq!(
            (kept.status, kept.ends_at),
            (AlertStatus::Resolved, Some(at(60)))
        );
        assert_eq!(
            outcomes(&take(&fake, 70, &wrap(&alarm("ALARM", 66)))),
            ["reopened"]
        );
    }
}

#[test]
fn insufficient_data_is_not_resolved() {
    let fake = fake();
    take(&fake, 0, &alarm("ALARM", 0));
    let taken = take(&fake, 60, &alarm("INSUFFICIENT_DATA", 60));
    assert_eq!(taken["taken"], json!([]));
    assert!(taken["notes"][0].as_str().unwrap().contains("says nothing"));
    assert_eq!(alerts(&fake)[0].status, AlertStatus::Firing);
    assert!(fake.events().is_empty());
}

#[test]
fn an_ok_that_was_overtaken_ends_nothing() {
    let fake = fake();
    take(&fake, 100, &alarm("ALARM", 90));
    assert_eq!(outcomes(&take(&fake, 101, &alarm("OK", 50))), ["repeated"]);
    assert_eq!(alerts(&fake)[0].status, AlertStatus::Firing);
    let other = self::fake();
    assert_eq!(outcomes(&take(&other, 0, &alarm("OK", 0))), ["ignored"]);
    assert!(alerts(&other).is_empty());
}

#[test]
fn alarms_of_other_forms_are_understood_as_far_as_they_go() {
    let fake = fake();
    // A composite alarm: no trigger, so nothing says which component.
    let composite = json!({"AlarmName": "shop-is-down", "NewStateValue": "ALARM", "AWSAccountId": "1", "Region": "x",
        "AlarmRule": "ALARM(a) OR ALARM(b)", "StateChangeTime": "2026-11-21T11:59:00Z"});
    take(&fake, 0, &composite);
    let kept = &alerts(&fake)[0];
    assert_eq!(
        (kept.service.as_deref(), kept.signal),
        (None, Some(Signal::Availability))
    );
    // An expression: the dimensions are those of its metrics.
    let mut expression = alarm("ALARM", 0);
    expression["Trigger"] = json!({"Metrics": [{"Id": "m1", "MetricStat": {"Metric": {"MetricName": "Errors",
        "Dimensions": [{"name": "FunctionName", "value": "search"}]}}}]});
    expression["AlarmArn"] = json!("other");
    take(&fake, 0, &expression);
    assert_eq!(alerts(&fake)[1].service.as_deref(), Some("search"));
}

#[test]
fn what_is_no_alarm_is_refused_with_what_was_expected() {
    let fake = fake();
    let reason = |payload: &Value| {
        take(&fake, 0, payload)["refused"][0]["reason"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(reason(&json!({"detail": {}})).contains("`AlarmName` is missing"));
    assert!(reason(&alarm("BURNING", 0)).contains("BURNING"));
    let mut timeless = alarm("ALARM", 0);
    timeless["StateChangeTime"] = json!("noon");
    assert!(reason(&timeless).contains("noon"));
    let mut text = envelope(&json!({}));
    text["Message"] = json!("hello");
    assert!(reason(&text).contains("`Message` is no alarm"));
    let odd = fake
        .call_json::<TakeCloudwatch>(&json!({"Type": "Odd"}))
        .unwrap_err();
    assert!(odd.to_string().contains("/Type"), "{odd}");
    assert!(fake.call_json::<TakeCloudwatch>(&json!([1])).is_err());
    assert!(alerts(&fake).is_empty());
}

fn confirmation(url: &str) -> Value {
    json!({"Type": "SubscriptionConfirmation", "MessageId": "m", "Token": "t", "TopicArn": TOPIC,
        "Message": "You have chosen to subscribe to the topic.", "SubscribeURL": url, "Timestamp": "2026-11-21T12:00:00.000Z"})
}

#[test]
fn a_subscription_is_kept_for_a_human_and_confirmed_by_what_comes() {
    let fake = fake();
    let url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t";
    let taken = take(&fake, 0, &confirmation(url));
    let note = taken["notes"][0].as_str().unwrap();
    assert!(
        note.contains(url) && note.contains("nothing is fetched"),
        "{note}"
    );
    let status = || {
        fake.records::<Subscription>("alert_subscriptions")[0]
            .1
            .status
    };
    assert_eq!(status(), SubscriptionStatus::Unconfirmed);
    take(&fake, 10, &confirmation(url));
    take(&fake, 20, &envelope(&alarm("ALARM", 15)));
    assert_eq!(status(), SubscriptionStatus::Confirmed);
    let mut end = confirmation(url);
    end["Type"] = json!("UnsubscribeConfirmation");
    take(&fake, 30, &end);
    assert_eq!(status(), SubscriptionStatus::Ended);
    assert_eq!(fake.records::<Subscription>("alert_subscriptions").len(), 1);
    let bait = fake.call_json::<TakeCloudwatch>(&confirmation("https://evil.example/"));
    assert!(bait.unwrap_err().to_string().contains("/SubscribeURL"));
}
