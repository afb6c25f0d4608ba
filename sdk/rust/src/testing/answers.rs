//! What models and other hosts answer in tests.

use crate::http;
use crate::llm::{Finish, Message, Response, Role, ToolCall, Usage};
use crate::react::model_name;
use serde_json::Value;

/// Another host's answer, without headers.
pub fn http_answer(status: u16, body: impl Into<Vec<u8>>) -> http::Response {
    http::Response {
        status,
        headers: Vec::new(),
        body: body.into(),
    }
}

/// A model's answer: a text.
pub fn model_text(text: impl Into<String>) -> Response {
    model_response(Message::assistant(text), Finish::Stop)
}

/// A model's answer: calls of tools or agents, named as they are offered.
pub fn model_calls(calls: &[(&str, Value)]) -> Response {
    let tool_calls = calls
        .iter()
        .enumerate()
        .map(|(index, (name, arguments))| ToolCall {
            id: format!("call-{index}"),
            name: model_name(name),
            arguments: arguments.to_string(),
        });
    let message = Message {
        role: Role::Assistant,
        text: String::new(),
        tool_calls: tool_calls.collect(),
        tool_call_id: None,
    };
    model_response(message, Finish::ToolCalls)
}

fn model_response(message: Message, finish: Finish) -> Response {
    Response {
        message,
        finish,
        usage: Usage {
            input_tokens: 10,
            cached_tokens: 0,
            output_tokens: 10,
            reasoning_tokens: 0,
        },
        cost: 100,
        provider: "fake".to_owned(),
        model: "fake".to_owned(),
        simulated: true,
    }
}
