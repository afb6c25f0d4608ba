//! Bodies there and back.

use super::*;
use crate::catalog::Quirks;
use crate::{ModelClass, Thoughts, ToolSpec};
use std::sync::Arc;

fn asked() -> Request {
    let call = |id: &str| ToolCall {
        id: id.into(),
        name: "text.count".into(),
        arguments: json!({"text": "a"}),
    };
    Request {
        class: ModelClass::Smart,
        messages: vec![
            Message::text(Role::System, "be brief"),
            Message::text(Role::User, "count"),
            Message {
                tool_calls: vec![call("1"), call("2")],
                ..Message::text(Role::Assistant, " ")
            },
            Message::tool_result("1", "1"),
            Message::tool_result("2", "1"),
            Message::text(Role::User, "go on"),
        ],
        tools: vec![ToolSpec {
            name: "text.count".into(),
            description: "counts".into(),
            parameters: json!({"type": "object"}),
        }],
        tool_choice: ToolChoice::Required,
        output_schema: Some(json!({"type": "object"})),
        max_output_tokens: 50,
        temperature: Some(1.5),
        stop: vec![],
    }
}

fn sent(asked: &Request, quirks: &Quirks) -> Value {
    let whom = Whom {
        provider: "p",
        model: "m",
        names: &Names::of(asked),
        quirks,
    };
    request(asked, whom)
}

#[test]
fn a_conversation_becomes_turns() {
    let asked = asked();
    let quirks = [Quirk::TemperatureAtMostOne].into();
    let body = sent(&asked, &quirks);
    assert_eq!(body["max_tokens"], 50);
    assert_eq!(body["temperature"], 1.0);
    assert_eq!(body["tool_choice"], json!({"type": "any"}));
    assert_eq!(body["tools"][0]["name"], "text_count");
    let system = body["system"].as_str().unwrap();
    assert!(
        system.starts_with("be brief\n\nAnswer with one JSON"),
        "{system}"
    );
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "1"});
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "text_count", "input": {"text": "a"}});
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "count"}]},
            {"role": "assistant", "content": [call("1"), call("2")]},
            {"role": "user", "content": [result("1"), result("2"), {"type": "text", "text": "go on"}]}
        ])
    );
    let shy = [Quirk::NoTemperature, Quirk::NoRequiredToolChoice].into();
    let body = sent(&asked, &shy);
    assert_eq!(body["tool_choice"], json!({"type": "auto"}));
    assert!(body.get("temperature").is_none());
}

#[test]
fn an_answer_is_read_and_its_cache_is_part_of_the_input() {
    let asked = asked();
    let said = json!({
        "id": "msg", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "one"},
            {"type": "tool_use", "id": "3", "name": "text_count", "input": {"text": "b"}}
        ],
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 40, "output_tokens": 7}
    });
    let read = answer(said, &Names::of(&asked)).unwrap();
    assert_eq!(read.message.text, "one");
    assert_eq!(read.message.tool_calls[0].name, "text.count");
    assert_eq!(read.finish, Finish::ToolCalls);
    let usage = read.usage.unwrap();
    assert_eq!(usage.input_tokens, 100);
    assert_eq!((usage.cached_tokens, usage.cache_write_tokens), (50, 40));
    let whole = read.extra["content"].clone();
    assert_eq!(whole.as_array().unwrap().len(), 3, "in its order");
    assert_eq!(whole[0]["thinking"], "hm");

    // It hears them again as they stood, and another does not.
    let thoughts = |model: &str| Thoughts {
        provider: "p".into(),
        model: model.into(),
        said: read.extra.clone(),
        stood_for: None,
    };
    let mut next = asked;
    next.messages = vec![Message::text(Role::User, "count"), read.message.clone()];
    next.messages.push(Message::tool_result("3", "1"));
    next.messages[1].thoughts = Some(Arc::new(thoughts("m")));
    let quirks = Quirks::new();
    assert_eq!(sent(&next, &quirks)["messages"][1]["content"], whole);
    next.messages[1].thoughts = Some(Arc::new(thoughts("another")));
    let plain = sent(&next, &quirks)["messages"][1]["content"].clone();
    assert_eq!(plain.as_array().unwrap().len(), 2, "{plain}");

    // What is not all of the message does not stand for it: thoughts alone, or other calls.
    for (left_out, blocks) in [(0..1, 2), (1..2, 2), (2..3, 2), (0..0, 3)] {
        let mut content = whole.as_array().unwrap().clone();
        let is_whole = left_out == (0..1) || left_out.is_empty();
        content.drain(left_out);
        let mut thoughts = thoughts("m");
        thoughts.said["content"] = Value::Array(content.clone());
        next.messages[1].thoughts = Some(Arc::new(thoughts));
        let sent = sent(&next, &quirks)["messages"][1]["content"].clone();
        assert_eq!(sent == Value::Array(content), is_whole, "{sent}");
        assert_eq!(sent.as_array().unwrap().len(), blocks, "{sent}");
    }
}

#[test]
fn what_is_no_answer_is_told() {
    let names = Names::default();
    let empty = json!({"content": [], "usage": {"input_tokens": 3, "output_tokens": 0}});
    let wrong = answer(empty, &names).unwrap_err();
    assert!(wrong.what.contains("empty") && wrong.usage.is_some());
    assert!(answer(json!({"content": "x"}), &names).is_err());
    let text = json!({"content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"});
    assert_eq!(answer(text, &names).unwrap().finish, Finish::Stop);
    let withheld = json!({"content": [], "stop_reason": "refusal"});
    assert_eq!(answer(withheld, &names).unwrap().finish, Finish::Filtered);
    let most = u64::MAX;
    let absurd = json!({"content": [{"type": "text", "text": "a"}],
        "usage": {"input_tokens": most, "cache_read_input_tokens": most, "output_tokens": 1}});
    assert_eq!(
        answer(absurd, &names).unwrap().usage.unwrap().input_tokens,
        most
    );
    let cut = json!({"content": [{"type": "text", "text": "a"}], "stop_reason": "max_tokens"});
    let cut = answer(cut, &names).unwrap();
    assert_eq!((cut.finish, cut.usage), (Finish::Length, None));
}

#[test]
fn a_schema_that_has_a_grammar_is_told_as_one() {
    let mut asked = asked();
    asked.output_schema = Some(
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}),
    );
    let body = sent(&asked, &Quirks::new());
    assert_eq!(
        body["output_config"]["format"],
        json!({"type": "json_schema", "schema": {
            "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
            "additionalProperties": false,
        }})
    );
    assert_eq!(body["system"], "be brief");
    let body = sent(&asked, &[Quirk::NoJsonSchema].into());
    assert!(body.get("output_config").is_none());
    assert!(body["system"].as_str().unwrap().contains("JSON Schema"));
}
