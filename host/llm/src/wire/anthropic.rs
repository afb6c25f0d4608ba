//! Anthropic's own wire: `POST /messages`.

use super::names::Names;
use super::{Answer, Whom, Wrong, fields_but};
use crate::catalog::Quirk;
use crate::structured;
use crate::{Finish, Message, Request, Role, ToolCall, ToolChoice, Usage};
use serde_json::{Map, Value, json};

/// The version of the wire, sent as `anthropic-version`.
pub const VERSION: &str = "2023-06-01";

/// A request as the body of `POST /messages`.
pub fn request(request: &Request, whom: Whom<'_>) -> Value {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", json!(whom.model));
    set("max_tokens", json!(request.max_output_tokens));
    let mut system: Vec<&str> = request
        .messages
        .iter()
        .filter(|message| message.role == Role::System)
        .map(|message| message.text.as_str())
        .collect();
    let (grammar, words) = structured::told(request, can_be_held(whom));
    system.extend(words.as_deref());
    if !system.is_empty() {
        set("system", json!(system.join("\n\n")));
    }
    if let Some(schema) = grammar {
        let format = json!({"type": "json_schema", "schema": schema});
        set("output_config", json!({"format": format}));
    }
    set("messages", messages(request, whom));
    if let Some(temperature) = request
        .temperature
        .filter(|_| !whom.has(Quirk::NoTemperature))
    {
        // It goes to 1 here.
        set("temperature", json!(temperature.min(1.0)));
    }
    if !request.stop.is_empty() {
        set("stop_sequences", json!(request.stop));
    }
    if !request.tools.is_empty() {
        let required = if whom.has(Quirk::NoRequiredToolChoice) {
            json!({"type": "auto"})
        } else {
            json!({"type": "any"})
        };
        let mut only = None;
        let choice = match &request.tool_choice {
            ToolChoice::Auto => json!({"type": "auto"}),
            ToolChoice::None => json!({"type": "none"}),
            ToolChoice::Required => required,
            ToolChoice::Tool(name) if whom.has(Quirk::NoNamedToolChoice) => {
                only = Some(name);
                required
            }
            ToolChoice::Tool(name) => json!({"type": "tool", "name": whom.names.there(name)}),
        };
        let offered = request.tools.iter();
        let tools = offered
            .filter(|tool| only.is_none_or(|only| *only == tool.name))
            .map(|tool| {
                json!({
                    "name": whom.names.there(&tool.name),
                    "description": tool.description,
                    "input_schema": tool.parameters,
                })
            });
        set("tools", tools.collect());
        set("tool_choice", choice);
    }
    Value::Object(body)
}

/// Whether the model can be held to a schema.
pub fn can_be_held(whom: Whom<'_>) -> bool {
    !whom.has(Quirk::NoJsonSchema)
}

