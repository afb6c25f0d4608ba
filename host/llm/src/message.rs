//! What is said in a conversation with a model, and what stands beside it.

use crate::Response;
use crate::redact::{Placeholders, Redacted};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The frame that the agent's author gives.
    System,
    /// Who wants something.
    User,
    /// The model.
    Assistant,
    /// The answer to a tool call.
    Tool,
}

/// The model's wish that a tool be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique within the conversation; the answer names it.
    pub id: String,
    /// One of the offered tools.
    pub name: String,
    /// For the tool's schema; the caller validates it.
    pub arguments: Value,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What; may be empty when there are tool calls.
    pub text: String,
    /// Only in messages of the assistant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// In messages of role `tool`: the id of the call that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// What the provider said beside it: no part of the conversation, and not written with it
    /// (journals have it with the answer).
    #[serde(skip)]
    pub thoughts: Option<Arc<Thoughts>>,
}

/// What a provider said beside a message of the assistant, and may want to hear again: what its
/// model thought, and signatures of that.
#[derive(Clone, Debug, PartialEq)]
pub struct Thoughts {
    /// Who said it.
    pub provider: String,
    /// With which model.
    pub model: String,
    /// The part of [`Response::extra`] that belongs to the message itself.
    pub said: Map<String, Value>,
    /// As [`Response::stood_for`].
    pub stood_for: Option<Placeholders>,
}

impl Thoughts {
    /// Whether there may be some in what a provider said beside an answer.
    pub fn are_in(extra: &Map<String, Value>) -> bool {
        extra.contains_key("content") || extra.contains_key("message")
    }

    /// Those of an answer, if it has any.
    pub fn of(answer: &Response) -> Option<Self> {
        let mut said = Map::new();
        if let Some(content) = answer.extra.get("content").filter(|it| it.is_array()) {
            said.insert("content".to_owned(), content.clone());
        }
        if let Some(Value::Object(beside)) = answer.extra.get("message") {
            // What else may stand there nobody wants back.
            let wanted = ["reasoning_content", "tool_calls"];
            let fields = beside
                .iter()
                .filter(|(name, _)| wanted.contains(&name.as_str()));
            let fields: Map<String, Value> = fields
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            if !fields.is_empty() {
                said.insert("message".to_owned(), Value::Object(fields));
            }
        }
        (!said.is_empty()).then(|| Self {
            provider: answer.provider.clone(),
            model: answer.model.clone(),
            said,
            stood_for: answer.stood_for.clone(),
        })
    }

    /// Whether they still mean what they meant, where prompts are redacted or not: placeholders in
    /// them must stand for the same as in the request that they go with, and who saw everything
    /// then and does not now would give away what he saw.
    pub fn fit(&self, redacts: bool, redacted: Option<&Redacted>) -> bool {
        match (&self.stood_for, redacts) {
            (None, redacts) => !redacts,
            (Some(stood_for), false) => stood_for.is_empty(),
            (Some(stood_for), true) => {
                let now = redacted.map(|redacted| redacted.within(&self.said));
                now.unwrap_or_default() == *stood_for
            }
        }
    }

    /// The bytes that a provider would read.
    pub fn bytes(&self) -> usize {
        self.said.values().map(length).sum()
    }
}

impl Message {
    /// A message of text alone.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            text: text.into(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            thoughts: None,
        }
    }

    /// What `model` of `provider` said beside it; what another said is not for it.
    pub fn thoughts_of(&self, provider: &str, model: &str) -> Option<&Map<String, Value>> {
        let thoughts = self.thoughts.as_deref()?;
        (thoughts.provider == provider && thoughts.model == model).then_some(&thoughts.said)
    }

    /// The answer to the call `id`.
    pub fn tool_result(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            tool_call_id: Some(id.into()),
            ..Self::text(Role::Tool, text)
        }
    }
}

/// The bytes of a value as text.
pub(crate) fn length(value: &Value) -> usize {
    value.to_string().len()
}
