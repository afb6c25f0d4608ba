//! What stands for what in one request, and the way back.

use super::kind::Kind;
use super::walk;
use crate::Message;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

/// What was taken out of one request. Holds it in memory for the answer; shown are counts alone.
pub struct Redacted {
    originals: Arc<Placeholders>,
    counts: BTreeMap<&'static str, u64>,
}

/// Placeholder to original, in the order of the alphabet: a stream asks what may still become one.
pub type Placeholders = BTreeMap<String, String>;

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redacted")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl Redacted {
    /// How many of each kind were replaced, one that stands in several places each time.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// For what the placeholders that stand within `fields` stand.
    pub fn within(&self, fields: &Map<String, Value>) -> Placeholders {
        let mut found = Placeholders::new();
        for value in fields.values() {
            self.find(value, &mut found);
        }
        found
    }

    fn find(&self, value: &Value, found: &mut Placeholders) {
        match value {
            Value::String(text) => {
                for (place, _) in text.match_indices('[') {
                    let name = text.get(place..).and_then(bracketed);
                    let known = name.and_then(|name| self.originals.get_key_value(name));
                    found.extend(known.map(|(name, original)| (name.clone(), original.clone())));
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.find(value, found)),
            Value::Object(fields) => fields.values().for_each(|value| self.find(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Puts the originals back in an answer: in its text, and in every string and name within the
    /// arguments of tool calls, also where a text of others made the model repeat a placeholder:
    /// the tool needs it, and has the capabilities of the agent and no others.
    pub fn restore(&self, message: &mut Message) {
        let edit = &mut |_: Option<&str>, text: &str| {
            text.contains('[').then(|| {
                let mut restorer = self.restorer();
                let mut restored = restorer.push(text);
                restored.push_str(&restorer.finish());
                restored
            })
        };
        if let Some(restored) = walk::message(message, edit) {
            *message = restored;
        }
    }

    /// Puts the originals back in a text that comes in pieces. Not for JSON in pieces, in which an
    /// original may need escapes: put that together first.
    pub fn restorer(&self) -> Restorer {
        Restorer {
            originals: Arc::clone(&self.originals),
            held: String::new(),
            left: MOST_RESTORED,
        }
    }
}

/// Bytes of originals that are put back in one text: a model that repeats the placeholder of a
/// long one would fill the memory. Beyond that placeholders stay.
const MOST_RESTORED: usize = 16 << 20;

/// Puts originals back in a text that comes in pieces, cut anywhere.
pub struct Restorer {
    originals: Arc<Placeholders>,
    /// What may be the beginning of a placeholder.
    held: String,
    /// Bytes of originals that may still be put back.
    left: usize,
}

impl Restorer {
    /// What is certain after `piece`.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let mut out = String::with_capacity(self.held.len());
        let mut rest = self.held.as_str();
        while let Some((before, _)) = rest.split_once('[') {
            out.push_str(before);
            let from = rest.get(before.len()..).unwrap_or_default();
            let original = bracketed(from).and_then(|name| Some((name, self.originals.get(name)?)));
            if let Some((name, original)) = original {
                match self.left.checked_sub(original.len()) {
                    Some(left) => {
                        self.left = left;
                        out.push_str(original);
                    }
                    None => out.push_str(name),
                }
                rest = from.get(name.len()..).unwrap_or_default();
            } else if self.may_become(from) {
                let held = from.to_owned();
                self.held = held;
                return out;
            } else {
                out.push('[');
                rest = from.get(1..).unwrap_or_default();
            }
        }
        out.push_str(rest);
        self.held.clear();
        out
    }

    /// What was held back.
    pub fn finish(self) -> String {
        self.held
    }

    fn may_become(&self, begun: &str) -> bool {
        let next = self
            .originals
            .range::<str, _>((Bound::Included(begun), Bound::Unbounded))
            .next();
        next.is_some_and(|(name, _)| name.starts_with(begun))
    }
}

/// Longest name: the longest kind, the greatest number and their frame.
const LONGEST: usize = 32;

/// What the bracket at the beginning of `text` frames, with it, if it is short.
fn bracketed(text: &str) -> Option<&str> {
    let end = text.bytes().take(LONGEST).position(|byte| byte == b']')?;
    text.get(..=end)
}

/// Gives names to originals, in the order in which they come.
#[derive(Default)]
pub(super) struct Names {
    names: HashMap<(Kind, String), String>,
    /// Names that somebody wrote into the request: none of them may come to mean an original.
    taken: HashSet<String>,
    last: BTreeMap<Kind, u64>,
    counts: BTreeMap<&'static str, u64>,
}

impl Names {
    /// Looks for what is written like a name.
    pub(super) fn take(&mut self, text: &str) {
        for (place, _) in text.match_indices('[') {
            let Some(name) = text.get(place..).and_then(bracketed) else {
                continue;
            };
            let inside = name.trim_start_matches('[').trim_end_matches(']');
            let is_name = inside.rsplit_once('_').is_some_and(|(word, number)| {
                Kind::ALL.iter().any(|kind| kind.word() == word)
                    && number.bytes().all(|byte| byte.is_ascii_digit())
            });
            if is_name {
                self.taken.insert(name.to_owned());
            }
        }
    }

    /// What stands for `original`, from now on.
    pub(super) fn name(&mut self, kind: Kind, original: &str) -> &str {
        *self.counts.entry(kind.name()).or_default() += 1;
        let (taken, last) = (&self.taken, self.last.entry(kind).or_default());
        self.names
            .entry((kind, original.to_owned()))
            .or_insert_with(|| {
                loop {
                    *last += 1;
                    let name = format!("[{}_{last}]", kind.word());
                    if !taken.contains(&name) {
                        return name;
                    }
                }
            })
    }

    pub(super) fn redacted(self) -> Redacted {
        let originals = self
            .names
            .into_iter()
            .map(|((_, original), name)| (name, original));
        Redacted {
            originals: Arc::new(originals.collect()),
            counts: self.counts,
        }
    }
}
