//! The wire that most providers speak: OpenAI's chat completions and embeddings.

use super::names::Names;
use super::{Answer, Vectors, Whom, Wrong, fields_but, limited};
use crate::catalog::{Quirk, Quirks};
use crate::{Finish, Message, Request, Role, ToolCall, ToolChoice, Usage};
use crate::{grammar, structured};
use serde_json::{Map, Value, json};

/// What Gemini takes for the signature of a call that another model made
/// (ai.google.dev/gemini-api/docs/thought-signatures).
const UNSIGNED: &str = "skip_thought_signature_validator";

/// A request as the body of `POST /chat/completions`.
pub fn request(request: &Request, whom: Whom<'_>) -> Value {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", json!(whom.model));
    let format = format(request, whom);
    let thoughts = thoughts(request, whom);
    let messages = request.messages.iter();
    let mut messages: Vec<Value> = messages.map(|m| message(m, whom, thoughts)).collect();
    if let (Some(schema), false) = (
        &request.output_schema,
        matches!(format, Some(Format::Schema(_))),
    ) {
        let told = structured::in_words(schema);
        messages.insert(0, json!({"role": "system", "content": told}));
    }
    set("messages", Value::Array(messages));
    let most = if whom.has(Quirk::MaxCompletionTokens) {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    set(most, json!(request.max_output_tokens));
    if let Some(temperature) = request
        .temperature
        .filter(|_| !whom.has(Quirk::NoTemperature))
    {
        let most = if whom.has(Quirk::TemperatureAtMostOne) {
            1.0
        } else {
            2.0
        };
        set("temperature", json!(temperature.min(most)));
    }
    if !request.stop.is_empty() && !whom.has(Quirk::NoStop) {
        set("stop", json!(request.stop));
    }
    if !request.tools.is_empty() {
        let (tools, choice) = tools(request, whom);
        set("tools", tools);
        set("tool_choice", choice);
        if whom.has(Quirk::ToolsNeedEffortNone) {
            set("reasoning_effort", json!("none"));
        }
    }
    if thoughts == Thinking::Off {
        set("thinking", json!({"type": "disabled"}));
    }
    match format {
        Some(Format::Schema(format) | Format::Json(format)) => set("response_format", format),
        None => None,
    };
    Value::Object(body)
}

/// What is said of thinking.
#[derive(Clone, Copy, PartialEq)]
enum Thinking {
    /// Nothing.
    Unsaid,
    /// What was thought before, and a blank where nobody knows.
    Back,
    /// That it shall not be.
    Off,
}

fn thoughts(request: &Request, whom: Whom<'_>) -> Thinking {
    if whom.has(Quirk::ThoughtsBack) {
        return Thinking::Back;
    }
    let mut messages = request.messages.iter();
    let has_tools =
        !request.tools.is_empty() || messages.clone().any(|said| !said.tool_calls.is_empty());
    if !whom.has(Quirk::ThoughtsBackOrNone) || !has_tools {
        return Thinking::Unsaid;
    }
    match messages.any(|said| said.role == Role::Assistant && thought(said, whom).is_none()) {
        true => Thinking::Off,
        false => Thinking::Back,
    }
}

/// What the model thought when it said `message`, if it was this one. An empty text is taken for
/// none there, too.
fn thought<'a>(message: &'a Message, whom: Whom<'_>) -> Option<&'a str> {
    let said = message.thoughts_of(whom.provider, whom.model)?;
    let thought = said.get("message")?.get("reasoning_content")?.as_str();
    thought.filter(|thought| !thought.is_empty())
}

/// Asks for the answer in pieces, with a count of its tokens at the end.
pub fn in_pieces(body: &mut Value, quirks: &Quirks) {
    if let Some(body) = body.as_object_mut() {
        body.insert("stream".to_owned(), Value::Bool(true));
        if !quirks.contains(&Quirk::NoStreamOptions) {
            let options = json!({"include_usage": true});
            body.insert("stream_options".to_owned(), options);
        }
    }
}

/// The tools on offer, and whether one must be called. Who cannot be told that one must is
/// offered no other, and his answer is looked at.
fn tools(request: &Request, whom: Whom<'_>) -> (Value, Value) {
    let required = if whom.has(Quirk::NoRequiredToolChoice) {
        json!("auto")
    } else if whom.has(Quirk::RequiredIsAny) {
        json!("any")
    } else {
        json!("required")
    };
    let mut only = None;
    let choice = match &request.tool_choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => required,
        ToolChoice::Tool(name) if whom.has(Quirk::NoNamedToolChoice) => {
            only = Some(name);
            required
        }
        ToolChoice::Tool(name) => {
            json!({"type": "function", "function": {"name": whom.names.there(name)}})
        }
    };
    let offered = request.tools.iter();
    let tools = offered
        .filter(|tool| only.is_none_or(|only| *only == tool.name))
        .map(|tool| {
            json!({
                "type": "function",
                "function": {
                    "name": whom.names.there(&tool.name),
                    "description": tool.description,
                    "parameters": tool.parameters,
                }
            })
        });
    (tools.collect(), choice)
}

