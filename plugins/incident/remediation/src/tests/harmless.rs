//! What is harmless, and what waits.

use super::scene::*;

#[test]
fn nothing_is_done_without_a_cause_for_critical_ones_or_when_not_wanted() {
    let proposes = |incident: &Value, input: Value, why: &str| {
        let scene = Scene::of(incident);
        let remediation = scene.with(input);
        assert!(scene.acted().is_empty() && remediation.acted_at.is_none());
        assert_eq!(statuses(&remediation)[0], ("actions.restart", Proposed));
        assert!(remediation.summary.contains(why), "{}", remediation.summary);
    };
    let ask = || json!({"incident": "INC-1"});
    proposes(
        &incident(),
        json!({"incident": "INC-1", "execute": false}),
        "nothing was to be executed",
    );
    let mut weak = incident();
    weak["cause"]["found"] = json!(false);
    proposes(&weak, ask(), "the cause was not found");
    let mut critical = incident();
    critical["severity"] = json!("critical");
    proposes(&critical, ask(), "a human decides");
    let mut escalated = incident();
    escalated["triage"] = json!({"severity": "high", "impact": "low", "urgency": "low", "route": "x", "escalate": true,
        "reasons": [], "confidence": 1.0});
    proposes(&escalated, ask(), "a human decides");
}

#[test]
fn what_is_harmless() {
    let terms = |cost: Option<i64>, risk: Risk, undo: Option<&str>| terms::Terms {
        cost_micro_usd: cost,
        risk,
        undo: undo.map(str::to_owned),
    };
    let most = HARMLESS_MICRO_USD;
    let objection = |terms: terms::Terms| terms.objection(most);
    assert_eq!(objection(terms(Some(0), Risk::Low, Some("x"))), None);
    assert_eq!(objection(terms(Some(most), Risk::Medium, Some("x"))), None);
    assert!(
        objection(terms(Some(most + 1), Risk::Low, Some("x")))
            .unwrap()
            .contains("more than $100.00")
    );
    assert!(
        objection(terms(Some(-1), Risk::Low, Some("x")))
            .unwrap()
            .contains("negative")
    );
    assert!(
        objection(terms(None, Risk::Low, Some("x")))
            .unwrap()
            .contains("not known")
    );
    assert!(
        objection(terms(Some(0), Risk::High, Some("x")))
            .unwrap()
            .contains("risk")
    );
    assert!(
        objection(terms(Some(0), Risk::Low, None))
            .unwrap()
            .contains("undo")
    );
    assert_eq!(dollars(2_500_000_000), "$2,500.00");
    assert_eq!(dollars(1_234_567_890_000), "$1,234,567.89");
    assert_eq!(dollars(-1_500_000), "-$1.50");
}

#[test]
fn the_worse_of_runbook_and_catalogue_counts() {
    let with = |step: Value, entry: Value| {
        let scene = Scene::new();
        *scene.runbooks.borrow_mut() = runbook(&[step]);
        *scene.catalogue.borrow_mut() = Ok(json!({"actions": [entry]}));
        let proposed = scene.with(json!({"incident": "INC-1", "execute": false}));
        proposed.steps[0].status
    };
    let restart =
        |cost: Value, risk: &str, undo: Value| runbook_step("actions.restart", cost, risk, undo);
    let free = || entry("actions.restart", 0, "low", json!("x"));
    assert_eq!(with(restart(json!(0), "low", json!("x")), free()), Proposed);
    assert_eq!(
        with(restart(Value::Null, "low", Value::Null), free()),
        Proposed,
        "the catalogue knows both"
    );
    assert_eq!(
        with(restart(json!(900_000_000_i64), "low", json!("x")), free()),
        Waiting
    );
    assert_eq!(with(restart(json!(0), "high", json!("x")), free()), Waiting);
    assert_eq!(
        with(
            restart(json!(0), "low", json!("x")),
            entry("actions.restart", 101, "low", json!("x"))
        ),
        Waiting
    );
    assert_eq!(
        with(
            restart(json!(0), "low", json!("x")),
            entry("actions.restart", 0, "high", json!("x"))
        ),
        Waiting
    );
    assert_eq!(
        with(
            restart(json!(0), "low", json!("x")),
            entry("actions.scale", 0, "low", json!("x"))
        ),
        Waiting,
        "unknown"
    );
    let mut priceless = free();
    priceless["cost_micro_usd"] = Value::Null;
    assert_eq!(
        with(restart(json!(0), "low", json!("x")), priceless),
        Waiting,
        "the catalogue does not know the cost"
    );
}

#[test]
fn without_a_catalogue_or_another_tool_a_human_decides() {
    let scene = Scene::new();
    *scene.catalogue.borrow_mut() = Err(Error::Denied {
        capability: "invoke".into(),
        reason: "no".into(),
    });
    let remediation = scene.run();
    assert!(scene.acted().is_empty());
    assert!(remediation.steps.iter().all(|step| step.status == Waiting));
    let other = Scene::new();
    *other.runbooks.borrow_mut() =
        runbook(&[runbook_step("simulator.apply", json!(0), "low", json!("x"))]);
    assert_eq!(statuses(&other.run()), [("simulator.apply", Waiting)]);
}

#[test]
fn settings_say_what_is_harmless() {
    let scene = Scene::new();
    let task = Task::new(from_value::<Input>(json!({"incident": "INC-1"})).unwrap())
        .with_settings(&json!({"most_cost_micro_usd": 3_000_000_000_i64}))
        .unwrap();
    let remediation = scene.fake.run::<RemediationAgent>(task).unwrap().output;
    assert_eq!(statuses(&remediation)[1], ("actions.fail-over", Proposed));
}
