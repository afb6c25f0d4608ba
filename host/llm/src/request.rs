//! What is asked of a model, as `mandate:llm` says it, without a vendor's words.

use crate::message::length;
use crate::{LlmError, Message, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// What plugins ask for instead of a vendor's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelClass {
    /// Quick and cheap.
    Fast,
    /// Able.
    Smart,
    /// Texts to vectors.
    Embed,
}

impl ModelClass {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Smart => "smart",
            Self::Embed => "embed",
        }
    }
}

/// A tool that the model may ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Unique within the request.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON Schema of the arguments.
    pub parameters: Value,
}

/// Whether tools are to be called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// As the model likes.
    #[default]
    Auto,
    /// No.
    None,
    /// Yes, at least one.
    Required,
    /// Yes, this one.
    Tool(String),
}

/// Tokens around a request, a message or a tool: templates have between three and ten.
const AROUND_EACH: u64 = 16;
/// Tokens of what models are told about calling tools; Anthropic names up to 346 for models whose
/// price is known (platform.claude.com/docs, tool use, pricing), some older ones 530.
const AROUND_TOOLS: u64 = 640;
/// Tokens of what models are told about the form of an answer, by us or by a provider; Anthropic
/// says that there are some, not how many. And of what its grammar has more than it twice.
const AROUND_SCHEMA: u64 = 640 + crate::grammar::MOST_MORE as u64;

/// One question to a model, with the whole conversation so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Which kind of model; not [`ModelClass::Embed`].
    pub class: ModelClass,
    /// Oldest first; at least one.
    pub messages: Vec<Message>,
    /// The tools on offer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// Whether to call them.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// JSON Schema that the answer's text must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// The most tokens of output; at least 1. Money is reserved for so many.
    pub max_output_tokens: u32,
    /// 0 to 2; none leaves it to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// The answer ends before the first of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
}

impl Request {
    /// A question of `messages`, and nothing else said.
    pub fn new(class: ModelClass, messages: Vec<Message>, max_output_tokens: u32) -> Self {
        Self {
            class,
            messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            output_schema: None,
            max_output_tokens,
            temperature: None,
            stop: Vec::new(),
        }
    }

    /// Whether something that a provider said beside its messages goes with it.
    pub fn has_thoughts(&self) -> bool {
        self.messages.iter().any(|said| said.thoughts.is_some())
    }

    /// Whether every provider could make sense of this; asked once, before any provider is.
    ///
    /// # Errors
    /// [`LlmError::Invalid`] names the field and what was expected.
    pub fn check(&self) -> Result<(), LlmError> {
        if self.class == ModelClass::Embed {
            return invalid("class: expected `fast` or `smart`; for vectors call `embed`");
        }
        if self.messages.is_empty() {
            return invalid("messages: expected at least one");
        }
        if self.max_output_tokens == 0 {
            return invalid("max-output-tokens: expected at least 1");
        }
        if self.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
            return invalid("temperature: expected 0 to 2");
        }
        if self.stop.iter().any(String::is_empty) {
            return invalid("stop: expected texts that are not empty");
        }
        self.check_tools()?;
        self.check_pairs()
    }

    fn check_tools(&self) -> Result<(), LlmError> {
        let mut names = BTreeSet::new();
        for (place, tool) in self.tools.iter().enumerate() {
            if tool.name.is_empty() || !names.insert(tool.name.as_str()) {
                return invalid(format!(
                    "tools[{place}].name: expected a name that no other tool of the request has, got `{}`",
                    tool.name
                ));
            }
        }
        match &self.tool_choice {
            ToolChoice::Required if self.tools.is_empty() => {
                invalid("tool-choice: `required` needs at least one tool in `tools`")
            }
            ToolChoice::Tool(name) if !names.contains(name.as_str()) => {
                invalid(format!("tool-choice: `{name}` is not among `tools`"))
            }
            _ => Ok(()),
        }
    }

    /// Providers refuse a conversation in which a call has no answer or an answer no call.
    fn check_pairs(&self) -> Result<(), LlmError> {
        let mut open: BTreeSet<&str> = BTreeSet::new();
        for (place, message) in self.messages.iter().enumerate() {
            if message.role == Role::Tool {
                let id = message.tool_call_id.as_deref().unwrap_or_default();
                if !open.remove(id) {
                    return invalid(format!(
                        "messages[{place}].tool-call-id: `{id}` is not a call of the assistant that waits for its answer"
                    ));
                }
                continue;
            }
            if let Some(id) = open.first() {
                return invalid(format!(
                    "messages[{place}]: expected the answer to the tool call `{id}` first"
                ));
            }
            if message.role != Role::Assistant && !message.tool_calls.is_empty() {
                return invalid(format!(
                    "messages[{place}].tool-calls: expected none, only the assistant calls tools"
                ));
            }
            for call in &message.tool_calls {
                if !open.insert(&call.id) {
                    return invalid(format!(
                        "messages[{place}].tool-calls: expected ids that differ, got `{}` twice",
                        call.id
                    ));
                }
            }
        }
        match open.first() {
            Some(id) => invalid(format!("messages: the tool call `{id}` has no answer")),
            None => Ok(()),
        }
    }

    /// The most tokens of input that a provider may count: each byte as one, and what it puts
    /// around a request, its messages, its tools and the schema of its answer.
    pub fn most_input_tokens(&self) -> u64 {
        let messages = AROUND_EACH * self.messages.len() as u64;
        let tools = if self.tools.is_empty() {
            0
        } else {
            AROUND_TOOLS + AROUND_EACH * self.tools.len() as u64
        };
        // What stands for a schema is at most twice as long.
        let schema = self.output_schema.as_ref();
        let schema = schema.map_or(0, |schema| AROUND_SCHEMA + length(schema) as u64);
        self.input_bytes() + AROUND_EACH + messages + tools + schema
    }

    /// The bytes of everything that a provider would read.
    pub fn input_bytes(&self) -> u64 {
        let messages = self.messages.iter().map(|m| {
            let calls = m
                .tool_calls
                .iter()
                .map(|c| c.id.len() + c.name.len() + length(&c.arguments));
            let thoughts = m.thoughts.as_ref().map_or(0, |thoughts| thoughts.bytes());
            let id = m.tool_call_id.as_ref().map_or(0, String::len);
            m.text.len() + id + calls.sum::<usize>() + thoughts
        });
        let tools = self
            .tools
            .iter()
            .map(|t| t.name.len() + t.description.len() + length(&t.parameters));
        let schema = self.output_schema.as_ref().map_or(0, length);
        (messages.sum::<usize>() + tools.sum::<usize>() + schema) as u64
    }
}

