//! What log lines complain about: something of the component's own, another component, or something that nobody
//! watches. The texts are others'; only names that stand in them count.

use crate::look::Line;
use incident_asking::text::line;
use std::collections::{BTreeMap, BTreeSet};

/// A component may name another so often without a fault.
const FEW: usize = 2;
/// And something else that it cannot reach so often.
const ONCE: usize = 1;
const LONGEST_EXAMPLE: usize = 160;
const LONGEST_NAME: usize = 100;
/// Labels that say what a line is about, where there are any.
const LABELS: [&str; 5] = [
    "peer.service",
    "peer",
    "dependency",
    "upstream",
    "server.address",
];
/// What stands before the name of something that cannot be reached.
const BEFORE: [&str; 14] = [
    "cannot reach",
    "can not reach",
    "could not reach",
    "failed to reach",
    "cannot connect to",
    "could not connect to",
    "failed to connect to",
    "unable to connect to",
    "connection to",
    "connecting to",
    "calling",
    "call to",
    "lookup",
    "no route to",
];

/// What the log of one component complains about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Complaints {
    /// Lines of errors that name nobody else.
    pub own: usize,
    /// One of them.
    pub example: Option<String>,
    /// How many lines name which other component.
    pub named: BTreeMap<String, usize>,
    /// What cannot be reached and is not watched.
    pub lost: Option<String>,
}

impl Complaints {
    /// Of these lines of `component`, where `watched` are the names of all components.
    pub fn of(component: &str, lines: &[&Line], watched: &BTreeSet<String>) -> Self {
        let mut found = Self::default();
        let mut lost: BTreeMap<String, usize> = BTreeMap::new();
        for complaint in lines {
            let others: Vec<&String> = watched
                .iter()
                .filter(|name| *name != component && names(complaint, name))
                .collect();
            for other in &others {
                *found.named.entry((*other).clone()).or_default() += 1;
            }
            if !is_error(complaint) || !others.is_empty() {
                continue;
            }
            let name = unreachable(complaint);
            match name.filter(|name| name != component && !watched.contains(name)) {
                Some(name) => *lost.entry(name).or_default() += 1,
                None => {
                    found.own += 1;
                    found.example = Some(line(&complaint.message, LONGEST_EXAMPLE));
                }
            }
        }
        // The one that is named most often; of several, the first by name.
        let most = lost.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
        found.lost = most
            .filter(|(_, count)| **count > ONCE)
            .map(|(name, _)| name.clone());
        found
    }

    /// The components that are named more often than chance does.
    pub fn accused(&self) -> impl Iterator<Item = &String> {
        self.named
            .iter()
            .filter(|(_, count)| **count > FEW)
            .map(|(name, _)| name)
    }
}

/// Whether a line is worth looking at: it warns, or worse.
pub fn is_complaint(line: &Line) -> bool {
    is_error(line) || line.severity == "warning"
}

fn is_error(line: &Line) -> bool {
    matches!(line.severity.as_str(), "error" | "fatal")
}

/// Whether a line is about the component: by a label, or as a word of its message.
fn names(line: &Line, component: &str) -> bool {
    let labelled = LABELS.iter().any(|label| {
        line.labels
            .get(*label)
            .is_some_and(|value| value == component)
    });
    labelled || has_word(&line.message, component)
}

/// Whether the text has the name as a word of its own: `cart` is not in `cart-db`.
fn has_word(text: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || "-_".contains(c);
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            let after = text
                .get(at + name.len()..)
                .and_then(|text| text.chars().next());
            !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
        })
}

/// What the line says cannot be reached.
fn unreachable(line: &Line) -> Option<String> {
    let labelled = LABELS
        .iter()
        .find_map(|label| line.labels.get(*label))
        .cloned();
    let told = || {
        let message = line.message.to_ascii_lowercase();
        BEFORE.iter().find_map(|before| {
            let rest = message.get(message.find(before)? + before.len()..)?;
            let word = rest
                .split_whitespace()
                .find(|word| !matches!(*word, "the" | "host" | "to" | "service"))?;
            let name = word.trim_matches(|c: char| !c.is_alphanumeric());
            let letters = name.chars().filter(|c| c.is_alphabetic()).count();
            (letters >= 3).then(|| name.to_owned())
        })
    };
    labelled
        .or_else(told)
        .filter(|name| name.len() <= LONGEST_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_sdk::serde_json::{from_value, json};

    fn complaints(lines: &[(&str, &str)]) -> Complaints {
        let lines: Vec<Line> = lines
            .iter()
            .map(|(severity, message)| {
                let line = json!({"time": "2026-01-01T00:00:00Z", "severity": severity, "message": message});
                from_value(line).unwrap()
            })
            .collect();
        let watched = ["cart", "cart-db", "web"].map(String::from).into();
        Complaints::of("cart", &lines.iter().collect::<Vec<_>>(), &watched)
    }

    #[test]
    fn what_cannot_be_reached_and_is_not_watched_is_lost() {
        for message in [
            "cannot reach card-network: 12 calls failed",
            "Could not connect to the Card-Network!",
            "Connection to card-network refused",
        ] {
            let found = complaints(&[("error", message); 3]);
            assert_eq!(found.lost.as_deref(), Some("card-network"), "{message}");
            assert_eq!(found.own, 0);
        }
        let chance = complaints(&[("error", "cannot reach card-network"); 1]);
        assert_eq!(chance.lost, None);
        let watched = complaints(&[("error", "cannot reach cart-db: refused"); 3]);
        assert_eq!(watched.lost, None);
        assert_eq!(complaints(&[("error", "cannot reach 10.0.0.1"); 3]).own, 3);
    }

    #[test]
    fn others_are_named_by_words_of_their_own() {
        let found = complaints(&[("warning", "cart-db did not answer in time (3 calls)"); 4]);
        assert_eq!(found.accused().collect::<Vec<_>>(), ["cart-db"]);
        assert_eq!(found.own, 0);
        let part = complaints(&[("error", "webhook failed in cart-dbx"); 4]);
        assert_eq!(part.accused().count(), 0);
        assert_eq!(
            complaints(&[("error", "web: gone"); 3]).accused().count(),
            1
        );
    }

    #[test]
    fn errors_that_name_nobody_are_its_own() {
        let found = complaints(&[("error", "unhandled exception: index 3 is out of range"); 5]);
        assert_eq!(found.own, 5);
        assert!(found.example.unwrap().contains("index 3"));
        assert_eq!(complaints(&[("warning", "memory is low"); 5]).own, 0);
    }
}
