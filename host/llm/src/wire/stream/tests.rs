//! Pieces make the same body as a whole answer, however they are cut.

use super::*;

fn put(mut pieces: Box<dyn Pieces>, events: &[Value]) -> (String, Value) {
    let mut text = String::new();
    for event in events {
        text.push_str(&pieces.push(&event.to_string()).unwrap().text);
    }
    assert!(pieces.is_whole());
    (text, pieces.body())
}

fn delta(delta: Value) -> Value {
    json!({"id": "x", "choices": [{"delta": delta}]})
}

#[test]
fn chunks_of_text_calls_and_counts_make_one_answer() {
    let call = |index: u64, arguments: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]});
    let named = |index: u64, id: &str| json!({"tool_calls": [{"index": index, "id": id, "function": {"name": "a", "arguments": ""}}]});
    let (text, body) = put(
        Box::<OpenAiPieces>::default(),
        &[
            delta(json!({"role": "assistant", "content": null, "reasoning_content": "h"})),
            delta(json!({"reasoning_content": "m"})),
            delta(json!({"content": "ye"})),
            delta(json!({"content": "s"})),
            delta(named(0, "1")),
            delta(call(0, "{\"n\"")),
            delta(named(1, "2")),
            delta(json!({"tool_calls": [{"index": 1, "extra_content": "signed"}]})),
            delta(call(1, "{}")),
            delta(call(0, ":1}")),
            json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}),
            json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 2}}}),
            json!({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 9}}),
        ],
    );
    assert_eq!(text, "yes");
    let message = &body["choices"][0]["message"];
    assert_eq!(message["content"], "yes");
    assert_eq!(message["reasoning_content"], "hm");
    assert_eq!(
        message["tool_calls"][0]["function"]["arguments"],
        "{\"n\":1}"
    );
    assert_eq!(message["tool_calls"][1]["id"], "2");
    assert_eq!(message["tool_calls"][1]["extra_content"], "signed");
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 2}});
    assert_eq!(body["usage"], usage, "counts are never added up");
    assert_eq!(body["id"], "x");
}

#[test]
fn blocks_of_text_and_calls_make_one_answer() {
    let of = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let (text, body) = put(
        Box::<AnthropicPieces>::default(),
        &[
            json!({"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "stop_reason": null, "usage": {"input_tokens": 5, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "ping"}),
            of(0, json!({"type": "text_delta", "text": "ye"})),
            of(0, json!({"type": "text_delta", "text": "s"})),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "1", "name": "a", "input": {}}}),
            of(1, json!({"type": "input_json_delta", "partial_json": ""})),
            of(
                1,
                json!({"type": "input_json_delta", "partial_json": "{\"n\""}),
            ),
            of(
                1,
                json!({"type": "input_json_delta", "partial_json": ": 1}"}),
            ),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
            json!({"type": "message_stop"}),
        ],
    );
    assert_eq!(text, "yes");
    assert_eq!(body["content"][0], json!({"type": "text", "text": "yes"}));
    assert_eq!(body["content"][1]["input"], json!({"n": 1}));
    assert_eq!(
        body["usage"],
        json!({"input_tokens": 5, "output_tokens": 9})
    );
    assert_eq!(body["stop_reason"], "tool_use");
}

#[test]
fn calls_come_without_numbers_and_with_arguments_as_objects_too() {
    let call = |call: Value| delta(json!({"tool_calls": [call]}));
    let (_, body) = put(
        Box::<OpenAiPieces>::default(),
        &[
            call(json!({"id": "1", "function": {"name": "a", "arguments": {"n": 1}}})),
            call(json!({"id": "2", "function": {"name": "b", "arguments": "{\"n\":"}})),
            call(json!({"function": {"arguments": "2}"}})),
            json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}),
        ],
    );
    let calls = body["choices"][0]["message"]["tool_calls"].clone();
    let called = |place: usize| {
        let function = &calls[place]["function"];
        let arguments = function["arguments"].as_str().unwrap();
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        (
            calls[place]["id"].clone(),
            function["name"].clone(),
            arguments,
        )
    };
    assert_eq!(called(0), (json!("1"), json!("a"), json!({"n": 1})));
    assert_eq!(called(1), (json!("2"), json!("b"), json!({"n": 2})));
    assert_eq!(calls.as_array().unwrap().len(), 2);
}

#[test]
fn text_thoughts_and_calls_are_of_the_answer_and_nothing_else_is() {
    let heard = |mut pieces: Box<dyn Pieces>, event: Value| {
        let heard = pieces.push(&event.to_string()).unwrap();
        (heard.content, heard.over)
    };
    for (said, content) in [
        (json!({"content": "a"}), true),
        (json!({"content": "a", "reasoning_content": ""}), true),
        (json!({"reasoning_content": "a"}), true),
        (json!({"tool_calls": [{"index": 0, "id": "1"}]}), true),
        (json!({"content": ""}), false),
        (json!({"reasoning_content": ""}), false),
        (json!({"tool_calls": []}), false),
        (json!({"role": "assistant", "content": null}), false),
    ] {
        let told = delta(said.clone());
        assert_eq!(
            heard(Box::<OpenAiPieces>::default(), told),
            (content, false),
            "{said}"
        );
    }
    let block = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    for (event, expected) in [
        (
            block(json!({"type": "text_delta", "text": "a"})),
            (true, false),
        ),
        (
            block(json!({"type": "text_delta", "text": ""})),
            (false, false),
        ),
        (
            block(json!({"type": "thinking_delta", "thinking": "a"})),
            (true, false),
        ),
        (
            block(json!({"type": "input_json_delta", "partial_json": "{"})),
            (true, false),
        ),
        (json!({"type": "ping"}), (false, false)),
        (
            json!({"type": "message_start", "message": {}}),
            (false, false),
        ),
        (json!({"type": "message_stop"}), (false, true)),
    ] {
        assert_eq!(
            heard(Box::<AnthropicPieces>::default(), event.clone()),
            expected,
            "{event}"
        );
    }
}

#[test]
fn what_is_no_piece_is_said() {
    let mut pieces = OpenAiPieces::default();
    assert!(matches!(pieces.push("{"), Err(Broken::Garbled(_))));
    assert!(matches!(pieces.push("[]"), Err(Broken::Garbled(_))));
    let refused = pieces.push(r#"{"error": {"message": "no"}}"#);
    assert!(matches!(refused, Err(Broken::Refused(_))));
    let far =
        json!({"choices": [{"delta": {"tool_calls": [{"index": 4_000_000_000_u64, "id": "1"}]}}]});
    assert!(
        pieces.push(&far.to_string()).is_ok(),
        "and nothing is kept for it"
    );
    assert!(pieces.calls.is_empty());
    assert!(!pieces.is_whole());
}
