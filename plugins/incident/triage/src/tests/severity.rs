//! From facts to a severity and a route.

use super::scene::*;

#[test]
fn the_whole_table() {
    use Level::{High, Low, Medium};
    let table = [
        (High, High, Severity::Critical),
        (High, Medium, Severity::High),
        (High, Low, Severity::Medium),
        (Medium, High, Severity::High),
        (Medium, Medium, Severity::Medium),
        (Medium, Low, Severity::Low),
        (Low, High, Severity::Medium),
        (Low, Medium, Severity::Low),
        (Low, Low, Severity::Low),
    ];
    for (impact, urgency, severity) in table {
        assert_eq!(
            matrix::severity(impact, urgency),
            severity,
            "{impact:?} × {urgency:?}"
        );
    }
    // Neither more impact nor more urgency ever makes it less.
    for (impact, urgency, severity) in table {
        for (more_impact, more_urgency, more) in table {
            if more_impact >= impact && more_urgency >= urgency {
                assert!(more >= severity);
            }
        }
    }
}

#[test]
fn a_fault_that_hurts_some_requests_of_an_entry_point_is_high() {
    let triage = Scene {
        health: &[("web", "degraded")],
        availability: Some(97.0),
        alerts: &["high"],
        ..Scene::default()
    }
    .triage();
    assert_eq!((triage.severity, triage.escalate), (Severity::High, false));
    assert_eq!(
        (triage.impact, triage.urgency),
        (Level::Medium, Level::High)
    );
    assert!(
        triage
            .reasons
            .iter()
            .any(|reason| reason.contains("Users come in at `web`")),
        "{triage:?}"
    );
}

#[test]
fn an_entry_point_that_answers_less_than_half_is_critical_and_a_human_is_told() {
    let triage = Scene {
        health: &[("web", "degraded")],
        availability: Some(31.0),
        ..Scene::default()
    }
    .triage();
    assert_eq!(
        (triage.severity, triage.escalate),
        (Severity::Critical, true)
    );
    assert!(triage.reasons[0].contains("31 %"), "{triage:?}");
}

#[test]
fn what_little_depends_on_is_less() {
    let low = Scene {
        incident: json!({"title": "Slow", "affected_services": ["search"], "severity": "low"}),
        health: &[("search", "degraded")],
        ..Scene::default()
    };
    let triage = low.triage();
    // Two of five are reached: `search` and `web`.
    assert_eq!(
        (triage.impact, triage.severity),
        (Level::Low, Severity::Medium)
    );
    let calm = Scene { health: &[], ..low }.triage();
    assert_eq!((calm.urgency, calm.severity), (Level::Low, Severity::Low));
}

#[test]
fn what_was_reported_is_never_lowered() {
    for severity in ["critical", "high", "medium"] {
        let triage = Scene {
            incident: json!({"title": "?", "affected_services": ["search"], "severity": severity}),
            ..Scene::default()
        }
        .triage();
        assert_eq!(name(triage.severity), severity);
        assert_eq!(triage.escalate, severity == "critical");
    }
}

#[test]
fn missing_facts_raise_and_cost_confidence() {
    let known = Scene {
        health: &[("web", "degraded")],
        alerts: &["high"],
        ..Scene::default()
    }
    .triage();
    let fake = FakeHost::for_plugin(include_str!("../../plugin.toml"));
    fake.collection("incidents", "INC-{8}");
    fake.put(
        "incidents",
        Some("INC-1"),
        &json!({"title": "Something is wrong", "severity": "low"}),
    );
    let unknown = run(&fake);
    assert_eq!(unknown.severity, Severity::High, "{unknown:?}");
    assert!(
        unknown.confidence < known.confidence - 0.3,
        "{} {}",
        unknown.confidence,
        known.confidence
    );
    for fact in [
        "names no component",
        "topology could not be read",
        "not known",
    ] {
        assert!(
            unknown.reasons.iter().any(|reason| reason.contains(fact)),
            "{fact}: {unknown:?}"
        );
    }
    let silent = Scene {
        health: &[("web", "no_data")],
        ..Scene::default()
    }
    .triage();
    assert_eq!(
        (silent.urgency, silent.severity),
        (Level::High, Severity::High),
        "{silent:?}"
    );
    assert!(
        silent
            .reasons
            .iter()
            .any(|reason| reason.contains("no data of `web`")),
        "{silent:?}"
    );
}

