//! What is done, and what is said about it.

use super::scene::*;

#[test]
fn one_harmless_step_is_done_and_the_costly_one_waits() {
    let scene = Scene::new();
    let remediation = scene.run();
    assert_eq!(
        statuses(&remediation),
        [
            ("actions.restart", Done),
            ("actions.fail-over", Waiting),
            ("actions.scale", Proposed)
        ]
    );
    assert_eq!(
        scene.acted.borrow()[..],
        [(
            "actions.restart".into(),
            json!({"service": "db", "reason": "leak of db"})
        )]
    );
    assert!(remediation.acted_at.is_some());
    assert_eq!(remediation.runbooks, ["RB-leak"]);
    let costly = &remediation.steps[1];
    assert_eq!(
        (costly.cost_micro_usd, costly.risk),
        (Some(2_500_000_000), Risk::Medium)
    );
    assert!(
        costly
            .outcome
            .as_ref()
            .unwrap()
            .contains("$2,500.00, more than $100.00"),
        "{costly:?}"
    );
    assert!(
        remediation.summary.contains("actions.restart of `db`"),
        "{}",
        remediation.summary
    );
}

#[test]
fn asked_again_it_goes_on_with_the_next() {
    let scene = Scene::new();
    let first = scene.run();
    let again = Scene::of(&{
        let mut incident = incident();
        incident["remediation"] = mandate_sdk::serde_json::to_value(&first).unwrap();
        incident
    });
    let second = again.run();
    assert_eq!(again.acted(), ["actions.scale"]);
    assert_eq!(
        statuses(&second),
        [
            ("actions.restart", Done),
            ("actions.fail-over", Waiting),
            ("actions.scale", Done)
        ]
    );
    let told = Scene::new();
    told.with(json!({"incident": "INC-1", "tried": [{"tool": "actions.restart", "arguments": {"service": "db"}}]}));
    assert_eq!(told.acted(), ["actions.scale"]);
    let all = Scene::new();
    let tried: Vec<Value> = ["actions.restart", "actions.scale"]
        .map(|tool| json!({"tool": tool, "arguments": {"service": "db"}}))
        .into();
    let rest = all.with(json!({"incident": "INC-1", "tried": tried}));
    assert_eq!(all.acted(), ["actions.fail-over"]);
    assert_eq!(statuses(&rest)[2], ("actions.fail-over", Done));
}

#[test]
fn each_step_is_asked_for_with_what_speaks_for_it() {
    let scene = Scene::new();
    let tried: Vec<Value> = ["actions.restart", "actions.scale"]
        .map(|tool| json!({"tool": tool, "arguments": {"service": "db"}}))
        .into();
    let task =
        Task::new(from_value::<Input>(json!({"incident": "INC-1", "tried": tried})).unwrap())
            .with_settings(&json!({"hour_costs_micro_usd": {"high": 9_000_000_000_i64}}))
            .unwrap();
    scene.fake.run::<RemediationAgent>(task).unwrap();
    let acts = scene.fake.acts();
    let [(tool, arguments, reasons)] = acts.as_slice() else {
        panic!("{acts:?}");
    };
    assert_eq!(tool, "actions.fail-over");
    assert_eq!(arguments["service"], "db");
    for part in ["INC-1", "web is slow", "It helps."] {
        assert!(reasons.why.contains(part), "{}", reasons.why);
    }
    assert_eq!(
        (reasons.cost, reasons.gain),
        (Some(2_500_000_000), Some(9_000_000_000))
    );
    assert_eq!(reasons.risk, Some(mandate_sdk::invoke::Risk::Medium));
    assert_eq!((reasons.confidence, reasons.reversible), (Some(0.8), None));
    assert_eq!(reasons.undo.as_deref(), Some("fail back"));
}

#[test]
fn what_is_refused_waits_and_nothing_else_is_tried() {
    for refused in [
        Error::Denied {
            capability: "effects".into(),
            reason: "nothing on Sundays".into(),
        },
        Error::BudgetExhausted { resets_at: None },
    ] {
        let scene = Scene::new();
        scene.answers("actions.restart", Err(refused));
        let remediation = scene.run();
        assert_eq!(scene.acted(), ["actions.restart"]);
        assert_eq!(statuses(&remediation)[0], ("actions.restart", Waiting));
        assert_eq!(remediation.acted_at, None);
        assert!(
            remediation
                .summary
                .contains("actions.restart of `db` was refused"),
            "{}",
            remediation.summary
        );
    }
    let scene = Scene::new();
    let not_granted = Error::Denied {
        capability: "invoke".into(),
        reason: "not granted".into(),
    };
    scene.answers("actions.restart", Err(not_granted));
    scene.run();
    assert_eq!(
        scene.acted(),
        ["actions.restart", "actions.scale"],
        "nobody judged it"
    );
}

