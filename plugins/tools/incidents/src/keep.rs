//! Incidents as tools: creating, reading and finding them, and changing what people may change. What agents found
//! out is written by the commander alone.

use crate::notification::cut;
use crate::open::is_open;
use incident_contract::incident::{COLLECTION, Incident, Severity, Status, Symptom};
use incident_contract::{Time, Window};
use mandate_sdk::prelude::*;

/// As the record's schema has it.
const LONGEST_DESCRIPTION: usize = 10_000;
const LONGEST_TITLE: usize = 200;
const LONGEST_NOTE: usize = 2_000;
const MOST_SERVICES: usize = 100;
/// How often a change is tried again when somebody else was quicker.
const ATTEMPTS: u32 = 10;

/// An incident with what the host knows of its record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct View {
    /// `INC-12345678`.
    pub id: String,
    /// Of the record.
    pub version: u64,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// The incident.
    pub body: Incident,
}

impl From<Record<Incident>> for View {
    fn from(record: Record<Incident>) -> Self {
        Self {
            id: record.id,
            version: record.version,
            created_at: incident_contract::time(record.created_at),
            updated_at: incident_contract::time(record.updated_at),
            body: record.body,
        }
    }
}

/// A new incident. Only the title must be given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateArguments {
    /// One line.
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// What is known.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub description: String,
    /// Unsure means higher; left out, triage says what it is worth.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Components that show it, the first one first.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub affected_services: Vec<String>,
    /// Who or what noticed it.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub detected_by: String,
    /// What was seen, where and when.
    #[serde(default)]
    pub symptom: Option<Symptom>,
    /// A time without faults, to compare with.
    #[serde(default)]
    pub baseline: Option<Window>,
}

/// Creates incidents.
pub struct Create;

impl Tool for Create {
    const NAME: &'static str = "create";
    const SUMMARY: &'static str = "Creates an incident; agents then begin to work on it.";
    type Arguments = CreateArguments;
    type Result = View;

    fn call(arguments: CreateArguments, _: &Context, host: &Host) -> Result<View, Error> {
        if arguments.title.trim().is_empty() {
            return Err(Error::invalid(
                "/title: expected one line that says what is wrong",
            ));
        }
        let incident = Incident {
            title: arguments.title,
            description: arguments.description,
            severity: arguments.severity,
            affected_services: arguments.affected_services,
            detected_by: arguments.detected_by,
            status: Status::New,
            symptom: arguments.symptom,
            baseline: arguments.baseline,
            alerts: Vec::new(),
            triage: None,
            cause: None,
            remediation: None,
            verification: None,
            escalation: None,
            resolution: None,
            resolved_at: None,
        };
        let created = host.records(COLLECTION).create(&incident)?;
        Ok(created.into())
    }
}

/// Which incident.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// `INC-12345678`.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
}

/// Reads an incident.
pub struct Get;

impl Tool for Get {
    const NAME: &'static str = "get";
    const SUMMARY: &'static str = "One incident, with all that was found out about it.";
    type Arguments = Which;
    type Result = View;

    fn call(which: Which, _: &Context, host: &Host) -> Result<View, Error> {
        let incidents = host.records::<Incident>(COLLECTION);
        Ok(incidents.get(&which.id)?.into())
    }
}

/// Which incidents; all conditions must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FindArguments {
    /// Where they stand.
    pub status: Option<Status>,
    /// How bad they are.
    pub severity: Option<Severity>,
    /// A component that they affect.
    pub service: Option<String>,
    /// Who or what noticed them.
    pub detected_by: Option<String>,
    /// Words that are in title, description or resolution; all of them.
    pub text: Option<String>,
    /// At most so many, 1–100; 20 if not said.
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
    /// From the page before.
    pub cursor: Option<String>,
}

/// A page of incidents.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The newest first.
    pub incidents: Vec<View>,
    /// Where the next page begins; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Finds incidents.
pub struct Find;

impl Tool for Find {
    const NAME: &'static str = "find";
    const SUMMARY: &'static str =
        "Incidents by status, severity, service or words; the newest first.";
    type Arguments = FindArguments;
    type Result = Found;

