//! Payloads that nobody means well by.

use super::*;
use crate::Settle;

#[test]
fn more_than_a_payload_may_hold_is_refused_and_said() {
    let fake = fake();
    let many: Vec<Value> = (0..10_000)
        .map(|n| json!({"status": "firing", "labels": {"alertname": "A", "service": "cart", "n": n.to_string()}}))
        .collect();
    let taken = send(&fake, 0, &many);
    assert_eq!(
        (
            taken["taken"].as_array().unwrap().len(),
            &taken["refused_count"]
        ),
        (1_000, &json!(9_000))
    );
    let refused = &taken["refused"].as_array().unwrap()[0];
    assert_eq!(refused["index"], 1_000);
    assert!(
        refused["reason"]
            .as_str()
            .unwrap()
            .contains("8999 after it"),
        "{refused}"
    );
    let all = incidents(&fake);
    assert_eq!((all.len(), all[0].1.alerts.len()), (1, 1_000));
    assert_eq!(alerts(&fake).len(), 1_000);
}

#[test]
fn a_storm_of_strangers_opens_a_bounded_number_of_incidents_and_loses_no_alert() {
    let fake = fake();
    let many: Vec<Value> = (0..250)
        .map(|n| alert("A", &format!("service-{n}"), "high", 0))
        .collect();
    let taken = send(&fake, 0, &many);
    assert_eq!((incidents(&fake).len(), alerts(&fake).len()), (100, 250));
    assert!(
        taken["notes"]
            .to_string()
            .contains("150 alerts are kept without an incident"),
        "{}",
        taken["notes"]
    );
    // The others get theirs as time goes on, whether they are sent again or not.
    fake.set_time(micros(at(30)));
    assert_eq!(
        fake.call_json::<Settle>(&json!({})).unwrap()["opened"]
            .as_array()
            .unwrap()
            .len(),
        100
    );
    send(&fake, 60, &[]);
    assert_eq!(incidents(&fake).len(), 250);
    assert!(alerts(&fake).iter().all(|alert| alert.incident.is_some()));
}

#[test]
fn megabytes_are_cut() {
    let fake = fake();
    let mut one = alert("A", &"s".repeat(1 << 20), "high", 0);
    one["labels"]["more"] = json!("x".repeat(1 << 20));
    for n in 0..2_000 {
        one["labels"][format!("label{n}")] = json!("y");
    }
    one["annotations"]["description"] = json!("ä".repeat(1 << 20));
    one["fingerprint"] = json!("f".repeat(1 << 20));
    one["generatorURL"] = json!(format!("http://{}", "u".repeat(1 << 20)));
    let taken = send(&fake, 0, &[one]);
    assert_eq!(outcomes(&taken), ["new"]);
    let kept = &alerts(&fake)[0];
    let size = serde_json::to_string(kept).unwrap().len();
    assert!(size < 64 << 10, "{size}");
    assert!(kept.url.is_none() && kept.labels.len() <= 64);
    let size = serde_json::to_string(&incidents(&fake)[0].1).unwrap().len();
    assert!(size < 32 << 10, "{size}");
}