fn invalid(reason: impl Into<String>) -> Result<(), LlmError> {
    Err(LlmError::invalid(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToolCall;
    use serde_json::json;

    fn request(messages: Vec<Message>) -> Request {
        Request {
            tools: vec![ToolSpec {
                name: "a".into(),
                description: String::new(),
                parameters: json!({}),
            }],
            ..Request::new(ModelClass::Fast, messages, 10)
        }
    }

    fn refused(request: &Request) -> String {
        request.check().unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = request(vec![Message::text(Role::User, "hi")]);
        assert_eq!(good.check(), Ok(()));
        assert!(refused(&request(vec![])).contains("messages"));
        assert!(
            refused(&Request {
                max_output_tokens: 0,
                ..good.clone()
            })
            .contains("max-output-tokens")
        );
        assert!(
            refused(&Request {
                temperature: Some(f32::NAN),
                ..good.clone()
            })
            .contains("temperature")
        );
        assert!(
            refused(&Request {
                class: ModelClass::Embed,
                ..good.clone()
            })
            .contains("embed")
        );
        assert!(
            refused(&Request {
                stop: vec![String::new()],
                ..good.clone()
            })
            .contains("stop")
        );
        let unknown = Request {
            tool_choice: ToolChoice::Tool("b".into()),
            ..good.clone()
        };
        assert!(refused(&unknown).contains("`b`"));
        let none = Request {
            tool_choice: ToolChoice::Required,
            tools: vec![],
            ..good.clone()
        };
        assert!(refused(&none).contains("required"));
        let twice = Request {
            tools: [good.tools.clone(), good.tools.clone()].concat(),
            ..good
        };
        assert!(refused(&twice).contains("tools[1].name"));
    }

    #[test]
    fn calls_and_answers_stay_paired() {
        let call = |id: &str| ToolCall {
            id: id.into(),
            name: "a".into(),
            arguments: json!({}),
        };
        let asks = |ids: &[&str]| Message {
            tool_calls: ids.iter().map(|id| call(id)).collect(),
            ..Message::text(Role::Assistant, "")
        };
        let user = Message::text(Role::User, "hi");
        let answer = |id: &str| Message::tool_result(id, "{}");
        let good = request(vec![
            user.clone(),
            asks(&["1", "2"]),
            answer("2"),
            answer("1"),
            user.clone(),
        ]);
        assert_eq!(good.check(), Ok(()));
        let open = request(vec![user.clone(), asks(&["1"])]);
        assert!(refused(&open).contains("no answer"));
        let early = request(vec![user.clone(), asks(&["1"]), user.clone(), answer("1")]);
        assert!(refused(&early).contains("messages[2]"));
        let stray = request(vec![user.clone(), answer("1")]);
        assert!(refused(&stray).contains("messages[1].tool-call-id"));
        let twice = request(vec![user, asks(&["1", "1"])]);
        assert!(refused(&twice).contains("twice"));
    }
}
