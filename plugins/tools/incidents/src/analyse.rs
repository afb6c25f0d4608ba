//! The facts about an incident that are in its records: how old it is, what its alerts say, and what it is like.

use crate::alert::{self, Alert, AlertSeverity, AlertStatus};
use crate::keep::Which;
use crate::readable::{Readable, whole};
use incident_contract::incident::{COLLECTION, Incident, Severity, Status};
use incident_contract::{FaultKind, Time};
use mandate_sdk::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Alerts that are looked at.
const MOST_ALERTS: usize = 1_000;
/// Words of an incident that others are looked for by.
const WORDS: usize = 8;
/// Hits that are looked at for each word.
const HITS: u32 = 10;
/// Past incidents that are told.
const SIMILAR: usize = 5;
/// Words that say nothing about what happened.
const EMPTY: &[&str] = &[
    "alert",
    "alerts",
    "incident",
    "issue",
    "problem",
    "service",
    "services",
    "high",
    "with",
    "from",
    "that",
    "this",
    "have",
    "been",
    "more",
    "than",
    "over",
    "since",
    "percent",
    "threshold",
];

/// The facts about an incident.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// The incident's id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: Status,
    /// How bad it is, if that was said.
    pub severity: Option<Severity>,
    /// Seconds since it was created; until it was resolved, if it was.
    pub age_seconds: i64,
    /// What it affects, the first one first.
    pub affected_services: Vec<String>,
    /// What its alerts say.
    pub alerts: Alerts,
    /// Incidents of the past that are like it, the most similar first.
    pub similar: Vec<Similar>,
}

/// What the alerts of an incident say.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alerts {
    /// How many there are.
    pub total: usize,
    /// How many go on.
    pub firing: usize,
    /// How many are over.
    pub resolved: usize,
    /// How many change all the time.
    pub flapping: usize,
    /// The gravest of those that go on.
    pub worst: Option<AlertSeverity>,
    /// When the first one began.
    pub first_at: Option<Time>,
    /// When one was last heard of.
    pub last_seen_at: Option<Time>,
    /// How many go on, by service; alerts without one are not here.
    pub firing_by_service: BTreeMap<String, usize>,
    /// What they are called.
    pub names: BTreeSet<String>,
}

/// An incident of the past.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Similar {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// 0–1: how much of this incident's words and services it has.
    pub similarity: f64,
    /// What it was caused by, if that was found.
    pub cause: Option<String>,
    /// What that suffered from.
    pub kind: Option<FaultKind>,
    /// How it ended.
    pub resolution: Option<String>,
    /// When.
    pub resolved_at: Option<Time>,
}

/// Tells the facts about an incident.
pub struct Analyse;

impl Tool for Analyse {
    const NAME: &'static str = "analyse";
    const SUMMARY: &'static str = "Facts about an incident: its age, what its alerts say, and incidents of the past that are like it.";
    type Arguments = Which;
    type Result = Facts;

    fn call(which: Which, _: &Context, host: &Host) -> Result<Facts, Error> {
        let record = host.records::<Incident>(COLLECTION).get(&which.id)?;
        let alerts = host
            .records::<Readable<Alert>>(alert::COLLECTION)
            .find()
            .equal("incident", &record.id)
            .limit(200)
            .all(MOST_ALERTS)?;
        let similar = similar(host, &record)?;
        let end = record
            .body
            .resolved_at
            .unwrap_or_else(|| incident_contract::time(host.now()));
        let age = end - incident_contract::time(record.created_at);
        Ok(Facts {
            alerts: told(alerts.iter().filter_map(|record| record.body.0.as_ref())),
            similar,
            age_seconds: age.num_seconds().max(0),
            id: record.id,
            title: record.body.title,
            status: record.body.status,
            severity: record.body.severity,
            affected_services: record.body.affected_services,
        })
    }
}

fn told<'a>(alerts: impl Iterator<Item = &'a Alert>) -> Alerts {
    let mut told = Alerts::default();
    for alert in alerts {
        told.total += 1;
        told.flapping += usize::from(alert.flapping);
        if alert.status == AlertStatus::Resolved {
            told.resolved += 1;
        } else {
            told.firing += usize::from(alert.needs_incident() || alert.flapping);
            told.worst = told.worst.max(Some(alert.severity));
            if let Some(service) = &alert.service {
                *told.firing_by_service.entry(service.clone()).or_default() += 1;
            }
        }
        told.first_at = Some(
            told.first_at
                .map_or(alert.starts_at, |at| at.min(alert.starts_at)),
        );
        told.last_seen_at = told.last_seen_at.max(Some(alert.last_seen_at));
        told.names.insert(alert.name.clone());
    }
    told
}

/// Words of four letters and more, without those that say nothing.
fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() >= 4 && !word.chars().all(|c| c.is_ascii_digit()))
        .map(str::to_lowercase)
        .filter(|word| !EMPTY.contains(&word.as_str()))
        .collect()
}

/// The words of the title, and the services by their whole names.
fn words_of(incident: &Incident) -> BTreeSet<String> {
    let mut all = words(&incident.title);
    let services = incident.affected_services.iter();
    all.extend(services.map(|service| service.to_lowercase()));
    all
}

/// One search for each word, since a search finds only what has all of its words.
fn similar(host: &Host, record: &Record<Incident>) -> Result<Vec<Similar>, Error> {
    let own = words_of(&record.body);
    let searched = words(&record.body.title);
    let mut found: BTreeMap<String, Incident> = BTreeMap::new();
    for word in searched.iter().take(WORDS) {
        let page = host
            .records::<Readable<Incident>>(COLLECTION)
            .find()
            .filter(
                "status",
                Comparison::OneOf,
                [Status::Resolved, Status::Closed],
            )
            .text(word.clone())
            .limit(HITS)
            .page()?;
        let others = page
            .records
            .into_iter()
            .filter_map(whole)
            .filter(|other| other.id != record.id);
        found.extend(others.map(|other| (other.id, other.body)));
    }
    let mut similar: Vec<Similar> = found
        .into_iter()
        .map(|(id, other)| {
            let theirs = words_of(&other);
            let shared = own.intersection(&theirs).count();
            let all = own.union(&theirs).count().max(1);
            let cause = other.cause.as_ref().filter(|cause| cause.found);
            Similar {
                id,
                similarity: shared as f64 / all as f64,
                cause: cause
                    .and_then(|cause| cause.ranking.first())
                    .map(|first| first.component.clone()),
                kind: cause.and_then(|cause| cause.kind),
                title: other.title,
                resolution: other.resolution,
                resolved_at: other.resolved_at,
            }
        })
        .collect();
    similar.sort_by(|a, b| {
        b.similarity
            .total_cmp(&a.similarity)
            .then(b.resolved_at.cmp(&a.resolved_at))
    });
    similar.truncate(SIMILAR);
    Ok(similar)
}