#[test]
fn one_that_cannot_be_read_costs_no_other() {
    let fake = fake();
    let mut bad_time = alert("T", "cart", "high", 0);
    bad_time["startsAt"] = json!("yesterday");
    let mut bad_labels = alert("L", "cart", "high", 0);
    bad_labels["labels"] = json!(["cart"]);
    let taken = send(
        &fake,
        0,
        &[
            json!(7),
            json!({"status": "firing"}),
            json!({"labels": {"alertname": "A"}}),
            json!({"status": "burning", "labels": {"alertname": "A"}}),
            bad_time,
            bad_labels,
            alert("Good", "cart", "high", 0),
        ],
    );
    assert_eq!(
        (taken["refused_count"].clone(), outcomes(&taken)),
        (json!(6), vec!["new"])
    );
    assert_eq!(taken["taken"][0]["index"], 6);
    let reasons: Vec<&str> = taken["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["reason"].as_str().unwrap())
        .collect();
    let expected = [
        "JSON object",
        "nothing tells it from others",
        "`status` is missing",
        "burning",
        "`startsAt` is `yesterday`",
        "`labels` is no JSON object",
    ];
    for (reason, expected) in reasons.iter().zip(expected) {
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn the_same_fingerprint_twice_is_one_alert_in_the_order_in_which_it_came() {
    let fake = fake();
    let one = alert("A", "cart", "high", 0);
    let taken = send(
        &fake,
        60,
        &[
            one.clone(),
            over(one.clone(), 30),
            alert("A", "cart", "high", 40),
            one,
        ],
    );
    assert_eq!(
        outcomes(&taken),
        ["new", "resolved", "reopened", "repeated"]
    );
    let kept = alerts(&fake);
    assert_eq!(
        (kept.len(), kept[0].count, kept[0].starts_at),
        (1, 4, at(40))
    );
    assert_eq!((incidents(&fake).len(), fake.events().len()), (1, 1));
}

#[test]
fn clocks_of_strangers_may_be_anywhere() {
    let fake = fake();
    let mut future = alert("F", "cart", "high", 0);
    future["startsAt"] = json!("2999-01-01T00:00:00Z");
    let mut past = alert("P", "cart", "high", 0);
    past["startsAt"] = json!("1805-01-01T00:00:00Z");
    send(&fake, 0, &[future.clone(), past]);
    assert!(
        alerts(&fake)
            .iter()
            .all(|alert| alert.starts_at.timestamp() == at(0).timestamp())
    );
    future["status"] = json!("resolved");
    future["endsAt"] = json!("2999-01-01T00:05:00Z");
    assert_eq!(outcomes(&send(&fake, 60, &[future])), ["resolved"]);
    assert_eq!(
        alerts(&fake)[0].ends_at.unwrap().timestamp(),
        at(60).timestamp()
    );
}

#[test]
fn nothing_is_half_done_without_the_grants() {
    let bare = FakeHost::denying();
    let refused =
        bare.call_json::<TakeAlertmanager>(&json!({"alerts": [alert("A", "cart", "high", 0)]}));
    assert!(matches!(refused, Err(Error::Denied { .. })));
    let mute =
        FakeHost::for_plugin(&include_str!("../../plugin.toml").replace("events = true", ""));
    mute.set_time(micros(start()));
    let one = alert("A", "cart", "high", -10);
    send(&mute, 0, std::slice::from_ref(&one));
    assert_eq!(
        outcomes(&send(&mute, 5, &[over(one, 1)])),
        ["resolved"],
        "the record says it too"
    );
    assert!(
        mute.log()
            .iter()
            .any(|(_, line)| line.contains("nobody is told"))
    );
}

#[test]
fn an_empty_payload_is_one() {
    let fake = fake();
    assert_eq!(send(&fake, 0, &[])["taken"], json!([]));
    assert!(fake.call_json::<TakeAlertmanager>(&json!({})).is_err());
    assert!(
        fake.call_json::<TakeAlertmanager>(&json!({"alerts": 7}))
            .is_err()
    );
    let truncated = fake
        .call_json::<TakeAlertmanager>(&json!({"alerts": [], "truncatedAlerts": 12}))
        .unwrap();
    assert!(
        truncated["notes"][0]
            .as_str()
            .unwrap()
            .contains("left out 12")
    );
}

/// What the host's schemas let pass and no type takes: clients may write records.
#[test]
fn records_that_somebody_spoiled_stop_nothing() {
    let fake = fake();
    let one = alert("A", "cart", "high", 0);
    send(&fake, 0, std::slice::from_ref(&one));
    let id = fake.records::<Value>("alerts")[0].0.clone();
    let host = fake.host();
    let spoil = |collection: &str, id: &str, field: &str, with: Value| {
        let change = |body: &mut Value| body[field] = with.clone();
        host.records::<Value>(collection)
            .change(id, change)
            .unwrap();
    };
    spoil("alerts", &id, "flaps", json!(1e12));
    spoil("alerts", &id, "flapping", json!(true));
    spoil("alert_groups", "GRP-current", "claims", json!("all"));
    let spoilt = json!({"title": "t", "affected_services": ["cart", 7], "symptom": {"service": "x", "at": "noon"}});
    let broken = fake.put("incidents", None, &spoilt);
    let taken = send(
        &fake,
        30,
        &[
            one,
            alert("B", "cart", "high", 0),
            alert("C", "mail", "high", 0),
        ],
    );
    assert_eq!(
        (outcomes(&taken), &taken["refused_count"]),
        (vec!["new", "new", "new"], &json!(0))
    );
    assert_eq!(alerts(&fake).len(), 3, "the spoilt one was written anew");
    let first = fake.records::<Value>("incidents")[0].0.clone();
    assert_eq!(taken["taken"][1]["incident"], json!(first), "not {broken}");
    assert_eq!(fake.call_json::<Settle>(&json!({})).unwrap()["settled"], 0);
}
