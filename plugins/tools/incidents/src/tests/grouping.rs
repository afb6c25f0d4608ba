//! Which alerts become one incident.

use super::*;
use incident_contract::incident::{COLLECTION, Severity, Status};

fn services(fake: &FakeHost) -> Vec<Vec<String>> {
    incidents(fake)
        .into_iter()
        .map(|(_, incident)| incident.affected_services)
        .collect()
}

fn set(fake: &FakeHost, id: &str, change: impl FnMut(&mut Incident)) {
    fake.host()
        .records::<Incident>(COLLECTION)
        .change(id, change)
        .unwrap();
}

#[test]
fn connected_services_are_one_incident_while_it_is_young() {
    let fake = fake();
    send(&fake, 0, &[alert("A", "cart", "warning", 0)]);
    send(&fake, 60, &[alert("A", "db", "warning", 60)]);
    send(&fake, 119, &[alert("A", "orders", "critical", 119)]);
    assert_eq!(services(&fake), [["cart", "db", "orders"]]);
    let (id, incident) = &incidents(&fake)[0];
    assert_eq!(
        (incident.severity, incident.alerts.len()),
        (Some(Severity::Critical), 3)
    );
    assert!(
        alerts(&fake)
            .iter()
            .all(|alert| alert.incident.as_ref() == Some(id))
    );
    // From the start on it is two minutes old.
    send(&fake, 121, &[alert("A", "web", "low", 121)]);
    assert_eq!(services(&fake).len(), 2);
}

#[test]
fn groups_stay_pure() {
    let fake = fake();
    let all = ["cart", "search", "mail", "orders"].map(|service| alert("A", service, "high", 0));
    send(&fake, 0, &all);
    assert_eq!(
        services(&fake),
        [vec!["cart", "orders"], vec!["search"], vec!["mail"]],
        "cart and search have only a caller in common, mail has nothing"
    );
    // It is connected with both: it goes to the nearest, and does not join what is apart.
    send(&fake, 5, &[alert("A", "web", "high", 5)]);
    assert_eq!(services(&fake).len(), 3);
}

#[test]
fn the_same_service_is_the_same_incident_as_long_as_that_is_open() {
    let fake = fake();
    send(&fake, 0, &[alert("A", "cart", "warning", 0)]);
    let id = incidents(&fake)[0].0.clone();
    set(&fake, &id, |incident| incident.status = Status::Awaiting);
    send(&fake, 3_600, &[alert("B", "cart", "high", 3_600)]);
    let (_, incident) = &incidents(&fake)[0];
    assert_eq!(
        (incident.alerts.len(), incident.status),
        (2, Status::Awaiting)
    );
    assert_eq!(incident.severity, Some(Severity::High), "it rises");
    send(&fake, 3_700, &[alert("C", "cart", "low", 3_700)]);
    assert_eq!(
        incidents(&fake)[0].1.severity,
        Some(Severity::High),
        "and does not fall"
    );
    set(&fake, &id, |incident| {
        incident.status = Status::Resolved;
        incident.resolved_at = Some(at(3_800));
    });
    let taken = send(&fake, 3_810, &[alert("D", "cart", "low", 3_810)]);
    assert_eq!(
        (
            incidents(&fake).len(),
            taken["opened"].as_array().unwrap().len()
        ),
        (2, 1)
    );
}

#[test]
fn what_begins_long_after_its_incident_was_handed_over_gets_another() {
    let fake = fake();
    let (goes_on, comes_again) = (alert("A", "cart", "high", 0), alert("B", "cart", "high", 0));
    send(&fake, 0, &[goes_on.clone(), comes_again.clone()]);
    let id = incidents(&fake)[0].0.clone();
    set(&fake, &id, |incident| {
        incident.status = Status::Awaiting;
        incident.escalation = Some(incident_contract::incident::Escalation {
            to: "on-call".to_owned(),
            reason: "No harmless step is left.".to_owned(),
            at: at(30),
        });
    });
    send(&fake, 100, &[over(comes_again.clone(), 90)]);
    send(&fake, 110, &[alert("B", "cart", "high", 105)]);
    assert_eq!(incidents(&fake).len(), 1, "it is the same trouble yet");
    send(&fake, 200, &[over(alert("B", "cart", "high", 105), 190)]);
    send(&fake, 400, &[goes_on]);
    assert_eq!(incidents(&fake).len(), 1, "it never was over");
    send(&fake, 500, &[alert("B", "cart", "high", 495)]);
    let all = incidents(&fake);
    assert_eq!(all.len(), 2, "it may be another");
    assert_eq!(
        all.iter()
            .filter(|(_, one)| one.status == Status::New)
            .count(),
        1
    );
}