/// Whether the provider is told the schema of the answer otherwise than in words.
pub fn is_held_to_schema(request: &Request, whom: Whom<'_>) -> bool {
    matches!(format(request, whom), Some(Format::Schema(_)))
}

/// In which form the answer is to come, as far as the provider can be told.
enum Format {
    /// By the schema.
    Schema(Value),
    /// As JSON of any form.
    Json(Value),
}

fn format(request: &Request, whom: Whom<'_>) -> Option<Format> {
    let schema = request.output_schema.as_ref()?;
    let with_tools = !request.tools.is_empty() && whom.has(Quirk::SchemaNotWithTools);
    if whom.has(Quirk::NoJsonMode) || with_tools {
        return None;
    }
    if whom.has(Quirk::NoJsonSchema) {
        return Some(Format::Json(json!({"type": "json_object"})));
    }
    let strict = whom
        .has(Quirk::StrictSchema)
        .then(|| grammar::strict(schema));
    let schema = match strict.flatten() {
        Some(schema) => json!({"name": "answer", "strict": true, "schema": schema}),
        None => json!({"name": "answer", "schema": schema}),
    };
    let format = json!({"type": "json_schema", "json_schema": schema});
    Some(Format::Schema(format))
}

fn message(message: &Message, whom: Whom<'_>, thinking: Thinking) -> Value {
    match message.role {
        Role::System => json!({"role": "system", "content": message.text}),
        Role::User => json!({"role": "user", "content": message.text}),
        Role::Tool => json!({
            "role": "tool",
            "tool_call_id": message.tool_call_id,
            "content": message.text,
        }),
        Role::Assistant => {
            let mut said = Map::new();
            let mut set = |name: &str, value: Value| said.insert(name.to_owned(), value);
            set("role", json!("assistant"));
            if message.tool_calls.is_empty() {
                set("content", json!(message.text));
            } else {
                let text = (!message.text.is_empty()).then_some(&message.text);
                set("content", json!(text));
                set("tool_calls", calls(message, whom));
            }
            if thinking == Thinking::Back {
                let thought = thought(message, whom).unwrap_or(" ");
                set("reasoning_content", json!(thought));
            }
            Value::Object(said)
        }
    }
}

fn calls(message: &Message, whom: Whom<'_>) -> Value {
    let signs = whom.has(Quirk::SignaturesBack);
    let said = message.thoughts_of(whom.provider, whom.model);
    let signed = said.and_then(|said| said.get("message")?.get("tool_calls")?.as_array());
    let signature = |id: &str| {
        let own = signed?.iter().find(|call| call["id"] == id)?;
        own.get("extra_content")
    };
    // The first of several carries it for all.
    let is_unsigned = message
        .tool_calls
        .iter()
        .all(|c| signature(&c.id).is_none());
    let calls = message.tool_calls.iter().enumerate().map(|(place, call)| {
        let mut said = Map::new();
        let mut set = |name: &str, value: Value| said.insert(name.to_owned(), value);
        set("id", json!(call.id));
        set("type", json!("function"));
        let name = whom.names.there(&call.name);
        let arguments = call.arguments.to_string();
        set("function", json!({"name": name, "arguments": arguments}));
        let nobodys = json!({"google": {"thought_signature": UNSIGNED}});
        let signature = match signature(&call.id) {
            None if is_unsigned && place == 0 => Some(&nobodys),
            own => own,
        };
        if let (true, Some(signature)) = (signs, signature) {
            set("extra_content", signature.clone());
        }
        Value::Object(said)
    });
    calls.collect()
}