    fn call(wanted: FindArguments, _: &Context, host: &Host) -> Result<Found, Error> {
        let incidents = host.records::<Incident>(COLLECTION);
        let mut find = incidents.find().limit(wanted.limit.unwrap_or(20));
        if let Some(status) = wanted.status {
            find = find.equal("status", status);
        }
        if let Some(severity) = wanted.severity {
            find = find.equal("severity", severity);
        }
        if let Some(service) = wanted.service {
            find = find.filter("affected_services", Comparison::Contains, service);
        }
        if let Some(by) = wanted.detected_by {
            find = find.equal("detected_by", by);
        }
        if let Some(text) = wanted.text {
            find = find.text(text);
        }
        if let Some(cursor) = wanted.cursor {
            find = find.after(cursor);
        }
        let page = find.page()?;
        Ok(Found {
            incidents: page.records.into_iter().map(View::from).collect(),
            cursor: page.cursor,
        })
    }
}

/// What people may change of an incident; what is left out stays.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateArguments {
    /// `INC-12345678`.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// Another title.
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    /// Another severity.
    pub severity: Option<Severity>,
    /// Where it stands now. `new` is only for incidents that nobody looked at.
    pub status: Option<Status>,
    /// More components that show it.
    #[schemars(length(max = 100))]
    pub affected_services: Vec<String>,
    /// Added to the description, with the time.
    #[schemars(length(min = 1, max = 2000))]
    pub note: Option<String>,
    /// One line about how it ended.
    #[schemars(length(min = 1, max = 1000))]
    pub resolution: Option<String>,
}

/// Changes an incident.
pub struct Update;

impl Tool for Update {
    const NAME: &'static str = "update";
    const SUMMARY: &'static str = "Changes what people may change of an incident: title, severity, status, services, notes, resolution.";
    type Arguments = UpdateArguments;
    type Result = View;

    fn call(wanted: UpdateArguments, _: &Context, host: &Host) -> Result<View, Error> {
        let now = incident_contract::time(host.now());
        let incidents = host.records::<Incident>(COLLECTION);
        let mut attempt = 1;
        loop {
            let mut record = incidents.get(&wanted.id)?;
            check(&record.body, &wanted)?;
            change(&mut record.body, &wanted, now);
            match incidents.update(&record) {
                Err(Error::Conflict(_)) if attempt < ATTEMPTS => attempt += 1,
                written => return Ok(written?.into()),
            }
        }
    }
}

fn check(present: &Incident, wanted: &UpdateArguments) -> Result<(), Error> {
    if wanted.status == Some(Status::New) && present.status != Status::New {
        return Err(Error::invalid(
            "/status: expected active, awaiting, resolved or closed; this incident is not new any more",
        ));
    }
    if wanted
        .title
        .as_ref()
        .is_some_and(|title| title.trim().is_empty())
    {
        return Err(Error::invalid(
            "/title: expected one line that says what is wrong",
        ));
    }
    Ok(())
}

fn change(incident: &mut Incident, wanted: &UpdateArguments, now: Time) {
    if let Some(title) = &wanted.title {
        incident.title = cut(title, LONGEST_TITLE);
    }
    if let Some(severity) = wanted.severity {
        incident.severity = Some(severity);
    }
    for service in &wanted.affected_services {
        if incident.affected_services.len() < MOST_SERVICES
            && !incident.affected_services.contains(service)
        {
            incident.affected_services.push(service.clone());
        }
    }
    if let Some(note) = &wanted.note {
        append(
            &mut incident.description,
            &format!("[{now}] {}", cut(note, LONGEST_NOTE)),
        );
    }
    if let Some(resolution) = &wanted.resolution {
        incident.resolution = Some(resolution.clone());
    }
    if let Some(status) = wanted.status {
        let (was_open, opens) = (is_open(incident.status), is_open(status));
        incident.status = status;
        if was_open && !opens {
            incident.resolved_at = Some(now);
        } else if opens && !was_open {
            incident.resolved_at = None;
            incident.resolution.clone_from(&wanted.resolution);
        }
    }
}

/// A note is not lost because much was said before: then the middle goes, not the note.
fn append(description: &mut String, note: &str) {
    let room = LONGEST_DESCRIPTION.saturating_sub(note.chars().count() + 1);
    let mut text = cut(description, room);
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(note);
    *description = text;
}