#[test]
fn what_says_that_it_did_nothing_is_followed_by_the_next() {
    let scene = Scene::new();
    scene.answers(
        "actions.restart",
        Ok(json!({"done": false, "message": "there is no such service", "undo": Value::Null})),
    );
    let remediation = scene.run();
    assert_eq!(scene.acted(), ["actions.restart", "actions.scale"]);
    assert_eq!(statuses(&remediation)[0], ("actions.restart", Failed));
    assert_eq!(
        remediation.steps[0].outcome.as_deref(),
        Some("there is no such service")
    );
    for refused in [
        Error::failed("no environment is running"),
        Error::NotFound("x".into()),
        Error::invalid("service: too long"),
    ] {
        let scene = Scene::new();
        scene.answers("actions.restart", Err(refused.clone()));
        scene.answers("actions.scale", Err(refused.clone()));
        scene.answers("actions.fail-over", Err(refused));
        let remediation = scene.run();
        assert_eq!((scene.acted().len(), remediation.acted_at), (3, None));
        assert!(
            remediation.summary.contains("All 3 steps"),
            "{}",
            remediation.summary
        );
    }
}

#[test]
fn after_what_may_have_happened_nothing_more_is_done() {
    for unclear in [
        Error::Interrupted("x".into()),
        Error::Unavailable {
            reason: "x".into(),
            retry_after: None,
        },
    ] {
        let scene = Scene::new();
        scene.answers("actions.restart", Err(unclear));
        let remediation = scene.run();
        assert_eq!(scene.acted(), ["actions.restart"]);
        assert_eq!(statuses(&remediation)[0], ("actions.restart", Failed));
        assert!(remediation.acted_at.is_some(), "so that somebody looks");
    }
}

#[test]
fn only_runbooks_that_are_meant_for_it_are_followed() {
    let scene = Scene::new();
    let restart = runbook_step("actions.restart", json!(0), "low", json!("x"));
    let book = |id: &str, kinds: Value, components: Value| json!({"id": id, "runbook": {"title": "x", "text": "x", "kinds": kinds, "components": components, "steps": [restart]}});
    *scene.runbooks.borrow_mut() = json!([
        book("RB-cpu", json!(["cpu"]), json!([])),
        book("RB-cache", json!(["leak"]), json!(["cache"]))
    ]);
    let remediation = scene.run();
    assert!(
        remediation.steps.is_empty() && remediation.runbooks.is_empty() && scene.acted().is_empty()
    );
    assert!(
        remediation.summary.contains("No runbook fits"),
        "{}",
        remediation.summary
    );
    *scene.runbooks.borrow_mut() = json!([book("RB-db", json!(["cpu", "leak"]), json!(["DB"]))]);
    assert_eq!(scene.run().runbooks, ["RB-db"]);
}

#[test]
fn without_knowledge_it_says_so() {
    let scene = Scene::new();
    scene.fake.tool("knowledge.search", |_| {
        Err(Error::NotFound("the tool; none is installed".into()))
    });
    let remediation = scene.run();
    assert!(
        remediation.steps.is_empty() && remediation.summary.contains("could not be searched"),
        "{}",
        remediation.summary
    );
    let mut unknown = incident();
    unknown["cause"]["ranking"] = json!([]);
    assert!(Scene::of(&unknown).run().summary.contains("no suspect"));
    let bare = Scene::of(&json!({"title": "x"}));
    assert!(bare.run().summary.contains("no suspect"));
}

#[test]
fn a_model_may_only_word_what_was_done() {
    let worded = |words: &str, real: bool| {
        let scene = Scene::new();
        let mut response: Response = model_text(json!({"summary": words}).to_string());
        response.simulated = !real;
        scene.fake.model_answers(Ok(response));
        let remediation = scene.run();
        assert_eq!(scene.acted(), ["actions.restart"]);
        remediation.summary
    };
    assert_eq!(
        worded("db was restarted; a fail-over waits for you.", true),
        "db was restarted; a fail-over waits for you."
    );
    for (words, real) in [
        ("db was restarted.", false),
        ("I dropped table-7 of db.", true),
        ("All is well.", true),
    ] {
        assert!(
            worded(words, real).starts_with("actions.restart of `db`"),
            "{words}"
        );
    }
}

#[test]
fn bad_input_is_refused_and_execute_is_the_default() {
    let input: Input = from_value(json!({})).unwrap();
    assert!(input.execute && input.tried.is_empty());
    assert!(
        FakeHost::new()
            .run_json::<RemediationAgent>(&json!({"execute": "yes"}))
            .is_err()
    );
    assert!(
        FakeHost::new()
            .run_json::<RemediationAgent>(&json!({}))
            .unwrap_err()
            .to_string()
            .contains("incident")
    );
}