/// What an answer of `POST /chat/completions` says.
///
/// # Errors
/// [`Wrong`]: it is none that can be used; with the usage, if it says one.
pub fn answer(mut body: Value, names: &Names) -> Result<Answer, Wrong> {
    // Half a count is none.
    let used = usage(&body).filter(|_| counts(&body, "/completion_tokens").is_some());
    let wrong = |what: &str| Wrong::new(what, used);
    let choice = body.pointer_mut("/choices/0").map(Value::take);
    let mut choice = choice.ok_or_else(|| wrong("the answer has no choices"))?;
    let mut said = choice
        .get_mut("message")
        .map(Value::take)
        .ok_or_else(|| wrong("the answer has no message"))?;
    let text = content(said.get("content"));
    let mut calls = Vec::new();
    let mut beside = Vec::new();
    if let Some(Value::Array(asked)) = said.get_mut("tool_calls").map(Value::take) {
        for (place, mut call) in asked.into_iter().enumerate() {
            let read = tool_call(&mut call, place, names).map_err(|what| wrong(&what))?;
            let mut rest = fields_but(call, &["id", "type", "function", "index"]);
            if !rest.is_empty() {
                rest.insert("id".to_owned(), json!(read.id));
                beside.push(Value::Object(rest));
            }
            calls.push(read);
        }
    }
    let refusal = said.get("refusal").and_then(Value::as_str);
    let finish = match choice.get("finish_reason").and_then(Value::as_str) {
        _ if refusal.is_some_and(|said| !said.is_empty()) => Finish::Filtered,
        Some("length") => Finish::Length,
        Some("content_filter") => Finish::Filtered,
        _ if !calls.is_empty() => Finish::ToolCalls,
        _ => Finish::Stop,
    };
    let text = if text.is_empty() {
        refusal.unwrap_or_default().to_owned()
    } else {
        text
    };
    if text.is_empty() && calls.is_empty() && finish == Finish::Stop {
        return Err(wrong("the answer is empty"));
    }
    let mut extra = fields_but(body, &["choices", "usage", "model", "object", "created"]);
    let mut rest = fields_but(said, &["role", "content", "tool_calls", "refusal"]);
    if !beside.is_empty() {
        rest.insert("tool_calls".to_owned(), Value::Array(beside));
    }
    if !rest.is_empty() {
        extra.insert("message".to_owned(), Value::Object(rest));
    }
    Ok(Answer {
        message: Message {
            tool_calls: calls,
            ..Message::text(Role::Assistant, text)
        },
        finish,
        usage: used,
        extra,
        stood_for: None,
    })
}

/// A text, or a list of parts with texts.
fn content(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| part.get("text").and_then(Value::as_str))
            .collect(),
        _ => String::new(),
    }
}

fn tool_call(call: &mut Value, place: usize, names: &Names) -> Result<ToolCall, String> {
    let id = call.get("id").and_then(Value::as_str).unwrap_or_default();
    let id = if id.is_empty() {
        format!("call-{place}")
    } else {
        id.to_owned()
    };
    let function = call.get_mut("function").map(Value::take);
    let mut function = function.ok_or("a tool call names no function")?;
    let name = function.get("name").and_then(Value::as_str);
    let name = names.back(name.ok_or("a tool call names no function")?);
    let arguments = match function.get_mut("arguments").map(Value::take) {
        Some(Value::String(text)) if text.trim().is_empty() => json!({}),
        Some(Value::String(text)) => serde_json::from_str(&text)
            .map_err(|error| format!("the arguments of a call of `{name}` are no JSON: {error}"))?,
        Some(object @ Value::Object(_)) => object,
        _ => json!({}),
    };
    Ok(ToolCall {
        id,
        name,
        arguments,
    })
}

