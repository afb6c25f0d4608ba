//! What monitoring says in these tests.

pub use crate::*;
pub use incident_contract::FaultKind;
pub use mandate_sdk::llm::Response;
pub use mandate_sdk::serde_json::{Value, json};
pub use mandate_sdk::testing::model_text;
pub use std::cell::RefCell;
pub use std::collections::BTreeMap;
pub use std::rc::Rc;

pub const ONSET: &str = "2026-03-01T12:00:00Z";

/// What monitoring says: `db` is the first suspect behind `cart`, which `web` calls.
pub struct Scene {
    pub fake: FakeHost,
    pub rankings: Rc<RefCell<Vec<Result<Value, Error>>>>,
    pub logs: Rc<RefCell<BTreeMap<String, Vec<Value>>>>,
    pub resources: Rc<RefCell<BTreeMap<String, [f64; 2]>>>,
}

pub fn suspect(component: &str, confidence: f64) -> Value {
    json!({"component": component, "confidence": confidence, "path": ["web", component], "evidence": [
        {"signal": "latency", "what": "latency p99", "usual": 0.1, "observed": 0.9, "deviation": 40.0,
            "text": format!("`{component}` latency p99 is 0.9 s instead of 0.1 s")}]})
}

pub fn ranking(found: bool, suspects: &[(&str, f64)]) -> Value {
    let suspects: Vec<Value> = suspects
        .iter()
        .map(|(name, confidence)| suspect(name, *confidence))
        .collect();
    json!({"suspects": suspects, "found": found, "reason": if found { "It explains the symptom." } else { "Nobody deviates." },
        "window": {"start": "2026-03-01T11:57:00Z", "end": "2026-03-01T12:01:00Z"},
        "baseline": {"start": "2026-03-01T10:57:00Z", "end": "2026-03-01T11:57:00Z"}, "missing": []})
}

pub fn log(time: &str, severity: &str, message: &str, labels: Value) -> Value {
    json!({"time": time, "service": "x", "severity": severity, "message": message, "labels": labels})
}

impl Scene {
    pub fn new() -> Self {
        let fake = FakeHost::for_plugin(include_str!("../../plugin.toml"));
        fake.set_time(1_772_367_000_000_000); // ten minutes later
        fake.collection("incidents", "INC-{8}");
        fake.put(
            "incidents",
            Some("INC-1"),
            &json!({"title": "web is slow", "symptom": {"service": "web", "at": ONSET}}),
        );
        fake.model_is_down(Error::Unavailable {
            reason: "no provider".into(),
            retry_after: None,
        });
        let scene = Self {
            fake,
            rankings: Rc::default(),
            logs: Rc::default(),
            resources: Rc::default(),
        };
        let rankings = scene.rankings.clone();
        scene.fake.tool("monitoring.rank", move |_| {
            let mut rankings = rankings.borrow_mut();
            if rankings.len() > 1 {
                rankings.remove(0)
            } else {
                rankings[0].clone()
            }
        });
        let logs = scene.logs.clone();
        scene.fake.tool("monitoring.logs", move |arguments| {
            let lines = logs
                .borrow()
                .get(arguments["service"].as_str().unwrap())
                .cloned();
            Ok(json!({"lines": lines.unwrap_or_default(), "truncated": false}))
        });
        let resources = scene.resources.clone();
        scene.fake.tool("monitoring.metrics", move |arguments| {
            let key = format!(
                "{} {}",
                arguments["service"].as_str().unwrap(),
                arguments["metric"].as_str().unwrap()
            );
            let points = resources.borrow().get(&key).map(|[usual, now]| {
                let point = |value: f64| json!({"time": ONSET, "value": value});
                match arguments["aggregation"].as_str().unwrap() {
                    "p50" => vec![point(*usual)],
                    "p90" => vec![point(usual * 1.02)],
                    "raw" => vec![
                        point(*usual),
                        point(now * 0.99),
                        point(*now),
                        point(now * 1.01),
                    ],
                    other => panic!("{other}"),
                }
            });
            let series = points.map(|points| json!({"points": points}));
            Ok(json!({"series": series.into_iter().collect::<Vec<_>>()}))
        });
        scene.fake.tool("monitoring.topology", |_| Ok(json!({"edges": [
            {"caller": "web", "callee": "cart"}, {"caller": "cart", "callee": "db"}, {"caller": "web", "callee": "search"}]})));
        scene.fake.tool("monitoring.traces", |_| {
            Ok(json!({"spans": [
            {"span_id": "a", "parent_id": null, "service": "web", "duration_us": 1000},
            {"span_id": "b", "parent_id": "a", "service": "db", "duration_us": 900}]}))
        });
        scene
    }

    pub fn ranked(found: bool, suspects: &[(&str, f64)]) -> Self {
        let scene = Self::new();
        scene
            .rankings
            .borrow_mut()
            .push(Ok(ranking(found, suspects)));
        scene
    }

    pub fn usual() -> Self {
        Self::ranked(true, &[("db", 0.5), ("cart", 0.3), ("search", 0.1)])
    }

    pub fn log(&self, service: &str, lines: Vec<Value>) {
        self.logs.borrow_mut().insert(service.to_owned(), lines);
    }

    pub fn resource(&self, what: &str, usual: f64, now: f64) {
        self.resources
            .borrow_mut()
            .insert(what.to_owned(), [usual, now]);
    }

    pub fn run(&self) -> Cause {
        self.with(json!({}))
    }

    pub fn with(&self, settings: Value) -> Cause {
        let task = Task::new(Input {
            incident: Some("INC-1".into()),
        })
        .with_settings(&settings)
        .unwrap();
        self.fake.run::<RootCause>(task).unwrap().output
    }
}

pub fn actions(cause: &Cause) -> Vec<&str> {
    cause
        .steps
        .iter()
        .map(|step| step.action.as_str())
        .collect()
}

pub fn first(cause: &Cause) -> &str {
    &cause.ranking[0].component
}

pub fn real(value: &Value) -> Result<Response, Error> {
    let mut response = model_text(value.to_string());
    response.simulated = false;
    Ok(response)
}

pub fn choice(action: &str, component: Option<&str>) -> Result<Response, Error> {
    real(&json!({"reason": "I want to know.", "action": action, "component": component}))
}
