//! The rules of the search: what to do next, and why.

use crate::action::Action;
use crate::footprint::Footprint;
use crate::notebook::{LOOKED_AT, Notebook};
use chrono::TimeDelta;
use incident_asking::text::names;
use incident_contract::Time;

/// How often a ranking that failed is asked for.
const MOST_RANKINGS: u32 = 2;
/// How often is waited for more data.
const MOST_WAITS: u32 = 2;
/// What was seen so short a time ago is still becoming clearer.
const YOUNG: TimeDelta = TimeDelta::minutes(2);

/// A longer window has so few measurements that none of them can be spared.
const FINE: TimeDelta = TimeDelta::minutes(10);

/// The next action, with its reason.
pub fn next(notebook: &Notebook, now: Time) -> (Action, String) {
    let say = |action: Action, reason: &str| (action, reason.to_owned());
    if notebook.ranking.is_none() {
        return match &notebook.failure {
            None => (
                Action::Rank,
                format!(
                    "`{}` shows the symptom; who deviates and explains it?",
                    notebook.symptom.service
                ),
            ),
            Some(_) if notebook.rankings < MOST_RANKINGS => {
                say(Action::Rank, "That may pass, so once more.")
            }
            Some(_) => say(
                Action::Conclude,
                "Nobody can rank the suspects, and a guess is no answer.",
            ),
        };
    }
    if is_mixed(notebook) {
        return say(
            Action::RankAfter,
            "Another incident ended a moment before: its marks must not be taken for this one's.",
        );
    }
    if !notebook.found() && notebook.waits < MOST_WAITS && is_young(notebook, now) {
        return say(
            Action::RankLater,
            "Nothing explains it so far, but it began a moment ago: there will be more data.",
        );
    }
    if !notebook.found() && !notebook.went_wider {
        return say(
            Action::RankWider,
            "Nothing explains it so far; it may have begun earlier.",
        );
    }
    if !notebook.in_vain.is_empty() && !notebook.rechecked {
        let acted_upon = names(notebook.in_vain.keys().map(String::as_str));
        return (
            Action::Recheck,
            format!("What was done to {acted_upon} did not help; are they still unwell?"),
        );
    }
    // Once it is clear who it is, only what it suffers from is left to be found.
    let interesting = if notebook.suffices() { 1 } else { LOOKED_AT };
    let first = notebook.first(interesting);
    let unseen = |saw: fn(&Footprint) -> bool| -> Vec<String> {
        let unseen = first.iter().filter(|name| !saw(&notebook.footprint(name)));
        unseen.cloned().collect()
    };
    let logs = unseen(|footprint| footprint.saw_log);
    if !logs.is_empty() {
        let reason = format!(
            "{} may have been changed, or may say what is wrong.",
            names(logs.iter().map(String::as_str))
        );
        return (Action::Logs(logs), reason);
    }
    let resources = unseen(|footprint| footprint.saw_resources);
    if !resources.is_empty() {
        return (
            Action::Resources(resources),
            "If memory, processor or a pool of a suspect moved, that tells them apart.".to_owned(),
        );
    }
    if notebook.suffices() {
        return say(
            Action::Conclude,
            "The first suspect is likely, stands apart from the others, and looking at it confirmed it.",
        );
    }
    if notebook.found() && !notebook.saw_spans {
        return say(
            Action::Traces,
            "Nothing tells the suspects apart for sure: where is the time spent?",
        );
    }
    say(
        Action::Conclude,
        "All that could tell the suspects apart was looked at.",
    )
}

fn is_young(notebook: &Notebook, now: Time) -> bool {
    notebook.symptom.at.is_some_and(|at| now - at < YOUNG)
}

/// Whether the window has marks of another incident, and the time after that was not looked at by itself.
fn is_mixed(notebook: &Notebook) -> bool {
    let (Some(window), Some(ended)) = (notebook.window(), notebook.earlier) else {
        return false;
    };
    let fine = window.end - window.start <= FINE;
    !notebook.went_after && fine && ended > window.start && ended < notebook.seen()
}