/// A count of what was used, if it is said.
fn counts(body: &Value, place: &str) -> Option<u64> {
    // The second is Groq's, and NVIDIA's when it streams.
    let mut places = ["/usage", "/x_groq/usage"].iter();
    let said = places.find_map(|place| body.pointer(place).filter(|usage| usage.is_object()))?;
    said.pointer(place).and_then(Value::as_u64)
}

/// Tokens, as far as they are said; none if they are not.
pub fn usage(body: &Value) -> Option<Usage> {
    let count = |place: &str| counts(body, place);
    let input = count("/prompt_tokens")?;
    let cached = count("/prompt_tokens_details/cached_tokens")
        .or_else(|| count("/prompt_cache_hit_tokens"))
        .or_else(|| count("/cached_tokens"))
        .unwrap_or(0);
    let written = count("/completion_tokens").unwrap_or(0);
    let reasoning = count("/completion_tokens_details/reasoning_tokens").unwrap_or(0);
    let cache_write = count("/prompt_tokens_details/cache_write_tokens").unwrap_or(0);
    let sum = u64::saturating_add;
    // Some count what is not shown beside the rest. The total tells, and so does the sum.
    let apart = count("/total_tokens")
        .is_some_and(|total| total == sum(sum(input, written), reasoning))
        || reasoning > written;
    Some(Usage {
        input_tokens: input,
        cached_tokens: cached.min(input),
        cache_write_tokens: cache_write.min(input),
        output_tokens: if apart {
            sum(written, reasoning)
        } else {
            written
        },
        reasoning_tokens: reasoning,
    })
}

/// Texts as the body of `POST /embeddings`.
pub fn embeddings_request(texts: &[String], model: &str, quirks: &Quirks) -> Value {
    let mut body = json!({"model": model, "input": texts, "encoding_format": "float"});
    if let Some(body) = body.as_object_mut()
        && quirks.contains(&Quirk::EmbedInputType)
    {
        // What is kept and what is searched for are not told apart.
        body.insert("input_type".to_owned(), json!("passage"));
    }
    body
}

/// What an answer of `POST /embeddings` says.
///
/// # Errors
/// [`Wrong`]: it does not have a vector for each text.
pub fn embeddings(body: &Value, texts: usize) -> Result<Vectors, Wrong> {
    let used = usage(body);
    let wrong = |what: &str| Wrong::new(what, used);
    let data = body.get("data").and_then(Value::as_array);
    let data = data.ok_or_else(|| wrong("the answer has no vectors"))?;
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts];
    for (place, entry) in data.iter().enumerate() {
        let index = entry.get("index").and_then(Value::as_u64);
        let index = index.map_or(place, |index| usize::try_from(index).unwrap_or(usize::MAX));
        let slot = vectors
            .get_mut(index)
            .ok_or_else(|| wrong("the answer has more vectors than texts were sent"))?;
        let numbers = entry.get("embedding").and_then(Value::as_array);
        let numbers = numbers.ok_or_else(|| wrong("an entry of the answer has no vector"))?;
        let vector: Option<Vec<f32>> = numbers
            .iter()
            .map(|number| {
                let number = number.as_f64()? as f32;
                number.is_finite().then_some(number)
            })
            .collect();
        *slot = Some(vector.ok_or_else(|| wrong("a vector is not made of finite numbers"))?);
    }
    let vectors: Option<Vec<Vec<f32>>> = vectors.into_iter().collect();
    let vectors = vectors.ok_or_else(|| wrong("the answer has fewer vectors than texts"))?;
    Ok(Vectors {
        vectors,
        usage: used,
    })
}

/// What a refusal says, for people and for [`super::refusal`]: message and code.
pub fn refusal(body: &Value) -> (String, String) {
    let error = body.get("error").unwrap_or(body);
    let error = error.get(0).unwrap_or(error);
    let text = |name: &str| match error.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let message = match error {
        Value::String(text) => text.clone(),
        _ => text("message"),
    };
    let detail = error.pointer("/details/error_code").and_then(Value::as_str);
    let detail = detail.unwrap_or_default().to_owned();
    let codes = [text("code"), text("type"), text("status"), detail];
    (limited(&message), codes.join(" "))
}

#[cfg(test)]
mod tests;
