//! What measured facts do to the ranking, and what they tell.

use super::scene::*;

#[test]
fn footprints_tell_the_kind() {
    let of = |resources: &[(&str, f64, f64)], lines: Vec<Value>| {
        let scene = Scene::usual();
        for (what, usual, now) in resources {
            scene.resource(what, *usual, *now);
        }
        scene.log("db", lines);
        let cause = scene.run();
        assert_eq!(first(&cause), "db");
        cause.kind
    };
    let at = "2026-03-01T12:00:10Z";
    let errors = |message: &str| vec![log(at, "error", message, json!({})); 5];
    assert_eq!(
        of(
            &[("db saturation", 0.3, 0.98), ("db cpu", 0.3, 0.6)],
            vec![]
        ),
        Some(FaultKind::Saturation)
    );
    assert_eq!(
        of(
            &[("db cpu", 0.3, 0.97), ("db saturation", 0.2, 0.4)],
            vec![]
        ),
        Some(FaultKind::Cpu)
    );
    assert_eq!(
        of(&[("db cpu", 0.30, 0.31), ("db memory", 0.5, 0.51)], vec![]),
        Some(FaultKind::Latency)
    );
    assert_eq!(
        of(&[], errors("cannot reach card-network: 7 calls failed")),
        Some(FaultKind::DependencyLoss)
    );
    let changed = vec![log(
        "2026-03-01T11:59:00Z",
        "info",
        "changed",
        json!({"event": "configuration", "key": "pool_size"}),
    )];
    assert_eq!(
        of(&[("db saturation", 0.3, 0.98)], changed),
        Some(FaultKind::Configuration)
    );
    let higher = [("db saturation", 0.3, 0.6), ("db cpu", 0.2, 0.4)];
    assert_eq!(of(&higher, vec![]), Some(FaultKind::Latency));
    let mut lost = errors("cannot reach card-network: 7 calls failed");
    let deployed = json!({"event": "deployment", "version": "1"});
    lost.push(log(
        "2026-03-01T11:57:30Z",
        "info",
        "deployed",
        deployed.clone(),
    ));
    assert_eq!(of(&[], lost.clone()), Some(FaultKind::DependencyLoss));
    lost.push(log("2026-03-01T11:59:40Z", "info", "deployed", deployed));
    assert_eq!(of(&[], lost), Some(FaultKind::BadDeployment));
    let long_ago = vec![log(
        "2026-03-01T11:20:00Z",
        "info",
        "deployed",
        json!({"event": "deployment", "version": "1"}),
    )];
    assert_eq!(of(&[], long_ago), Some(FaultKind::Latency));
}

#[test]
fn measured_facts_move_a_close_second_and_nobody_who_is_far_behind() {
    let deployed = || {
        vec![log(
            "2026-03-01T11:59:30Z",
            "info",
            "x",
            json!({"event": "deployment", "version": "9"}),
        )]
    };
    let close = Scene::ranked(true, &[("cart", 0.45), ("db", 0.35)]);
    close.log("db", deployed());
    let cause = close.run();
    assert_eq!(
        (first(&cause), cause.kind),
        ("db", Some(FaultKind::BadDeployment))
    );
    assert!(
        cause
            .ranking
            .iter()
            .map(|suspect| suspect.confidence)
            .sum::<f64>()
            <= 1.0
    );
    assert!(
        cause.ranking[0]
            .evidence
            .iter()
            .any(|evidence| evidence.text.contains("its version, `9`"))
    );
    let far = Scene::ranked(true, &[("cart", 0.8), ("db", 0.1)]);
    far.log("db", deployed());
    assert_eq!(first(&far.run()), "cart");
}

#[test]
fn complaints_point_at_whom_they_name() {
    let scene = Scene::ranked(true, &[("cart", 0.42), ("db", 0.4)]);
    scene.log(
        "cart",
        vec![
            log(
                "2026-03-01T12:00:10Z",
                "warning",
                "db did not answer in time (9 calls)",
                json!({})
            );
            5
        ],
    );
    let cause = scene.run();
    assert_eq!(first(&cause), "db");
    assert!(
        cause.ranking[0]
            .evidence
            .iter()
            .any(|evidence| evidence.text.contains("`cart` complained"))
    );
}

#[test]
fn what_was_undone_since_is_no_reason() {
    let scene = Scene::usual();
    let event = json!({"event": "deployment", "version": "9"});
    scene.log(
        "db",
        vec![
            log("2026-03-01T11:59:20Z", "info", "deployed version 9", event),
            log(
                "2026-03-01T11:59:40Z",
                "info",
                "rolled back",
                json!({"action": "roll-back"}),
            ),
        ],
    );
    let cause = scene.run();
    assert_eq!(cause.kind, Some(FaultKind::Latency));
    assert!(!cause.summary.contains("version"), "{}", cause.summary);
}

