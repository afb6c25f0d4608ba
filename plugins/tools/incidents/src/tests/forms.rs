//! The forms in which alerts come, and what each becomes.

use super::*;
use crate::alert::{AlertSeverity, AlertStatus};
use incident_contract::Signal;
use incident_contract::incident::{Severity, Status};

#[test]
fn what_the_stock_alertmanager_sends_is_understood() {
    let fake = fake();
    let payload = json!({
        "receiver": "mandate", "status": "firing", "version": "4", "groupKey": "{}:{alertname=\"HighLatency\"}",
        "truncatedAlerts": 0, "groupLabels": {"alertname": "HighLatency"},
        "commonLabels": {"alertname": "HighLatency", "severity": "page"}, "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093", "notificationReason": "unknown to us",
        "alerts": [{
            "status": "firing",
            "labels": {"alertname": "HighLatency", "job": "cart", "instance": "10.0.0.7:9100", "severity": "page"},
            "annotations": {"summary": "cart takes 3 s", "description": "p99 above 1 s for 2 min", "runbook_url": "x"},
            "startsAt": "2026-11-21T11:58:03.211Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph?g0.expr=x", "fingerprint": "c7b1f5a2d3e4f607",
        }],
    });
    let taken = fake.call_json::<TakeAlertmanager>(&payload).unwrap();
    assert_eq!(outcomes(&taken), ["new"]);
    let kept = &alerts(&fake)[0];
    assert_eq!(
        (kept.name.as_str(), kept.source.as_str()),
        ("HighLatency", "alertmanager")
    );
    assert_eq!(kept.service.as_deref(), Some("cart"));
    assert_eq!(
        (kept.signal, kept.severity),
        (Some(Signal::Latency), AlertSeverity::Critical)
    );
    assert_eq!(
        (kept.status, kept.count, kept.ends_at),
        (AlertStatus::Firing, 1, None)
    );
    assert!(kept.url.as_ref().unwrap().starts_with("http://prometheus"));
    let (id, incident) = &incidents(&fake)[0];
    assert!(id.len() == 12 && id.starts_with("INC-") && kept.incident.as_ref() == Some(id));
    assert_eq!(incident.title, "cart takes 3 s");
    assert!(incident.description.contains("p99 above 1 s for 2 min"));
    assert_eq!(
        (incident.severity, incident.status),
        (Some(Severity::Critical), Status::New)
    );
    assert_eq!(incident.detected_by, "alertmanager");
    assert_eq!(incident.affected_services, ["cart"]);
    let symptom = incident.symptom.as_ref().unwrap();
    assert_eq!(
        (symptom.service.as_str(), symptom.signal, symptom.at),
        ("cart", Some(Signal::Latency), Some(kept.starts_at))
    );
    assert_eq!(taken["opened"], json!([id]));
}

#[test]
fn unsure_means_higher() {
    let of = |severity: Option<&str>| {
        let fake = fake();
        let mut one = alert("A", "cart", "x", 0);
        match severity {
            Some(word) => one["labels"]["severity"] = json!(word),
            None => {
                one["labels"].as_object_mut().unwrap().remove("severity");
            }
        }
        send(&fake, 0, &[one]);
        incidents(&fake)[0].1.severity.unwrap()
    };
    let expected = [
        (Some("critical"), Severity::Critical),
        (Some("high"), Severity::High),
        (Some("warning"), Severity::Medium),
        (Some("info"), Severity::Low),
        (Some("low"), Severity::Low),
        (None, Severity::High),
        (Some("blue"), Severity::High),
    ];
    for (word, severity) in expected {
        assert_eq!(of(word), severity, "{word:?}");
    }
}

