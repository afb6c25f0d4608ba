//! What an incident taught: what it looked like, what it was, what was done, and whether that helped.

use incident_contract::incident::Symptom;
use incident_contract::{FaultKind, Time};
use mandate_sdk::prelude::*;

/// The collection.
pub const COLLECTION: &str = "lessons";
/// How often a change is tried again when somebody else was quicker.
const ATTEMPTS: u32 = 5;

/// What an incident taught.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lesson {
    /// The incident's id.
    #[schemars(length(min = 1, max = 120))]
    pub incident: String,
    /// Its title.
    #[schemars(length(max = 200))]
    pub title: String,
    /// What was seen, where and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symptom: Option<Symptom>,
    /// The component that was the cause, if it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub component: Option<String>,
    /// What that suffered from, if it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FaultKind>,
    /// The tools that were called, in order.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub steps: Vec<String>,
    /// Whether it was over then, verified.
    pub helped: bool,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub text: String,
    /// When it was learnt.
    pub at: Time,
}

/// What is to be learnt.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearnArguments {
    /// The incident's id. What is said of it again replaces what was said before.
    #[schemars(length(min = 1, max = 120), regex(pattern = "^[A-Za-z0-9._:@-]+$"))]
    pub incident: String,
    /// Its title.
    #[schemars(length(max = 200))]
    pub title: String,
    /// What was seen, where and when.
    #[serde(default)]
    pub symptom: Option<Symptom>,
    /// The component that was the cause, if it was found.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub component: Option<String>,
    /// What that suffered from, if it was found.
    #[serde(default)]
    pub kind: Option<FaultKind>,
    /// The tools that were called, in order.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub steps: Vec<String>,
    /// Whether it was over then, verified.
    pub helped: bool,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub text: String,
}

/// What was learnt.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Learnt {
    /// The lesson's id in `lessons`.
    pub id: String,
    /// False: it was known already.
    pub new: bool,
}

/// Learns from an incident.
pub struct Learn;

impl Tool for Learn {
    const NAME: &'static str = "learn";
    const SUMMARY: &'static str =
        "Keeps what an incident taught: its cause, what was done, and whether that helped.";
    type Arguments = LearnArguments;
    type Result = Learnt;

    fn call(said: LearnArguments, _: &Context, host: &Host) -> Result<Learnt, Error> {
        let id = format!("LSN-{}", said.incident);
        let lesson = Lesson {
            incident: said.incident,
            title: said.title,
            symptom: said.symptom,
            component: said.component,
            kind: said.kind,
            steps: said.steps,
            helped: said.helped,
            text: said.text,
            at: incident_contract::time(host.now()),
        };
        let lessons = host.records::<Lesson>(COLLECTION);
        let mut attempt = 1;
        loop {
            let tried = match lessons.get(&id) {
                Ok(record) => {
                    let same = Lesson {
                        at: record.body.at,
                        ..lesson.clone()
                    };
                    if same == record.body {
                        return Ok(Learnt { id, new: false });
                    }
                    let body = lesson.clone();
                    lessons.update(&Record { body, ..record })
                }
                Err(Error::NotFound(_)) => lessons.create_as(&id, &lesson),
                Err(error) => Err(error),
            };
            match tried {
                Err(Error::Conflict(_)) if attempt < ATTEMPTS => attempt += 1,
                written => {
                    let new = written?.version == 1;
                    return Ok(Learnt { id, new });
                }
            }
        }
    }
}
