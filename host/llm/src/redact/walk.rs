//! Everything in a request that may hold text, in one order that later messages do not change.
//!
//! Tools come first, because providers put them before the messages, and answers' schemas and stop
//! texts next: what a growing conversation adds stands behind all that was numbered before.
//!
//! Left alone: names of tools and ids of calls, which pair things; numbers in JSON; and of a JSON
//! Schema all but its words for the model (`title`, `description`, `$comment`) and its values
//! (`default`, `const`, `enum`, `examples`): names of properties, `required`, `pattern`, `$ref` and
//! the other keywords must stay what they are, or the schema means something else.

use crate::{Message, Request, ToolSpec};
use serde_json::{Map, Value};

/// What is done to each text: its name in JSON, the text; another text instead, or none.
pub(super) trait Edit: FnMut(Option<&str>, &str) -> Option<String> {}
impl<F: FnMut(Option<&str>, &str) -> Option<String>> Edit for F {}

/// `request` as `edit` changes it; nothing is copied if it changes nothing.
pub(super) fn request(request: &Request, edit: &mut impl Edit) -> Option<Request> {
    let tools = list(&request.tools, |tool| self::tool(tool, edit));
    let schema = request
        .output_schema
        .as_ref()
        .and_then(|schema| self::schema(schema, edit));
    let stop = texts(&request.stop, edit);
    let messages = list(&request.messages, |message| self::message(message, edit));
    if tools.is_none() && schema.is_none() && stop.is_none() && messages.is_none() {
        return None;
    }
    Some(Request {
        class: request.class,
        messages: messages.unwrap_or_else(|| request.messages.clone()),
        tools: tools.unwrap_or_else(|| request.tools.clone()),
        tool_choice: request.tool_choice.clone(),
        output_schema: schema.or_else(|| request.output_schema.clone()),
        max_output_tokens: request.max_output_tokens,
        temperature: request.temperature,
        stop: stop.unwrap_or_else(|| request.stop.clone()),
    })
}

pub(super) fn texts(texts: &[String], edit: &mut impl Edit) -> Option<Vec<String>> {
    list(texts, |text| edit(None, text))
}

/// Text and arguments of tool calls.
pub(super) fn message(message: &Message, edit: &mut impl Edit) -> Option<Message> {
    let text = edit(None, &message.text);
    let calls = list(&message.tool_calls, |call| {
        let arguments = value(None, &call.arguments, edit)?;
        Some(crate::ToolCall {
            arguments,
            ..call.clone()
        })
    });
    (text.is_some() || calls.is_some()).then(|| Message {
        role: message.role,
        text: text.unwrap_or_else(|| message.text.clone()),
        tool_calls: calls.unwrap_or_else(|| message.tool_calls.clone()),
        tool_call_id: message.tool_call_id.clone(),
        // Only who said them hears them again.
        thoughts: message.thoughts.clone(),
    })
}

fn tool(tool: &ToolSpec, edit: &mut impl Edit) -> Option<ToolSpec> {
    let description = edit(None, &tool.description);
    let parameters = schema(&tool.parameters, edit);
    (description.is_some() || parameters.is_some()).then(|| ToolSpec {
        name: tool.name.clone(),
        description: description.unwrap_or_else(|| tool.description.clone()),
        parameters: parameters.unwrap_or_else(|| tool.parameters.clone()),
    })
}

/// Every string of `value`, names too.
fn value(name: Option<&str>, value: &Value, edit: &mut impl Edit) -> Option<Value> {
    match value {
        Value::String(text) => edit(name, text).map(Value::String),
        Value::Array(items) => list(items, |item| self::value(name, item, edit)).map(Value::Array),
        Value::Object(fields) => {
            let changed: Vec<_> = fields
                .iter()
                .map(|(name, value)| (edit(None, name), self::value(Some(name), value, edit)))
                .collect();
            let is_same = changed
                .iter()
                .all(|(name, value)| name.is_none() && value.is_none());
            (!is_same).then(|| {
                let pairs = fields
                    .iter()
                    .zip(changed)
                    .map(|((name, value), (other, new))| {
                        (
                            other.unwrap_or_else(|| name.clone()),
                            new.unwrap_or_else(|| value.clone()),
                        )
                    });
                Value::Object(pairs.collect())
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn schema(schema: &Value, edit: &mut impl Edit) -> Option<Value> {
    match schema {
        Value::Object(keywords) => fields(keywords, |keyword, value| match (keyword, value) {
            ("title" | "description" | "$comment", Value::String(text)) => {
                edit(None, text).map(Value::String)
            }
            ("default" | "const" | "enum" | "examples" | "example", value) => {
                self::value(None, value, edit)
            }
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(named),
            ) => fields(named, |_, inner| self::schema(inner, edit)).map(Value::Object),
            (_, Value::Object(_) | Value::Array(_)) => self::schema(value, edit),
            _ => None,
        })
        .map(Value::Object),
        Value::Array(schemas) => list(schemas, |inner| self::schema(inner, edit)).map(Value::Array),
        _ => None,
    }
}

fn fields(
    fields: &Map<String, Value>,
    mut edit: impl FnMut(&str, &Value) -> Option<Value>,
) -> Option<Map<String, Value>> {
    let mut changed: Option<Map<String, Value>> = None;
    for (name, value) in fields {
        if let Some(new) = edit(name, value) {
            changed
                .get_or_insert_with(|| fields.clone())
                .insert(name.clone(), new);
        }
    }
    changed
}

fn list<T: Clone>(items: &[T], mut edit: impl FnMut(&T) -> Option<T>) -> Option<Vec<T>> {
    let mut changed: Option<Vec<T>> = None;
    for (place, item) in items.iter().enumerate() {
        if let Some(new) = edit(item)
            && let Some(slot) = changed.get_or_insert_with(|| items.to_vec()).get_mut(place)
        {
            *slot = new;
        }
    }
    changed
}