#[test]
fn what_did_not_help_speaks_against_the_component() {
    let scene = Scene::ranked(true, &[("cart", 0.5), ("db", 0.35)]);
    assert_eq!(first(&scene.run()), "cart");
    let step = |status: &str| {
        json!({"tool": "actions.restart", "arguments": {"service": "cart"}, "why": "x", "cost_micro_usd": 0,
            "risk": "low", "undo": "x", "status": status})
    };
    let with = |status: &str, verdict: &str| {
        let scene = Scene::ranked(true, &[("cart", 0.5), ("db", 0.35)]);
        let incident = json!({"title": "x", "symptom": {"service": "web", "at": ONSET},
            "remediation": {"runbooks": [], "steps": [step(status)], "summary": "x"},
            "verification": {"verdict": verdict, "checks": [], "at": ONSET}});
        scene.fake.put("incidents", Some("INC-2"), &incident);
        let task = Task::new(Input {
            incident: Some("INC-2".into()),
        });
        let cause = scene.fake.run::<RootCause>(task).unwrap().output;
        (first(&cause).to_owned(), cause.steps[0].observation.clone())
    };
    let (component, told) = with("done", "not_resolved");
    assert_eq!(component, "db");
    assert!(told.contains("done to `cart` did not help"), "{told}");
    assert_eq!(with("failed", "not_resolved").0, "cart", "nothing was done");
    assert_eq!(with("done", "inconclusive").0, "cart", "nobody knows");
}

#[test]
fn what_recovered_while_the_symptom_goes_on_is_not_the_cause() {
    let with = |cart: &'static str, web: &'static str| {
        let scene = Scene::ranked(true, &[("cart", 0.8), ("db", 0.15)]);
        scene.fake.tool("monitoring.health", move |_| {
            Ok(json!({"services": [{"service": "cart", "verdict": cart}, {"service": "web", "verdict": web}]}))
        });
        let step = json!({"tool": "actions.restart", "arguments": {"service": "cart"}, "why": "x",
            "cost_micro_usd": 0, "risk": "low", "undo": "x", "status": "done"});
        let incident = json!({"title": "x", "symptom": {"service": "web", "at": ONSET},
            "remediation": {"runbooks": [], "steps": [step], "summary": "x"},
            "verification": {"verdict": "not_resolved", "checks": [], "at": ONSET}});
        scene.fake.put("incidents", Some("INC-2"), &incident);
        let task = Task::new(Input {
            incident: Some("INC-2".into()),
        });
        let cause = scene.fake.run::<RootCause>(task).unwrap().output;
        assert_eq!(actions(&cause)[1], "monitoring.health");
        first(&cause).to_owned()
    };
    assert_eq!(with("healthy", "degraded"), "db");
    assert_eq!(with("degraded", "degraded"), "cart");
    assert_eq!(
        with("healthy", "healthy"),
        "cart",
        "the symptom is not seen either"
    );
    assert_eq!(with("no_data", "degraded"), "cart");
}

#[test]
fn the_marks_of_another_incident_are_left_out() {
    let ended = |at: &str, second: Value| {
        let scene = Scene::new();
        let other = json!({"title": "x", "status": "resolved", "resolved_at": at});
        scene.fake.put("incidents", Some("INC-0"), &other);
        let before = ranking(true, &[("cart", 0.7)]);
        scene.rankings.borrow_mut().extend([Ok(before), Ok(second)]);
        let cause = scene.run();
        let asked: Vec<String> = scene
            .fake
            .calls_of("invoke")
            .into_iter()
            .map(|call| call.arguments)
            .collect();
        let narrow = asked
            .iter()
            .any(|asked| asked.contains("window\\\":{\\\"start\\\":\\\"2026-03-01T11:59:30Z"));
        (first(&cause).to_owned(), narrow)
    };
    let db = || ranking(true, &[("db", 0.7)]);
    assert_eq!(ended("2026-03-01T11:59:30Z", db()), ("db".into(), true));
    let nothing = ranking(false, &[("db", 0.1)]);
    assert_eq!(
        ended("2026-03-01T11:59:30Z", nothing),
        ("cart".into(), true)
    );
    assert_eq!(
        ended("2026-03-01T11:30:00Z", db()),
        ("cart".into(), false),
        "long ago"
    );
    assert_eq!(
        ended("2026-03-01T12:00:30Z", db()),
        ("cart".into(), false),
        "later"
    );
}
