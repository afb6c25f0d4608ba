//! A host on which the incident system is played, and what the commander makes of it.

pub use crate::*;
pub use incident_contract::incident::{Incident, Status, StepStatus, Verdict};
pub use mandate_sdk::serde_json::{Value, from_str, from_value, json, to_value};
pub use std::cell::RefCell;
use std::collections::VecDeque;
pub use std::rc::Rc;

pub const ID: &str = "INC-1";

/// A host on which everything works: `db` is the cause of what `web` shows, a restart helps.
pub struct Scene {
    pub fake: FakeHost,
    health: Rc<RefCell<VecDeque<&'static str>>>,
    pub lessons: Rc<RefCell<Vec<Value>>>,
}

pub fn triage(severity: &str) -> Value {
    json!({"severity": severity, "impact": "medium", "urgency": "high", "route": "database",
        "escalate": severity == "critical", "reasons": [], "confidence": 0.9})
}

pub fn cause(found: bool) -> Value {
    json!({"found": found, "kind": "leak", "summary": "`db` leaks memory.", "steps": [], "author": "rules",
        "ranking": [{"component": "db", "confidence": 0.8, "evidence": [], "path": ["web", "db"]}]})
}

pub fn step(tool: &str, status: &str) -> Value {
    json!({"tool": tool, "arguments": {"service": "db"}, "why": "x", "cost_micro_usd": 0, "risk": "low",
        "undo": "none needed", "status": status, "outcome": "restarted"})
}

impl Scene {
    pub fn new() -> Self {
        let fake = FakeHost::for_plugin(include_str!("../../plugin.toml"));
        fake.collection("incidents", "INC-{8}");
        fake.collection("alerts", "ALT-{16}");
        fake.put(
            "incidents",
            Some(ID),
            &json!({"title": "web is slow", "severity": "high",
            "symptom": {"service": "web", "signal": "latency"}}),
        );
        fake.agent("incident-triage", |_| Ok((triage("high"), "High.".into())));
        fake.agent("incident-root-cause", |_| Ok((cause(true), "db.".into())));
        let scene = Self {
            fake,
            health: Rc::default(),
            lessons: Rc::default(),
        };
        scene.remedies(&["actions.restart"], 0);
        let health = scene.health.clone();
        scene.fake.tool("monitoring.health", move |arguments| {
            let verdict = health.borrow_mut().pop_front().unwrap_or("healthy");
            let services = arguments["services"].as_array().unwrap().iter();
            let services = services
                .map(|service| json!({"service": service, "verdict": verdict, "checks": []}));
            Ok(json!({"services": services.collect::<Vec<_>>()}))
        });
        let lessons = scene.lessons.clone();
        scene.fake.tool("knowledge.learn", move |lesson| {
            lessons.borrow_mut().push(lesson);
            Ok(json!({}))
        });
        scene
    }

    /// Remediation does these one after the other, and then has this many that wait.
    pub fn remedies(&self, tools: &'static [&'static str], waiting: usize) {
        let mut done = Vec::new();
        let mut left = tools.iter();
        self.fake.agent("incident-remediation", move |input| {
            let mut acted = Value::Null;
            if input["execute"] == true
                && let Some(tool) = left.next()
            {
                done.push(step(tool, "done"));
                acted = json!("2023-11-14T22:13:30Z");
            }
            let mut steps = done.clone();
            steps.extend((0..waiting).map(|_| step("actions.fail-over", "waiting")));
            let mut output = json!({"runbooks": ["RB-leak"], "steps": steps, "summary": "Did what could be done."});
            if !acted.is_null() {
                output["acted_at"] = acted;
            }
            Ok((output, String::new()))
        });
    }

    pub fn health(&self, verdicts: &[&'static str]) {
        self.health.borrow_mut().extend(verdicts);
    }

    pub fn alerts(&self, statuses: &[&str]) {
        let ids: Vec<String> = (0..statuses.len())
            .map(|number| format!("ALT-{number}"))
            .collect();
        for (id, status) in ids.iter().zip(statuses) {
            self.fake.put(
                "alerts",
                Some(id),
                &json!({"status": status, "incident": ID}),
            );
        }
        self.change(|incident| incident.alerts.clone_from(&ids));
    }

    /// Somebody else writes the record.
    pub fn change(&self, change: impl FnOnce(&mut Incident)) {
        change_record(&self.fake, change);
    }

    pub fn run(&self) -> Output {
        self.fake.run::<Commander>(task()).unwrap().output
    }

    pub fn record(&self) -> Incident {
        record(&self.fake)
    }

    pub fn told(&self) -> Vec<String> {
        self.fake
            .events()
            .into_iter()
            .map(|event| event.kind)
            .collect()
    }

    pub fn called(&self, what: &str) -> usize {
        self.fake
            .calls_of("invoke")
            .iter()
            .filter(|call| call.arguments.contains(what))
            .count()
    }
}

pub fn task() -> Task<Input> {
    Task::new(Input { incident: None }).about("incidents", ID)
}

pub fn record(fake: &FakeHost) -> Incident {
    fake.records::<Incident>("incidents")
        .into_iter()
        .find(|(id, _)| id == ID)
        .unwrap()
        .1
}

pub fn change_record(fake: &FakeHost, change: impl FnOnce(&mut Incident)) {
    let host = fake.host();
    let writer = FakeHost::host(fake);
    let mut present = writer.records::<Incident>("incidents").get(ID).unwrap();
    change(&mut present.body);
    host.records::<Incident>("incidents")
        .update(&present)
        .unwrap();
}
