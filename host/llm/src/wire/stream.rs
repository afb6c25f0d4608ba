//! Answers that come in pieces, put together again: each wire's events make the body that the
//! same answer would have had as a whole, so that one reader serves both.

use super::{fields_but, limited};
use serde_json::{Map, Value, json};

/// The most tool calls of one answer.
const MOST_CALLS: usize = 256;

/// What one event of a stream brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Text that may be told.
    pub text: String,
    /// Whether it had anything of the answer: text, thoughts or a piece of a call.
    pub content: bool,
    /// Whether nothing more comes.
    pub over: bool,
}

/// Why an event makes no sense.
#[derive(Debug, PartialEq)]
pub enum Broken {
    /// It is no event of this wire.
    Garbled(String),
    /// The provider says what went wrong, as it would with a status of its own.
    Refused(Value),
}

/// Puts the events of one answer together.
pub trait Pieces: Send {
    /// Takes the data of one event.
    ///
    /// # Errors
    /// [`Broken`]
    fn push(&mut self, data: &str) -> Result<Heard, Broken>;

    /// Whether all of the answer came, although the stream did not say that it is over.
    fn is_whole(&self) -> bool;

    /// The body that the whole answer would have had.
    fn body(self: Box<Self>) -> Value;
}

fn read(data: &str) -> Result<Map<String, Value>, Broken> {
    let value: Value = serde_json::from_str(data)
        .map_err(|error| Broken::Garbled(format!("a piece of the answer is no JSON: {error}")))?;
    let Value::Object(mut event) = value else {
        return Err(Broken::Garbled(format!(
            "a piece of the answer is no object: {}",
            limited(data)
        )));
    };
    match event.get("error") {
        None | Some(Value::Null) => {
            event.remove("error");
            Ok(event)
        }
        Some(_) => Err(Broken::Refused(Value::Object(event))),
    }
}

/// The chunks of OpenAI's wire.
#[derive(Default)]
pub struct OpenAiPieces {
    body: Map<String, Value>,
    message: Map<String, Value>,
    text: String,
    calls: Vec<Call>,
    finish: Option<Value>,
    usage: Option<Value>,
}

#[derive(Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
    /// What else is said of it.
    rest: Map<String, Value>,
}

impl OpenAiPieces {
    fn delta(&mut self, delta: Map<String, Value>, heard: &mut Heard) {
        for (name, value) in delta {
            match (name.as_str(), value) {
                (_, Value::Null) | ("role", _) => {}
                ("content", Value::String(text)) => {
                    heard.content |= !text.is_empty();
                    self.text.push_str(&text);
                    heard.text.push_str(&text);
                }
                ("tool_calls", Value::Array(calls)) => {
                    heard.content |= !calls.is_empty();
                    for (place, call) in calls.iter().enumerate() {
                        self.call(place, call);
                    }
                }
                // Thoughts and refusals come in pieces, too; other fields stand as they came last.
                (_, Value::String(piece)) => {
                    heard.content |= !piece.is_empty();
                    match self.message.get_mut(&name) {
                        Some(Value::String(text)) => text.push_str(&piece),
                        _ => {
                            self.message.insert(name, Value::String(piece));
                        }
                    }
                }
                (_, value) => {
                    self.message.insert(name, value);
                }
            }
        }
    }

    fn call(&mut self, place: usize, piece: &Value) {
        let text = |place: &str| piece.pointer(place).and_then(Value::as_str);
        let index = piece.get("index").and_then(Value::as_u64);
        let index = match index.and_then(|index| usize::try_from(index).ok()) {
            Some(index) => index,
            // Without a number a new id begins a new call.
            None => match text("/id") {
                Some(id) => self
                    .calls
                    .iter()
                    .position(|call| call.id == id)
                    .unwrap_or(self.calls.len()),
                None => place.max(self.calls.len().saturating_sub(1)),
            },
        };
        if index >= MOST_CALLS {
            return;
        }
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, Call::default);
        }
        if let Some(call) = self.calls.get_mut(index) {
            if let Some(id) = text("/id").filter(|id| !id.is_empty()) {
                id.clone_into(&mut call.id);
            }
            if let Some(name) = text("/function/name").filter(|name| !name.is_empty()) {
                name.clone_into(&mut call.name);
            }
            match piece.pointer("/function/arguments") {
                Some(Value::String(more)) => call.arguments.push_str(more),
                Some(whole @ Value::Object(_)) => call.arguments = whole.to_string(),
                _ => {}
            }
            let known = ["index", "id", "type", "function"];
            call.rest.extend(fields_but(piece.clone(), &known));
        }
    }
}

/// Of two counts of the same, told at different times, the larger holds.
fn larger(known: &mut Value, said: Value) {
    match (known, said) {
        (Value::Object(known), Value::Object(said)) => {
            for (name, value) in said {
                match known.get_mut(&name) {
                    Some(old) => larger(old, value),
                    None => {
                        known.insert(name, value);
                    }
                }
            }
        }
        (known @ Value::Number(_), Value::Number(said)) => {
            if said.as_f64() > known.as_f64() {
                *known = Value::Number(said);
            }
        }
        (_, Value::Null) => {}
        (known, said) => *known = said,
    }
}

