//! The wires on which providers are spoken to: what is asked as their bodies, and what they
//! answer as ours. Nothing here sends anything.

pub mod anthropic;
mod names;
pub mod openai;
mod refusal;
pub mod stream;

pub use names::Names;
pub use refusal::refusal;

use crate::catalog::{Quirk, Quirks, Row};
use crate::redact::Placeholders;
use crate::{Finish, Message, Usage};
use serde_json::{Map, Value};

/// The most characters of what a provider says of itself.
const MOST_SAID: usize = 300;

/// Who a body is for.
#[derive(Clone, Copy)]
pub struct Whom<'a> {
    /// By its name.
    pub provider: &'a str,
    /// With which model.
    pub model: &'a str,
    /// How it calls the tools.
    pub names: &'a Names,
    /// What it refuses.
    pub quirks: &'a Quirks,
}

impl<'a> Whom<'a> {
    /// `model` of the provider of `row`.
    pub fn of(row: &'a Row, model: &'a str, names: &'a Names, quirks: &'a Quirks) -> Self {
        Self {
            provider: &row.id,
            model,
            names,
            quirks,
        }
    }

    /// Whether it has this quirk.
    pub fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

/// What a provider answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Of role `assistant`.
    pub message: Message,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens, if it says.
    pub usage: Option<Usage>,
    /// What else it said.
    pub extra: Map<String, Value>,
    /// As [`crate::Response::stood_for`]; wires know nothing of it.
    pub stood_for: Option<Placeholders>,
}

/// What a provider answered to texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// One per text, in order, as they came.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens, if it says.
    pub usage: Option<Usage>,
}

/// An answer that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong with it.
    pub what: String,
    /// What it is billed for all the same, if it says.
    pub usage: Option<Usage>,
}

impl Wrong {
    fn new(what: &str, usage: Option<Usage>) -> Self {
        Self {
            what: what.to_owned(),
            usage,
        }
    }
}

/// The members of an object that are not among `known`, null ones left out.
fn fields_but(value: Value, known: &[&str]) -> Map<String, Value> {
    let Value::Object(fields) = value else {
        return Map::new();
    };
    fields
        .into_iter()
        .filter(|(name, value)| !known.contains(&name.as_str()) && !value.is_null())
        .collect()
}

/// On one line, and not too much of it.
pub(crate) fn limited(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(MOST_SAID).collect()
}
