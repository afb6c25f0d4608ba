use super::*;
use crate::terms::dollars;
use incident_contract::incident::Risk;
use mandate_sdk::llm::Response;
use mandate_sdk::serde_json::{Value, from_value, json};
use mandate_sdk::testing::model_text;
use std::cell::RefCell;
use std::rc::Rc;

/// `db` leaks; a runbook says to restart it, then to scale it, then to fail over.
struct Scene {
    fake: FakeHost,
    runbooks: Rc<RefCell<Value>>,
    catalogue: Rc<RefCell<Result<Value, Error>>>,
    acted: Rc<RefCell<Vec<(String, Value)>>>,
}

fn runbook_step(tool: &str, cost: Value, risk: &str, undo: Value) -> Value {
    json!({"tool": tool, "arguments": {"service": "{component}", "reason": "leak of {component}"}, "why": "It helps.",
        "cost_micro_usd": cost, "risk": risk, "undo": undo})
}

fn runbook(steps: &[Value]) -> Value {
    json!([{"id": "RB-leak", "runbook": {"title": "Leak", "text": "x", "kinds": ["leak"], "components": [], "steps": steps}}])
}

fn entry(tool: &str, dollars: i64, risk: &str, undo: Value) -> Value {
    json!({"tool": tool, "text": "x", "cost_micro_usd": dollars * 1_000_000, "cost_is_for": "x", "risk": risk, "undo": undo})
}

fn incident() -> Value {
    json!({"title": "web is slow", "severity": "high", "symptom": {"service": "web"}, "cause": {
        "found": true, "kind": "leak", "summary": "x", "steps": [], "author": "rules",
        "ranking": [{"component": "db", "confidence": 0.8, "evidence": [], "path": []}]}})
}

impl Scene {
    fn new() -> Self {
        Self::of(&incident())
    }

    fn of(incident: &Value) -> Self {
        let fake = FakeHost::for_plugin(include_str!("../plugin.toml"));
        fake.collection("incidents", "INC-{8}");
        fake.put("incidents", Some("INC-1"), incident);
        fake.model_is_down(Error::Unavailable {
            reason: "no provider".into(),
            retry_after: None,
        });
        let steps = [
            runbook_step("actions.restart", json!(0), "low", json!("nothing to undo")),
            runbook_step("actions.fail-over", json!(0), "low", json!("fail back")),
            runbook_step("actions.scale", json!(0), "low", json!("scale back")),
        ];
        let scene = Self {
            fake,
            runbooks: Rc::new(RefCell::new(runbook(&steps))),
            catalogue: Rc::new(RefCell::new(Ok(json!({"actions": [
                entry("actions.restart", 0, "low", Value::Null),
                entry("actions.scale", 6, "low", json!("scale back")),
                entry("actions.fail-over", 2_500, "medium", json!("fail back")),
            ]})))),
            acted: Rc::default(),
        };
        let runbooks = scene.runbooks.clone();
        scene.fake.tool("knowledge.search", move |_| {
            Ok(json!({"runbooks": *runbooks.borrow(), "lessons": []}))
        });
        let catalogue = scene.catalogue.clone();
        scene
            .fake
            .tool("actions.catalog", move |_| catalogue.borrow().clone());
        for name in ["actions.restart", "actions.scale", "actions.fail-over"] {
            scene.answers(
                name,
                Ok(json!({"done": true, "message": "done", "undo": Value::Null})),
            );
        }
        scene
    }

    fn answers(&self, name: &'static str, answer: Result<Value, Error>) {
        let acted = self.acted.clone();
        self.fake.tool(name, move |arguments| {
            acted.borrow_mut().push((name.to_owned(), arguments));
            answer.clone()
        });
    }

    fn run(&self) -> Remediation {
        self.with(json!({"incident": "INC-1"}))
    }

    fn with(&self, input: Value) -> Remediation {
        from_value(self.fake.run_json::<RemediationAgent>(&input).unwrap()).unwrap()
    }

    fn acted(&self) -> Vec<String> {
        self.acted
            .borrow()
            .iter()
            .map(|(name, _)| name.clone())
            .collect()
    }
}

fn statuses(remediation: &Remediation) -> Vec<(&str, StepStatus)> {
    remediation
        .steps
        .iter()
        .map(|step| (step.tool.as_str(), step.status))
        .collect()
}

use StepStatus::{Done, Failed, Proposed, Waiting};

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
    assert!(all.acted().is_empty() && rest.acted_at.is_none());
    assert!(
        rest.summary.contains("No harmless step is left") && rest.summary.contains("$2,500.00"),
        "{}",
        rest.summary
    );
}

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
        let remediation = scene.run();
        assert_eq!(
            scene.acted().is_empty(),
            remediation.steps[0].status == Waiting
        );
        remediation.steps[0].status
    };
    let restart =
        |cost: Value, risk: &str, undo: Value| runbook_step("actions.restart", cost, risk, undo);
    let free = || entry("actions.restart", 0, "low", json!("x"));
    assert_eq!(with(restart(json!(0), "low", json!("x")), free()), Done);
    assert_eq!(
        with(restart(Value::Null, "low", Value::Null), free()),
        Done,
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
        scene.answers("actions.scale", Err(refused));
        let remediation = scene.run();
        assert_eq!((scene.acted().len(), remediation.acted_at), (2, None));
        assert!(
            remediation.summary.contains("No harmless step is left"),
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
fn settings_say_what_is_harmless() {
    let scene = Scene::new();
    let task = Task::new(from_value::<Input>(json!({"incident": "INC-1"})).unwrap())
        .with_settings(&json!({"most_cost_micro_usd": 3_000_000_000_i64}))
        .unwrap();
    let remediation = scene.fake.run::<RemediationAgent>(task).unwrap().output;
    assert_eq!(statuses(&remediation)[1], ("actions.fail-over", Proposed));
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
