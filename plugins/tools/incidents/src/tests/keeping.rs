//! Incidents as people and agents keep them.

use super::*;
use crate::{Analyse, Create, Find, Get, Update};
use incident_contract::incident::{COLLECTION, Status};

fn create(fake: &FakeHost, title: &str) -> Value {
    let arguments = json!({"title": title, "affected_services": ["cart"], "severity": "high", "detected_by": "me",
        "symptom": {"service": "cart", "signal": "latency"}});
    fake.call_json::<Create>(&arguments).unwrap()
}

#[test]
fn an_incident_is_created_read_and_found() {
    let fake = fake();
    let made = create(&fake, "Cart is slow");
    assert_eq!(
        (&made["version"], &made["body"]["status"]),
        (&json!(1), &json!("new"))
    );
    let read = fake.call_json::<Get>(&json!({"id": made["id"]})).unwrap();
    assert_eq!(read["body"], made["body"]);
    create(&fake, "Search is down");
    let find = |wanted: Value| {
        let found = fake.call_json::<Find>(&wanted).unwrap();
        found["incidents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["body"]["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(find(json!({})), ["Search is down", "Cart is slow"]);
    assert_eq!(find(json!({"text": "slow"})), ["Cart is slow"]);
    assert_eq!(
        find(json!({"service": "cart", "status": "new", "severity": "high", "detected_by": "me"}))
            .len(),
        2
    );
    assert!(find(json!({"status": "closed"})).is_empty());
    let first = fake.call_json::<Find>(&json!({"limit": 1})).unwrap();
    assert_eq!(
        find(json!({"limit": 1, "cursor": first["cursor"]})),
        ["Cart is slow"]
    );
    assert!(
        fake.call_json::<Get>(&json!({"id": "INC-0"}))
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        fake.call_json::<Create>(&json!({"title": "  "}))
            .unwrap_err()
            .to_string()
            .contains("/title")
    );
    assert!(
        fake.call_json::<Create>(&json!({"title": "a", "cause": {}}))
            .is_err(),
        "not for people"
    );
}

#[test]
fn people_change_what_is_theirs() {
    let fake = fake();
    let id = create(&fake, "Cart is slow")["id"].clone();
    let update = |change: Value| {
        let mut arguments = change;
        arguments["id"] = id.clone();
        fake.call_json::<Update>(&arguments)
    };
    let noted = update(json!({"note": "Called the provider.", "severity": "critical", "affected_services": ["db", "cart"]})).unwrap();
    let body = &noted["body"];
    assert!(
        body["description"]
            .as_str()
            .unwrap()
            .ends_with("UTC] Called the provider."),
        "{body}"
    );
    assert_eq!(
        (&body["severity"], &body["affected_services"]),
        (&json!("critical"), &json!(["cart", "db"]))
    );
    let done = update(json!({"status": "resolved", "resolution": "They repaired it."})).unwrap();
    assert!(done["body"]["resolved_at"].is_string());
    let closed = update(json!({"status": "closed"})).unwrap();
    assert_eq!(
        closed["body"]["resolved_at"], done["body"]["resolved_at"],
        "it was over before"
    );
    let open = update(json!({"status": "active"})).unwrap();
    assert!(open["body"]["resolved_at"].is_null() && open["body"]["resolution"].is_null());
    let version = open["version"].clone();
    assert!(
        update(json!({"status": "new"}))
            .unwrap_err()
            .to_string()
            .contains("/status")
    );
    assert_eq!(
        fake.call_json::<Get>(&json!({"id": id})).unwrap()["version"],
        version,
        "nothing was written"
    );
    assert!(update(json!({"triage": {}})).is_err());
    for _ in 0..6 {
        update(json!({"note": "x".repeat(2_000)})).unwrap();
    }
    let long = update(json!({"note": "The last one."})).unwrap();
    let description = long["body"]["description"].as_str().unwrap();
    assert!(description.chars().count() <= 10_000 && description.ends_with("The last one."));
}

#[test]
fn an_analysis_tells_age_alerts_and_what_it_is_like() {
    let fake = fake();
    let past = json!({"title": "Cart answers slowly", "affected_services": ["cart"], "status": "resolved",
        "resolution": "Restarted it.", "resolved_at": at(-9_000), "cause": {"found": true, "kind": "leak", "summary": "",
        "ranking": [{"component": "db", "confidence": 0.9, "evidence": [], "path": []}], "steps": [], "author": "rules"}});
    fake.put(COLLECTION, Some("INC-00000001"), &past);
    fake.put(
        COLLECTION,
        Some("INC-00000002"),
        &json!({"title": "Mail bounces", "status": "closed"}),
    );
    fake.put(
        COLLECTION,
        Some("INC-00000003"),
        &json!({"title": "Cart answers slowly", "status": "closed", "affected_services": ["web"]}),
    );
    let mut first = alert("HighLatency", "cart", "warning", 0);
    first["annotations"]["summary"] = json!("cart answers slowly");
    let second = alert("ErrorRate", "db", "critical", 10);
    let taken = send(&fake, 10, &[first.clone(), second.clone()]);
    send(&fake, 60, &[over(second, 50)]);
    fake.set_time(micros(at(310)));
    let facts = fake
        .call_json::<Analyse>(&json!({"id": taken["opened"][0]}))
        .unwrap();
    assert_eq!(facts["age_seconds"], 300);
    let alerts = &facts["alerts"];
    assert_eq!(
        (&alerts["total"], &alerts["firing"], &alerts["resolved"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(
        (&alerts["worst"], &alerts["firing_by_service"]),
        (&json!("warning"), &json!({"cart": 1}))
    );
    let similar = facts["similar"].as_array().unwrap();
    let ids: Vec<&str> = similar
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["INC-00000001", "INC-00000003"]);
    assert_eq!(
        (&similar[0]["cause"], &similar[0]["kind"]),
        (&json!("db"), &json!("leak"))
    );
    assert!(similar[0]["similarity"].as_f64() > similar[1]["similarity"].as_f64());
}

#[test]
fn a_status_that_nobody_gave_is_new() {
    let fake = fake();
    let id = fake.put(COLLECTION, None, &json!({"title": "t"}));
    let read = fake.call_json::<Get>(&json!({ "id": id })).unwrap();
    assert_eq!(
        serde_json::from_value::<Status>(read["body"]["status"].clone()).unwrap(),
        Status::New
    );
}
