//! Finding what helps: runbooks that fit the kind of fault and the component, and incidents of the past that are like
//! this one.

use crate::lesson::{self, Lesson};
use crate::seeds;
use crate::words::{share, words};
use incident_contract::FaultKind;
use incident_contract::runbook::{COLLECTION, Runbook};
use mandate_sdk::prelude::*;
use mandate_sdk::serde_json::{Value, from_value};
use std::collections::{BTreeMap, BTreeSet};

/// Runbooks that are looked at; more are no knowledge base that anybody keeps.
const MOST_RUNBOOKS: usize = 300;
const PAGE: u32 = 50;
/// Words that lessons are looked for by, and hits of each.
const WORDS: usize = 8;
const HITS: u32 = 10;
/// What a match is worth, in order: the kind, the component, the title, the text.
const OF_KIND: f64 = 10.0;
const OF_COMPONENT: f64 = 4.0;
const IN_TITLE: f64 = 2.0;
const IN_TEXT: f64 = 1.0;
/// Less is no match.
const LEAST: f64 = 0.25;

/// What is looked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchArguments {
    /// Words, such as the title of the incident.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    pub text: String,
    /// What the cause suffers from, the most likely first, as far as known.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub kinds: Vec<FaultKind>,
    /// The component that is the cause: runbooks for other components are left out.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub component: Option<String>,
    /// At most so many of each, 1–20; 5 if not said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 20))]
    pub limit: Option<u32>,
}

/// What was found.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// Runbooks, the best first.
    pub runbooks: Vec<FoundRunbook>,
    /// What past incidents taught, the most similar first.
    pub lessons: Vec<FoundLesson>,
}

/// A runbook that fits.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FoundRunbook {
    /// Its id in `runbooks`.
    pub id: String,
    /// How well it fits; for comparing only.
    pub score: f64,
    /// What it says.
    pub runbook: Runbook,
}

/// An incident of the past.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FoundLesson {
    /// Its id in `lessons`.
    pub id: String,
    /// How similar it is; for comparing only.
    pub score: f64,
    /// What it taught.
    pub lesson: Lesson,
}

/// Finds runbooks and lessons.
pub struct Search;

impl Tool for Search {
    const NAME: &'static str = "search";
    const SUMMARY: &'static str = "Finds runbooks by kind of fault, component and words, and what similar past incidents taught.";
    type Arguments = SearchArguments;
    type Result = Found;

    fn call(wanted: SearchArguments, _: &Context, host: &Host) -> Result<Found, Error> {
        seeds::sow(host)?;
        let limit = wanted.limit.unwrap_or(5).clamp(1, 20) as usize;
        let own = words(&wanted.text);
        Ok(Found {
            runbooks: runbooks(host, &wanted, &own, limit)?,
            lessons: lessons(host, &wanted, &own, limit)?,
        })
    }
}

fn runbooks(
    host: &Host,
    wanted: &SearchArguments,
    own: &BTreeSet<String>,
    limit: usize,
) -> Result<Vec<FoundRunbook>, Error> {
    let all = host
        .records::<Value>(COLLECTION)
        .find()
        .limit(PAGE)
        .all(MOST_RUNBOOKS)?;
    let mut found: Vec<FoundRunbook> = all
        .into_iter()
        .filter_map(|record| {
            // Clients write runbooks too: one that somebody spoiled hides no other.
            let runbook: Runbook = from_value(record.body).ok()?;
            Some(FoundRunbook {
                id: record.id,
                score: score(&runbook, wanted, own)?,
                runbook,
            })
        })
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    found.truncate(limit);
    Ok(found)
}

/// How well a runbook fits; none if it does not.
fn score(runbook: &Runbook, wanted: &SearchArguments, own: &BTreeSet<String>) -> Option<f64> {
    let mut score = 0.0;
    if let Some(component) = &wanted.component
        && !runbook.components.is_empty()
    {
        let name = component.to_lowercase();
        let meant = |part: &String| !part.is_empty() && name.contains(&part.to_lowercase());
        if !runbook.components.iter().any(meant) {
            return None;
        }
        score += OF_COMPONENT;
    }
    // The first kind is the likeliest; a runbook for it alone is meant more than one for many things.
    let place = wanted
        .kinds
        .iter()
        .position(|kind| runbook.kinds.contains(kind));
    match place {
        Some(place) => {
            score += OF_KIND / (1.0 + place as f64) + 1.0 / (runbook.kinds.len().max(1) as f64);
        }
        // Its component alone is no reason: it is about something else.
        None if !wanted.kinds.is_empty() => score = 0.0,
        None => {}
    }
    score += IN_TITLE * share(own, &words(&runbook.title));
    score += IN_TEXT * share(own, &words(&runbook.text));
    let everything = wanted.kinds.is_empty() && own.is_empty();
    (everything || score >= LEAST).then_some(score)
}

/// One search for each word, since a search finds only what has all of its words; and those of the same component.
fn lessons(
    host: &Host,
    wanted: &SearchArguments,
    own: &BTreeSet<String>,
    limit: usize,
) -> Result<Vec<FoundLesson>, Error> {
    let mut found: BTreeMap<String, Lesson> = BTreeMap::new();
    let lessons = host.records::<Value>(lesson::COLLECTION);
    let mut add = |find: mandate_sdk::records::Find<'_, Value>| -> Result<(), Error> {
        for record in find.limit(HITS).page()?.records {
            if let Ok(lesson) = from_value(record.body) {
                found.insert(record.id, lesson);
            }
        }
        Ok(())
    };
    for word in own.iter().take(WORDS) {
        add(lessons.find().text(word.clone()))?;
    }
    if let Some(component) = &wanted.component {
        add(lessons.find().equal("component", component))?;
    }
    for kind in wanted.kinds.iter().take(2) {
        add(lessons.find().equal("kind", kind))?;
    }
    let mut found: Vec<FoundLesson> = found
        .into_iter()
        .filter_map(|(id, lesson)| {
            let mut score = share(own, &words(&lesson.title));
            score += share(own, &words(&lesson.text)) / 2.0;
            if wanted.component.is_some() && wanted.component == lesson.component {
                score += 1.0;
            }
            if lesson.kind.is_some_and(|kind| wanted.kinds.contains(&kind)) {
                score += 1.0;
            }
            (score >= LEAST).then_some(FoundLesson { id, score, lesson })
        })
        .collect();
    // Of two that are as similar, the one that helped says more.
    found.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(b.lesson.helped.cmp(&a.lesson.helped))
            .then(b.lesson.at.cmp(&a.lesson.at))
    });
    found.truncate(limit);
    Ok(found)
}
