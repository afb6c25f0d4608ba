//! What a model answered, what was used for it, and what it cost.

use crate::Message;
use crate::redact::Placeholders;
use crate::trace::Attempt;
use mandate_types::MicroUsd;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Why the model ended its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It was done, or met a stop text.
    Stop,
    /// It waits for tools.
    ToolCalls,
    /// `max_output_tokens` was reached; the text is cut.
    Length,
    /// The provider withheld it.
    Filtered,
}

/// Tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All tokens read.
    pub input_tokens: u64,
    /// Of the input, those from the provider's cache.
    pub cached_tokens: u64,
    /// Of the input, those that were written to that cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
    /// All tokens written.
    pub output_tokens: u64,
    /// Of the output, those not shown.
    pub reasoning_tokens: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A model's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Of role `assistant`.
    pub message: Message,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens used.
    pub usage: Usage,
    /// What the call cost, with the attempts before it.
    pub cost: MicroUsd,
    /// Who answered.
    pub provider: String,
    /// With which model.
    pub model: String,
    /// True when no model was asked and the host played its part.
    pub simulated: bool,
    /// True when it was answered before, and nobody was asked now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// What else the provider said.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// For what the placeholders within `extra` stand, where it has thoughts and the prompt was
    /// redacted; none where the provider saw everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stood_for: Option<Placeholders>,
    /// What was tried, in order; the last was answered. Empty if it was the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

impl Response {
    /// Whether nobody knows what a part of it cost.
    pub fn is_uncertain(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.uncertain)
    }
}

impl Embeddings {
    /// As of [`Response::is_uncertain`].
    pub fn is_uncertain(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.uncertain)
    }
}

/// Vectors of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embeddings {
    /// One per text, in order, each of length 1.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens used.
    pub usage: Usage,
    /// What they cost.
    pub cost: MicroUsd,
    /// Who answered.
    pub provider: String,
    /// With which model.
    pub model: String,
    /// True when no model was asked and the host played its part.
    pub simulated: bool,
    /// True when it was answered before, and nobody was asked now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// What was tried, in order; the last was answered. Empty if it was the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}