#[test]
fn an_incident_that_a_human_made_takes_alerts_too() {
    let fake = fake();
    // As it comes over the API: what was not said is not there.
    let id = fake.put(
        COLLECTION,
        None,
        &json!({"title": "Customers complain", "affected_services": ["cart"]}),
    );
    send(
        &fake,
        3_000,
        &[alert("HighLatency", "cart", "warning", 3_000)],
    );
    let all = incidents(&fake);
    assert_eq!((all.len(), all[0].1.alerts.len()), (1, 1));
    assert_eq!(alerts(&fake)[0].incident, Some(id));
    assert_eq!(
        all[0].1.severity, None,
        "what triage has to find is not belittled"
    );
    assert_eq!(all[0].1.symptom.as_ref().unwrap().service, "cart");
    assert_eq!(
        (all[0].1.title.as_str(), all[0].1.detected_by.as_str()),
        ("Customers complain", "")
    );
}

#[test]
fn what_goes_on_after_its_incident_was_resolved_gets_another() {
    let fake = fake();
    let one = alert("A", "cart", "high", 0);
    send(&fake, 0, std::slice::from_ref(&one));
    let id = incidents(&fake)[0].0.clone();
    set(&fake, &id, |incident| {
        incident.status = Status::Resolved;
        incident.resolved_at = Some(at(100));
    });
    send(&fake, 160, std::slice::from_ref(&one));
    assert_eq!(incidents(&fake).len(), 1, "what helped takes time to show");
    send(&fake, 401, std::slice::from_ref(&one));
    let all = incidents(&fake);
    assert_eq!(
        (all.len(), &alerts(&fake)[0].incident),
        (2, &Some(all[1].0.clone()))
    );
}

#[test]
fn what_fires_again_after_its_incident_was_resolved_gets_another_at_once() {
    let fake = fake();
    let one = alert("A", "cart", "high", 0);
    send(&fake, 0, std::slice::from_ref(&one));
    send(&fake, 50, &[over(one, 40)]);
    let id = incidents(&fake)[0].0.clone();
    set(&fake, &id, |incident| incident.status = Status::Resolved);
    let taken = send(&fake, 60, &[alert("A", "cart", "high", 55)]);
    assert_eq!(
        (outcomes(&taken), incidents(&fake).len()),
        (vec!["reopened"], 2)
    );
}

#[test]
fn an_incident_that_was_lost_is_written_by_the_next_notification() {
    let fake = fake();
    let one = alert("A", "cart", "high", 0);
    let taken = send(&fake, 0, std::slice::from_ref(&one));
    let id = taken["opened"][0].as_str().unwrap();
    // As if the host had stopped between the alert and its incident.
    let host = fake.host();
    let written = host.records::<Incident>(COLLECTION).get(id).unwrap();
    host.records::<Incident>(COLLECTION)
        .delete(&written)
        .unwrap();
    let again = send(&fake, 30, std::slice::from_ref(&one));
    assert_eq!(
        again["opened"],
        json!([id]),
        "the one that was decided, not another"
    );
    let third = send(&fake, 40, &[alert("B", "cart", "high", 40)]);
    assert_eq!(
        (third["opened"].clone(), incidents(&fake).len()),
        (json!([]), 1)
    );
}

#[test]
fn alerts_about_no_service_are_grouped_by_their_name() {
    let fake = fake();
    let nameless = |name: &str, pod: &str| json!({"status": "firing", "labels": {"alertname": name, "zone": pod}});
    send(
        &fake,
        0,
        &[
            nameless("DiskFull", "a"),
            nameless("DiskFull", "b"),
            nameless("Backup", "a"),
        ],
    );
    send(&fake, 600, &[nameless("DiskFull", "c")]);
    let all = incidents(&fake);
    let counts: Vec<usize> = all
        .iter()
        .map(|(_, incident)| incident.alerts.len())
        .collect();
    assert_eq!(counts, [3, 1]);
    assert!(
        all.iter().all(
            |(_, incident)| incident.symptom.is_none() && incident.affected_services.is_empty()
        )
    );
    assert_eq!(all[0].1.title, "DiskFull");
}

#[test]
fn without_a_topology_the_service_decides_and_that_is_said() {
    let fake = FakeHost::for_plugin(
        &include_str!("../../plugin.toml").replace("telemetry = [\"read\"]", ""),
    );
    let taken = send(
        &fake,
        0,
        &[alert("A", "cart", "high", 0), alert("A", "db", "high", 0)],
    );
    assert_eq!(incidents(&fake).len(), 2);
    assert!(taken["notes"][0].as_str().unwrap().contains("topology"));
}

#[test]
fn repeats_touch_neither_guard_nor_incident() {
    let fake = fake();
    let one = alert("A", "cart", "high", 0);
    send(&fake, 0, std::slice::from_ref(&one));
    let before = fake.calls_of("records").len();
    send(&fake, 60, std::slice::from_ref(&one));
    let calls = fake.calls_of("records");
    let later: Vec<&str> = calls[before..].iter().map(|call| call.function).collect();
    let writes = later
        .iter()
        .filter(|function| **function != "find" && **function != "get");
    assert_eq!(writes.count(), 1, "{later:?}");
}
