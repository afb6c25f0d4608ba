//! Test data: incidents about nothing, one or many, to try what works on them and how much it can take.

use crate::model::faults::{Form, choose};
use crate::model::random::Random;
use crate::model::services::Service;
use incident_contract::incident::{Severity, Symptom};
use incident_contract::{Signal, time};
use mandate_sdk::prelude::*;

/// Who creates incidents.
const CREATE: &str = "incidents.create";
/// No more at once.
const MOST: u32 = 100;

/// The arguments of `generate`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateArguments {
    /// How many, 1–100; one if not said.
    #[schemars(range(min = 1, max = 100))]
    pub count: Option<u32>,
    /// The same seed makes the same incidents.
    pub seed: Option<u32>,
}

/// The result of `generate`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Generated {
    /// Always true.
    pub simulated: bool,
    /// Their ids in `incidents`.
    pub incidents: Vec<String>,
    /// Why some were not created; empty if all were.
    pub problems: Vec<String>,
}

/// What is asked of `incidents.create`.
#[derive(Debug, Serialize)]
struct Asked {
    title: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
    affected_services: Vec<&'static str>,
    detected_by: &'static str,
    symptom: Symptom,
}

/// What is read of its answer.
#[derive(Debug, Deserialize)]
struct Created {
    id: String,
}

/// Makes incidents.
pub struct Generate;

impl Tool for Generate {
    const NAME: &'static str = "generate";
    const SUMMARY: &'static str = "Creates incidents about faults that are not there, one or many, as test data; to have real ones, inject a fault.";
    type Arguments = GenerateArguments;
    type Result = Generated;

    fn call(arguments: GenerateArguments, _: &Context, host: &Host) -> Result<Generated, Error> {
        let count = arguments.count.unwrap_or(1);
        if !(1..=MOST).contains(&count) {
            return Err(Error::invalid(format!(
                "count: expected 1 to {MOST}, not {count}"
            )));
        }
        let seed = arguments.seed.map_or_else(|| host.random_u64(), u64::from);
        let now = time(host.now());
        let mut random = Random::new(seed, &[60]);
        let asked: Vec<Asked> = (0..count)
            .filter_map(|_| choose(&mut random, None, None, &[]).map(|what| (what, random.unit())))
            .map(|((form, service), chance)| about(form, service, chance, now))
            .collect();
        let mut generated = Generated {
            simulated: true,
            incidents: Vec::new(),
            problems: Vec::new(),
        };
        for answer in host.call_tool_many::<_, Created>(CREATE, &asked)? {
            match answer {
                Ok(created) => generated.incidents.push(created.id),
                Err(error) => generated.problems.push(error.to_string()),
            }
        }
        // Many fail for one reason.
        generated.problems.dedup();
        Ok(generated)
    }
}

/// An incident as somebody would report it who saw this fault.
fn about(form: Form, service: Service, chance: f64, now: incident_contract::Time) -> Asked {
    let name = service.name();
    let (signal, title) = match form {
        Form::Exceptions | Form::FailingVersion | Form::Refused | Form::Timeout => {
            (Signal::Availability, format!("{name} answers with errors"))
        }
        _ => (Signal::Latency, format!("{name} is slow")),
    };
    Asked {
        title: format!("{title} (test data)"),
        description: format!(
            "Simulated test data: nothing is wrong. It would be so if {}.",
            form.story(service)
        ),
        // Some do not say how bad it is.
        severity: match chance {
            c if c < 0.1 => Some(Severity::Critical),
            c if c < 0.35 => Some(Severity::High),
            c if c < 0.6 => Some(Severity::Medium),
            c if c < 0.75 => Some(Severity::Low),
            _ => None,
        },
        affected_services: vec![name],
        detected_by: "simulator (test data)",
        symptom: Symptom {
            service: name.to_owned(),
            signal: Some(signal),
            at: Some(now),
        },
    }
}