#[test]
fn alerts_speak_for_urgency_and_resolved_ones_do_not() {
    let scene = Scene {
        incident: json!({"title": "x", "symptom": {"service": "search"}}),
        ..Scene::default()
    };
    let with = |alerts: &'static [&'static str]| {
        Scene {
            alerts,
            incident: scene.incident.clone(),
            ..Scene::default()
        }
        .triage()
        .urgency
    };
    assert_eq!(with(&["info", "low"]), Level::Low);
    assert_eq!(with(&["info", "warning"]), Level::Medium);
    assert_eq!(with(&["info", "critical"]), Level::High);
    let fake = Scene {
        incident: scene.incident.clone(),
        ..Scene::default()
    }
    .fake();
    fake.put(
        "alerts",
        Some("ALT-9"),
        &json!({"severity": "critical", "status": "resolved"}),
    );
    fake.put(
        "incidents",
        Some("INC-2"),
        &json!({"title": "x", "symptom": {"service": "search"}, "alerts": ["ALT-9"]}),
    );
    let two = Task::new(Input { incident: None }).about("incidents", "INC-2");
    assert_eq!(
        fake.run::<TriageAgent>(two).unwrap().output.urgency,
        Level::Low
    );
}

#[test]
fn routes_follow_names_and_the_operator_first() {
    let route = |service: &str, settings: Value| {
        let fake = Scene {
            incident: json!({"title": "x", "symptom": {"service": service}}),
            ..Scene::default()
        }
        .fake();
        fake.run::<TriageAgent>(task().with_settings(&settings).unwrap())
            .unwrap()
            .output
            .route
    };
    assert_eq!(route("orders-db", json!({})), "database");
    assert_eq!(route("Public-Gateway", json!({})), "network");
    assert_eq!(route("order-queue", json!({})), "messaging");
    assert_eq!(route("checkout", json!({})), "on-call");
    let rules = json!({"routes": [{"contains": "ORDERS", "to": "orders-team"}]});
    assert_eq!(route("orders-db", rules), "orders-team");
}

#[test]
fn tasks_without_an_incident_are_refused() {
    let refused = |input: Value| FakeHost::new().run_json::<TriageAgent>(&input).unwrap_err();
    assert!(
        refused(json!({}))
            .to_string()
            .contains("incident: expected")
    );
    assert!(
        refused(json!({"incident": "../etc"}))
            .to_string()
            .contains("incident: expected")
    );
    assert!(refused(json!({"incident": "INC-404"})).is_not_found());
}

#[test]
fn records_of_the_contract_are_read() {
    let full = Incident {
        affected_services: vec!["web".into()],
        ..mandate_sdk::serde_json::from_value(json!({"title": "x"})).unwrap()
    };
    let fake = Scene::default().fake();
    let id = fake.put("incidents", None, &full);
    let about = Task::new(Input { incident: None }).about("incidents", &id);
    assert_eq!(
        fake.run::<TriageAgent>(about).unwrap().output.impact,
        Level::Medium
    );
}

#[test]
fn what_is_measured_rarely_is_judged_over_a_longer_time() {
    let fake = Scene::default().fake();
    fake.tool("monitoring.health", |arguments| {
        let verdict = if arguments["window"].is_null() {
            "degraded"
        } else {
            "no_data"
        };
        Ok(json!({"services": [{"service": "web", "verdict": verdict, "checks": []}]}))
    });
    let triage = run(&fake);
    assert_eq!(triage.urgency, Level::High);
    assert!(
        triage
            .reasons
            .iter()
            .any(|reason| reason.contains("`web` is degraded")),
        "{triage:?}"
    );
}