/// The conversation in turns: what one side says in a row is one message of several blocks.
fn messages(request: &Request, whom: Whom<'_>) -> Value {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in &request.messages {
        let role = match message.role {
            Role::System => continue,
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        let blocks = blocks(message, whom);
        match turns.last_mut() {
            Some((last, said)) if *last == role => said.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    let turns = turns.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    turns
        .map(|(role, content)| json!({"role": role, "content": content}))
        .collect()
}

fn blocks(message: &Message, whom: Whom<'_>) -> Vec<Value> {
    if message.role == Role::Tool {
        return vec![json!({
            "type": "tool_result",
            "tool_use_id": message.tool_call_id,
            "content": message.text,
        })];
    }
    if let Some(own) = own(message, whom) {
        return own;
    }
    let mut blocks = Vec::new();
    // A block of blanks is refused.
    if !message.text.trim().is_empty() {
        blocks.push(json!({"type": "text", "text": message.text}));
    }
    blocks.extend(message.tool_calls.iter().map(|call| {
        json!({
            "type": "tool_use",
            "id": call.id,
            "name": whom.names.there(&call.name),
            "input": call.arguments,
        })
    }));
    blocks
}

/// Its own it hears as it said them, thoughts and signatures in their places: it refuses others.
/// None if that is not all of the message.
fn own(message: &Message, whom: Whom<'_>) -> Option<Vec<Value>> {
    let said = message.thoughts_of(whom.provider, whom.model)?;
    let blocks = said.get("content")?.as_array()?;
    let text =
        |block: &Value, name: &str| block.get(name).and_then(Value::as_str).map(str::to_owned);
    let is = |block: &Value, kind: &str| text(block, "type").is_some_and(|it| it == kind);
    let is_blank = |block: &Value| {
        is(block, "text") && text(block, "text").is_none_or(|text| text.trim().is_empty())
    };
    let blocks: Vec<Value> = blocks
        .iter()
        .filter(|block| !is_blank(block))
        .cloned()
        .collect();
    let has_text = blocks.iter().any(|block| is(block, "text"));
    let calls = blocks.iter().filter(|block| is(block, "tool_use"));
    let ids: Vec<Option<String>> = calls.map(|call| text(call, "id")).collect();
    let called = message.tool_calls.iter().map(|call| Some(call.id.clone()));
    let is_whole = has_text != message.text.trim().is_empty() && ids.into_iter().eq(called);
    // Thoughts alone are no turn.
    (is_whole && (has_text || !message.tool_calls.is_empty())).then_some(blocks)
}

/// What an answer of `POST /messages` says.
///
/// # Errors
/// [`Wrong`]: it is none that can be used; with the usage, if it says one.
pub fn answer(mut body: Value, names: &Names) -> Result<Answer, Wrong> {
    let used = usage(&body);
    let wrong = |what: &str| Wrong::new(what, used);
    let content = body.get_mut("content").map(Value::take);
    let Some(Value::Array(blocks)) = content else {
        return Err(wrong("the answer has no content"));
    };
    let mut message = Message::text(Role::Assistant, "");
    let is_plain = |block: &Value| {
        let kind = block.get("type").and_then(Value::as_str);
        matches!(kind, Some("text" | "tool_use"))
    };
    // With thoughts between them, all of it is kept as it stands.
    let whole = (!blocks.iter().all(is_plain)).then(|| blocks.clone());
    for mut block in blocks {
        match block.get("type").and_then(Value::as_str) {
            Some("text") => {
                let text = block.get("text").and_then(Value::as_str);
                message.text.push_str(text.unwrap_or_default());
            }
            Some("tool_use") => {
                let text = |name: &str| block.get(name).and_then(Value::as_str).map(str::to_owned);
                let (Some(id), Some(name)) = (text("id"), text("name")) else {
                    return Err(wrong("a tool call has no id or no name"));
                };
                // A stream whose pieces are no JSON leaves the text.
                if block.get("input").is_some_and(Value::is_string) {
                    let told = format!("the arguments of a call of `{name}` are no JSON");
                    return Err(wrong(&told));
                }
                message.tool_calls.push(ToolCall {
                    id,
                    name: names.back(&name),
                    arguments: block
                        .get_mut("input")
                        .map_or_else(|| json!({}), Value::take),
                });
            }
            _ => {}
        }
    }
    let finish = match body.get("stop_reason").and_then(Value::as_str) {
        Some("max_tokens" | "model_context_window_exceeded") => Finish::Length,
        Some("refusal") => Finish::Filtered,
        _ if !message.tool_calls.is_empty() => Finish::ToolCalls,
        _ => Finish::Stop,
    };
    if message.text.is_empty() && message.tool_calls.is_empty() && finish == Finish::Stop {
        return Err(wrong("the answer is empty"));
    }
    let known = ["content", "usage", "model", "type", "role", "stop_reason"];
    let mut extra = fields_but(body, &known);
    if let Some(whole) = whole {
        extra.insert("content".to_owned(), Value::Array(whole));
    }
    Ok(Answer {
        message,
        finish,
        usage: used,
        extra,
        stood_for: None,
    })
}

/// Tokens; what was read from the cache or written to it is counted beside `input_tokens` there.
fn usage(body: &Value) -> Option<Usage> {
    let said = body.get("usage")?;
    let count = |name: &str| said.get(name).and_then(Value::as_u64);
    let cached = count("cache_read_input_tokens").unwrap_or(0);
    let written = count("cache_creation_input_tokens").unwrap_or(0);
    Some(Usage {
        input_tokens: count("input_tokens")?
            .saturating_add(cached)
            .saturating_add(written),
        cached_tokens: cached,
        cache_write_tokens: written,
        output_tokens: count("output_tokens")?,
        reasoning_tokens: 0,
    })
}

#[cfg(test)]
mod tests;