#[test]
fn a_repeated_notification_only_counts() {
    let fake = fake();
    let one = alert("A", "cart", "high", -60);
    send(&fake, 0, std::slice::from_ref(&one));
    let events = fake.events().len();
    for minute in 1..=3 {
        let taken = send(&fake, 60 * minute, std::slice::from_ref(&one));
        assert_eq!(
            (outcomes(&taken), &taken["opened"]),
            (vec!["repeated"], &json!([]))
        );
    }
    let kept = alerts(&fake);
    assert_eq!((kept.len(), kept[0].count, kept[0].flaps), (1, 4, 0));
    assert_eq!(kept[0].last_seen_at.timestamp(), at(180).timestamp());
    assert_eq!(kept[0].starts_at, at(-60));
    assert_eq!((incidents(&fake).len(), fake.events().len()), (1, events));
}

#[test]
fn that_it_is_over_is_told_at_once_and_once() {
    let fake = fake();
    let one = alert("A", "cart", "high", 0);
    send(&fake, 0, std::slice::from_ref(&one));
    let taken = send(&fake, 100, &[over(one.clone(), 90)]);
    assert_eq!(outcomes(&taken), ["resolved"]);
    send(&fake, 110, &[over(one.clone(), 90)]);
    // Late, by another way: it began before it was over.
    assert_eq!(outcomes(&send(&fake, 120, &[one])), ["repeated"]);
    let kept = &alerts(&fake)[0];
    assert_eq!(
        (kept.status, kept.ends_at),
        (AlertStatus::Resolved, Some(at(90)))
    );
    let told = fake.events();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind, "alert_resolved");
    let data: Value = serde_json::from_str(&told[0].data).unwrap();
    let id = taken["taken"][0]["alert"].as_str().unwrap();
    assert_eq!(told[0].subject, Some(format!("alerts/{id}")));
    assert_eq!(
        (&data["service"], &data["incident"]),
        (&json!("cart"), &json!(incidents(&fake)[0].0))
    );
}

#[test]
fn the_fingerprint_is_that_of_the_labels_where_none_is_sent() {
    let fake = fake();
    let mut one = alert("A", "cart", "high", 0);
    one.as_object_mut().unwrap().remove("fingerprint");
    let mut other = one.clone();
    other["labels"]["pod"] = json!("cart-2");
    send(&fake, 0, &[one.clone(), one, other]);
    let counts: Vec<u64> = alerts(&fake).iter().map(|alert| alert.count).collect();
    assert_eq!(counts, [2, 1]);
    assert_eq!(incidents(&fake).len(), 1);
}

#[test]
fn what_is_over_before_it_was_heard_of_begins_nothing() {
    let fake = fake();
    let taken = send(&fake, 100, &[over(alert("A", "cart", "high", 0), 50)]);
    assert_eq!(outcomes(&taken), ["missed"]);
    assert_eq!(
        (
            alerts(&fake).len(),
            incidents(&fake).len(),
            fake.events().len()
        ),
        (1, 0, 0)
    );
}

#[test]
fn what_a_human_muted_stays_muted_and_acknowledged_stays_acknowledged() {
    let fake = fake();
    let one = alert("A", "cart", "high", 0);
    send(&fake, 0, std::slice::from_ref(&one));
    let id = fake.records::<Alert>("alerts")[0].0.clone();
    let set = |status| {
        fake.host()
            .records::<Alert>("alerts")
            .change(&id, |alert| alert.status = status)
            .unwrap();
    };
    set(AlertStatus::Acknowledged);
    send(&fake, 10, std::slice::from_ref(&one));
    assert_eq!(alerts(&fake)[0].status, AlertStatus::Acknowledged);
    set(AlertStatus::Maintenance);
    send(&fake, 20, &[over(one, 15)]);
    send(&fake, 30, &[alert("A", "cart", "high", 25)]);
    let kept = &alerts(&fake)[0];
    assert_eq!(
        (kept.status, kept.starts_at),
        (AlertStatus::Maintenance, at(25))
    );
    let mut muted = kept.clone();
    muted.incident = None;
    let fresh = self::fake();
    fresh.put("alerts", Some(&id), &muted);
    send(&fresh, 40, &[alert("A", "cart", "high", 25)]);
    assert!(incidents(&fresh).is_empty(), "nobody wants to hear of it");
}