impl Pieces for OpenAiPieces {
    fn push(&mut self, data: &str) -> Result<Heard, Broken> {
        let mut heard = Heard::default();
        if data.trim() == "[DONE]" {
            heard.over = true;
            return Ok(heard);
        }
        let mut event = read(data)?;
        let choice = match event.remove("choices") {
            Some(Value::Array(choices)) => choices.into_iter().next(),
            _ => None,
        };
        if let Some(Value::Object(mut choice)) = choice {
            if let Some(Value::Object(delta)) = choice.remove("delta") {
                self.delta(delta, &mut heard);
            }
            if let Some(finish) = choice.remove("finish_reason").filter(|it| !it.is_null()) {
                self.finish = Some(finish);
            }
            // Kimi counts here.
            if let Some(usage) = choice.remove("usage") {
                event.entry("usage").or_insert(usage);
            }
        }
        if let Some(usage) = event.remove("usage").filter(Value::is_object) {
            larger(self.usage.get_or_insert_with(|| json!({})), usage);
        }
        self.body
            .extend(event.into_iter().filter(|(_, it)| !it.is_null()));
        Ok(heard)
    }

    fn is_whole(&self) -> bool {
        self.finish.is_some()
    }

    fn body(mut self: Box<Self>) -> Value {
        self.message.insert("content".to_owned(), self.text.into());
        if !self.calls.is_empty() {
            let calls = self.calls.into_iter().map(|call| {
                let function = json!({"name": call.name, "arguments": call.arguments});
                let mut said = call.rest;
                said.insert("id".to_owned(), call.id.into());
                said.insert("function".to_owned(), function);
                Value::Object(said)
            });
            self.message
                .insert("tool_calls".to_owned(), calls.collect());
        }
        let choice = json!({"message": self.message, "finish_reason": self.finish});
        self.body.insert("choices".to_owned(), json!([choice]));
        if let Some(usage) = self.usage {
            self.body.insert("usage".to_owned(), usage);
        }
        Value::Object(self.body)
    }
}

/// The events of Anthropic's wire.
#[derive(Default)]
pub struct AnthropicPieces {
    body: Map<String, Value>,
    blocks: Vec<(Map<String, Value>, String)>,
    over: bool,
}

impl AnthropicPieces {
    fn block(&mut self, event: &Map<String, Value>) -> Option<&mut (Map<String, Value>, String)> {
        let index = usize::try_from(event.get("index")?.as_u64()?).ok()?;
        if index >= MOST_CALLS {
            return None;
        }
        if self.blocks.len() <= index {
            self.blocks.resize_with(index + 1, Default::default);
        }
        self.blocks.get_mut(index)
    }

    fn usage(&mut self, said: Value) {
        let known = self.body.entry("usage").or_insert_with(|| json!({}));
        larger(known, said);
    }

    fn delta(&mut self, event: &Map<String, Value>, heard: &mut Heard) {
        let Some(delta) = event.get("delta").and_then(Value::as_object) else {
            return;
        };
        let Some((block, input)) = self.block(event) else {
            return;
        };
        for (name, value) in delta {
            match (name.as_str(), value) {
                ("type", _) => {}
                ("partial_json", Value::String(piece)) => {
                    heard.content |= !piece.is_empty();
                    input.push_str(piece);
                }
                (_, Value::String(piece)) => {
                    heard.content |= !piece.is_empty();
                    if name == "text" {
                        heard.text.push_str(piece);
                    }
                    match block.get_mut(name) {
                        Some(Value::String(text)) => text.push_str(piece),
                        _ => {
                            block.insert(name.clone(), Value::String(piece.clone()));
                        }
                    }
                }
                (_, value) => {
                    block.insert(name.clone(), value.clone());
                }
            }
        }
    }
}

impl Pieces for AnthropicPieces {
    fn push(&mut self, data: &str) -> Result<Heard, Broken> {
        let mut heard = Heard::default();
        let mut event = read(data)?;
        match event.get("type").and_then(Value::as_str) {
            Some("message_start") => {
                if let Some(Value::Object(mut message)) = event.remove("message") {
                    if let Some(usage) = message.remove("usage") {
                        self.usage(usage);
                    }
                    message.remove("content");
                    self.body.extend(message);
                }
            }
            Some("content_block_start") => {
                let begun = event.remove("content_block");
                if let (Some((block, _)), Some(Value::Object(begun))) = (self.block(&event), begun)
                {
                    if let Some(Value::String(text)) = begun.get("text") {
                        heard.text.clone_from(text);
                    }
                    *block = begun;
                }
            }
            Some("content_block_delta") => self.delta(&event, &mut heard),
            Some("message_delta") => {
                if let Some(usage) = event.remove("usage") {
                    self.usage(usage);
                }
                if let Some(Value::Object(delta)) = event.remove("delta") {
                    self.body
                        .extend(delta.into_iter().filter(|(_, it)| !it.is_null()));
                }
            }
            Some("message_stop") => {
                self.over = true;
                heard.over = true;
            }
            _ => {}
        }
        Ok(heard)
    }

    fn is_whole(&self) -> bool {
        self.over
    }

    fn body(mut self: Box<Self>) -> Value {
        let blocks = self.blocks.into_iter().map(|(mut block, input)| {
            if !input.is_empty() {
                // What is no JSON stays a text, and is found to be none.
                let read = serde_json::from_str(&input).unwrap_or(Value::String(input));
                block.insert("input".to_owned(), read);
            }
            Value::Object(block)
        });
        let blocks = blocks.collect();
        self.body.insert("content".to_owned(), blocks);
        Value::Object(self.body)
    }
}

#[cfg(test)]
mod tests;
