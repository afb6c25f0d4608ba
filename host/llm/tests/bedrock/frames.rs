//! Writes the event streams that are played back.

use super::FILES;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::{Value, json};

fn frame(kind: &str, name: &str, payload: &Value) -> Vec<u8> {
    let header = |name: &'static str, text: &str| {
        Header::new(name, HeaderValue::String(text.to_owned().into()))
    };
    let message = Message::new(payload.to_string().into_bytes())
        .add_header(header(
            if kind == "event" {
                ":event-type"
            } else {
                ":exception-type"
            },
            name,
        ))
        .add_header(header(":content-type", "application/json"))
        .add_header(header(":message-type", kind));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes
}

fn event(name: &str, payload: &Value) -> Vec<u8> {
    frame("event", name, payload)
}

fn text(index: i32, text: &str) -> Vec<u8> {
    // `p` is there so that nobody guesses a text by the length of its frame.
    let payload = json!({"contentBlockIndex": index, "delta": {"text": text}, "p": "abcdefghij"});
    event("contentBlockDelta", &payload)
}

fn call(index: i32, id: &str, name: &str, pieces: &[&str]) -> Vec<Vec<u8>> {
    let begun = json!({"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": id, "name": name}}, "p": "abc"});
    let mut frames = vec![event("contentBlockStart", &begun)];
    for piece in pieces {
        let payload = json!({"contentBlockIndex": index, "delta": {"toolUse": {"input": piece}}, "p": "abcdef"});
        frames.push(event("contentBlockDelta", &payload));
    }
    frames.push(over(index));
    frames
}

/// What it thinks, and signs, and what it seals.
fn thought(index: i32, deltas: &[Value]) -> Vec<Vec<u8>> {
    let delta = |delta: &Value| json!({"contentBlockIndex": index, "delta": {"reasoningContent": delta}, "p": "ab"});
    let frames = deltas
        .iter()
        .map(|it| event("contentBlockDelta", &delta(it)));
    frames.chain([over(index)]).collect()
}

/// A stream of thoughts, text and a call.
pub fn thoughtful() -> Vec<u8> {
    let thoughts = [
        json!({"text": "it "}),
        json!({"text": "rains"}),
        json!({"signature": "c2lnbmVk"}),
    ];
    let mut frames = vec![begun()];
    frames.extend(thought(0, &thoughts));
    frames.extend(thought(1, &[json!({"redactedContent": "aGlkZGVu"})]));
    frames.extend([text(2, "Let me look."), over(2)]);
    frames.extend(call(
        3,
        "tooluse_1",
        "weather",
        &["{\"city\":", "\"Bern\"}"],
    ));
    frames.extend(end("tool_use"));
    frames.concat()
}

fn over(index: i32) -> Vec<u8> {
    event(
        "contentBlockStop",
        &json!({"contentBlockIndex": index, "p": "abcd"}),
    )
}

fn begun() -> Vec<u8> {
    event(
        "messageStart",
        &json!({"role": "assistant", "p": "abcdefg"}),
    )
}

fn end(reason: &str) -> Vec<Vec<u8>> {
    let usage = json!({"inputTokens": 30, "outputTokens": 21, "totalTokens": 61, "cacheReadInputTokens": 10, "cacheWriteInputTokens": 0});
    vec![
        event("messageStop", &json!({"stopReason": reason, "p": "ab"})),
        event(
            "metadata",
            &json!({"metrics": {"latencyMs": 812}, "usage": usage, "p": "abcde"}),
        ),
    ]
}

fn write(name: &str, frames: &[Vec<u8>]) {
    std::fs::write(format!("{FILES}/{name}.bin"), frames.concat()).unwrap();
}

#[test]
#[ignore = "writes files"]
fn write_the_streams() {
    let words = || vec![begun(), text(0, "Let me "), text(0, "loo\u{e7}k."), over(0)];
    let mut tools = words();
    tools.extend(call(
        1,
        "tooluse_1",
        "weather",
        &["", "{\"ci", "ty\": \"Be", "rn\"}"],
    ));
    tools.extend(call(2, "tooluse_2", "now", &[]));
    tools.extend(end("tool_use"));
    write("stream", &tools);

    let mut broken = words();
    broken.extend(call(1, "tooluse_1", "weather", &["{\"city\": \"Be"]));
    let mut cut = broken.clone();
    broken.extend(end("tool_use"));
    write("stream_broken_arguments", &broken);
    cut.extend(end("max_tokens"));
    write("stream_too_short", &cut);

    let mut failed = words();
    let told = json!({"message": "The model returned an error.", "originalStatusCode": 500});
    failed.push(frame("exception", "modelStreamErrorException", &told));
    write("stream_failed", &failed);

    let told = json!({"message": "Too many requests, please wait before trying again."});
    write(
        "stream_throttled",
        &[frame("exception", "throttlingException", &told)],
    );

    let mut damaged = words();
    let mut last = text(0, "never heard");
    if let Some(byte) = last.last_mut() {
        *byte ^= 1;
    }
    damaged.push(last);
    damaged.extend(end("end_turn"));
    write("stream_damaged", &damaged);

    let mut cut = words().concat();
    cut.truncate(cut.len() - 20);
    write("stream_cut", &[cut]);
}
