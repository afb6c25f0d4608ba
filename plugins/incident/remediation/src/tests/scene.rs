//! A leak, a runbook and a catalogue of actions.

pub use crate::terms::dollars;
pub use crate::*;
pub use incident_contract::incident::Risk;
pub use mandate_sdk::llm::Response;
pub use mandate_sdk::serde_json::{Value, from_value, json};
pub use mandate_sdk::testing::model_text;
pub use std::cell::RefCell;
pub use std::rc::Rc;

/// `db` leaks; a runbook says to restart it, then to scale it, then to fail over.
pub struct Scene {
    pub fake: FakeHost,
    pub runbooks: Rc<RefCell<Value>>,
    pub catalogue: Rc<RefCell<Result<Value, Error>>>,
    pub acted: Rc<RefCell<Vec<(String, Value)>>>,
}

pub fn runbook_step(tool: &str, cost: Value, risk: &str, undo: Value) -> Value {
    json!({"tool": tool, "arguments": {"service": "{component}", "reason": "leak of {component}"}, "why": "It helps.",
        "cost_micro_usd": cost, "risk": risk, "undo": undo})
}

pub fn runbook(steps: &[Value]) -> Value {
    json!([{"id": "RB-leak", "runbook": {"title": "Leak", "text": "x", "kinds": ["leak"], "components": [], "steps": steps}}])
}

pub fn entry(tool: &str, dollars: i64, risk: &str, undo: Value) -> Value {
    json!({"tool": tool, "text": "x", "cost_micro_usd": dollars * 1_000_000, "cost_is_for": "x", "risk": risk, "undo": undo})
}

pub fn incident() -> Value {
    json!({"title": "web is slow", "severity": "high", "symptom": {"service": "web"}, "cause": {
        "found": true, "kind": "leak", "summary": "x", "steps": [], "author": "rules",
        "ranking": [{"component": "db", "confidence": 0.8, "evidence": [], "path": []}]}})
}

impl Scene {
    pub fn new() -> Self {
        Self::of(&incident())
    }

    pub fn of(incident: &Value) -> Self {
        let fake = FakeHost::for_plugin(include_str!("../../plugin.toml"));
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

    pub fn answers(&self, name: &'static str, answer: Result<Value, Error>) {
        let acted = self.acted.clone();
        self.fake.tool(name, move |arguments| {
            acted.borrow_mut().push((name.to_owned(), arguments));
            answer.clone()
        });
    }

    pub fn run(&self) -> Remediation {
        self.with(json!({"incident": "INC-1"}))
    }

    pub fn with(&self, input: Value) -> Remediation {
        from_value(self.fake.run_json::<RemediationAgent>(&input).unwrap()).unwrap()
    }

    pub fn acted(&self) -> Vec<String> {
        self.acted
            .borrow()
            .iter()
            .map(|(name, _)| name.clone())
            .collect()
    }
}

pub fn statuses(remediation: &Remediation) -> Vec<(&str, StepStatus)> {
    remediation
        .steps
        .iter()
        .map(|step| (step.tool.as_str(), step.status))
        .collect()
}

pub use StepStatus::{Done, Failed, Proposed, Waiting};
