//! Ranking the suspects: around the symptom, later, over a wider time, or after another incident.

use crate::look;
use crate::notebook::Notebook;
use incident_asking::text::{line, names};
use incident_contract::Window;
use incident_contract::ranking::{RankArguments, Ranking};
use mandate_sdk::prelude::*;
use std::time::Duration;

const SUSPECTS: u32 = 10;
/// How long is waited for more data.
const WAIT: Duration = Duration::from_secs(10);

/// Ranks again after a while.
pub fn later(host: &Host, notebook: &mut Notebook) -> String {
    notebook.waits += 1;
    match host.sleep(WAIT) {
        Ok(()) => rank(host, notebook, None),
        Err(error) => format!("Waiting was refused: {error}."),
    }
}

/// Ranks over a time that begins as much earlier as the window was long, up to the same end.
pub fn wider(host: &Host, notebook: &mut Notebook) -> String {
    notebook.went_wider = true;
    let window = notebook.window().and_then(|window| {
        let length = window.end - window.start;
        Some(Window {
            start: window.start.checked_sub_signed(length)?,
            end: window.end,
        })
    });
    rank(host, notebook, window)
}

/// Ranks over what is left of the window after another incident ended. If that finds the cause, it counts more: the
/// time before has marks of the other one.
pub fn after(host: &Host, notebook: &mut Notebook) -> String {
    notebook.went_after = true;
    let Some((window, start)) = notebook.window().zip(notebook.earlier) else {
        return "There is no ranking, or no other incident.".to_owned();
    };
    let before = notebook.ranking.take();
    let told = rank(host, notebook, Some(Window { start, ..window }));
    if !notebook.found() {
        notebook.ranking = before.or(notebook.ranking.take());
    }
    told
}

/// Ranks the suspects and notes the ranking, if it is better than none, or than one that found nothing and was not
/// even surer.
pub fn rank(host: &Host, notebook: &mut Notebook, window: Option<Window>) -> String {
    notebook.rankings += 1;
    let arguments = RankArguments {
        symptom: notebook.symptom.clone(),
        window,
        baseline: notebook.baseline,
        limit: Some(SUSPECTS),
    };
    let ranking = match look::rank(host, &arguments) {
        Ok(ranking) => ranking,
        Err(error) => {
            let why = format!("The suspects could not be ranked: {error}.");
            notebook.failure = Some(why.clone());
            return why;
        }
    };
    notebook.failure = None;
    for suspect in &ranking.suspects {
        notebook.watched.insert(suspect.component.clone());
        notebook.watched.extend(suspect.path.iter().cloned());
    }
    notebook.watched.extend(ranking.missing.iter().cloned());
    let mut told = told(&ranking);
    let in_vain = notebook.in_vain.keys().map(String::as_str);
    if !notebook.in_vain.is_empty() {
        told.push_str(&format!(
            " What was done to {} did not help.",
            names(in_vain)
        ));
    }
    let better = notebook
        .ranking
        .as_ref()
        .is_none_or(|old| !old.found && ranking.found && first(&ranking) >= first(old));
    if better {
        notebook.ranking = Some(ranking);
    }
    told
}

/// The confidence in the first suspect.
fn first(ranking: &Ranking) -> f64 {
    ranking
        .suspects
        .first()
        .map_or(0.0, |first| first.confidence)
}

fn told(ranking: &Ranking) -> String {
    let suspects: Vec<String> = ranking
        .suspects
        .iter()
        .take(5)
        .map(|suspect| {
            let why = suspect
                .evidence
                .first()
                .map(|evidence| format!(" ({})", line(&evidence.text, 120)));
            format!(
                "`{}` {:.2}{}",
                suspect.component,
                suspect.confidence,
                why.unwrap_or_default()
            )
        })
        .collect();
    let found = if ranking.found { "found" } else { "not found" };
    let missing = match ranking.missing.len() {
        0 => String::new(),
        number => format!(" No data of {number} components on its paths."),
    };
    format!(
        "{found}: {} {}.{missing}",
        ranking.reason,
        suspects.join("; ")
    )
}
