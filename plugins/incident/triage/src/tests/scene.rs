//! What monitoring and the record say in these tests.

pub use crate::*;
pub use incident_contract::incident::{Incident, Level};
pub use mandate_sdk::llm::Response;
pub use mandate_sdk::serde_json::{Value, json};
pub use mandate_sdk::testing::model_text;

/// web → checkout → payments → ledger, and web → search.
pub const CALLS: [(&str, &str); 4] = [
    ("web", "checkout"),
    ("checkout", "payments"),
    ("payments", "ledger"),
    ("web", "search"),
];

/// What monitoring and the record say.
pub struct Scene {
    pub calls: &'static [(&'static str, &'static str)],
    /// Component and verdict; the rest is healthy.
    pub health: &'static [(&'static str, &'static str)],
    pub availability: Option<f64>,
    pub incident: Value,
    pub alerts: &'static [&'static str],
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            calls: &CALLS,
            health: &[],
            availability: None,
            incident: json!({"title": "Slow", "symptom": {"service": "web"}}),
            alerts: &[],
        }
    }
}

impl Scene {
    pub fn fake(&self) -> FakeHost {
        let fake = FakeHost::for_plugin(include_str!("../../plugin.toml"));
        fake.collection("incidents", "INC-{8}");
        fake.collection("alerts", "ALT-{16}");
        let calls = self.calls;
        fake.tool("monitoring.topology", move |_| {
            let edges = calls
                .iter()
                .map(|(caller, callee)| json!({"caller": caller, "callee": callee}));
            Ok(json!({"edges": edges.collect::<Vec<_>>()}))
        });
        let (health, availability) = (self.health, self.availability);
        fake.tool("monitoring.health", move |arguments| {
            let services = arguments["services"].as_array().unwrap().iter().map(|service| {
                let verdict = health.iter().find(|(name, _)| service == name).map_or("healthy", |(_, verdict)| verdict);
                json!({"service": service, "verdict": verdict, "checks": ["latency p99: 0.9 s instead of 0.1 s"]})
            });
            Ok(json!({"services": services.collect::<Vec<_>>()}))
        });
        fake.tool("monitoring.metrics", move |arguments| {
            assert_eq!((&arguments["metric"], &arguments["labels"]), (&json!("availability"), &json!({"statistic": "Average"})));
            let point = availability.map(|value| json!({"time": "2026-03-01T12:00:00Z", "value": value}));
            Ok(json!({"series": [{"metric": "availability", "labels": {}, "points": point.into_iter().collect::<Vec<_>>()}]}))
        });
        let mut incident = self.incident.clone();
        let ids: Vec<String> = (0..self.alerts.len())
            .map(|number| format!("ALT-{number}"))
            .collect();
        incident["alerts"] = json!(ids);
        for (id, severity) in ids.iter().zip(self.alerts) {
            fake.put("alerts", Some(id), &json!({"name": "HighLatency", "severity": severity, "status": "firing", "service": "web"}));
        }
        fake.put("incidents", Some("INC-1"), &incident);
        fake.model_is_down(Error::Unavailable {
            reason: "no provider".into(),
            retry_after: None,
        });
        fake
    }

    pub fn triage(&self) -> Triage {
        run(&self.fake())
    }
}

pub fn task() -> Task<Input> {
    Task::new(Input {
        incident: Some("INC-1".into()),
    })
}

pub fn run(fake: &FakeHost) -> Triage {
    fake.run::<TriageAgent>(task()).unwrap().output
}

pub fn real(text: &str) -> Result<Response, Error> {
    let mut response = model_text(text);
    response.simulated = false;
    Ok(response)
}

pub fn says(fake: &FakeHost, severity: &str, reason: &str) {
    // Scripted answers come before the model that is down.
    fake.model_answers(real(
        &json!({"severity": severity, "reason": reason}).to_string(),
    ));
}
