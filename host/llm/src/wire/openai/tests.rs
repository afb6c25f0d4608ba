//! Bodies there and back, with what providers do differently.

use super::*;
use crate::{ModelClass, Thoughts, ToolSpec};
use std::sync::Arc;

fn asked() -> Request {
    let call = ToolCall {
        id: "c1".into(),
        name: "text.count".into(),
        arguments: json!({"text": "a"}),
    };
    Request {
        class: ModelClass::Fast,
        messages: vec![
            Message::text(Role::System, "be brief"),
            Message::text(Role::User, "count"),
            Message {
                tool_calls: vec![call],
                ..Message::text(Role::Assistant, "")
            },
            Message::tool_result("c1", "1"),
        ],
        tools: vec![
            ToolSpec {
                name: "text.count".into(),
                description: "counts".into(),
                parameters: json!({"type": "object"}),
            },
            ToolSpec {
                name: "other".into(),
                description: String::new(),
                parameters: json!({}),
            },
        ],
        tool_choice: ToolChoice::Tool("text.count".into()),
        output_schema: Some(json!({"type": "object"})),
        max_output_tokens: 50,
        temperature: Some(1.5),
        stop: vec!["END".into()],
    }
}

fn sent(asked: &Request, quirks: &Quirks) -> Value {
    let whom = Whom {
        provider: "p",
        model: "m-1",
        names: &Names::of(asked),
        quirks,
    };
    request(asked, whom)
}

fn body(quirks: &[Quirk]) -> Value {
    let asked = asked();
    let quirks = quirks.iter().copied().collect();
    sent(&asked, &quirks)
}

#[test]
fn a_request_has_all_its_parts() {
    assert_eq!(
        body(&[]),
        json!({
            "model": "m-1",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "count"},
                {"role": "assistant", "content": null, "tool_calls": [{
                    "id": "c1", "type": "function",
                    "function": {"name": "text_count", "arguments": "{\"text\":\"a\"}"}
                }]},
                {"role": "tool", "tool_call_id": "c1", "content": "1"}
            ],
            "max_tokens": 50,
            "temperature": 1.5,
            "stop": ["END"],
            "tools": [
                {"type": "function", "function": {"name": "text_count", "description": "counts", "parameters": {"type": "object"}}},
                {"type": "function", "function": {"name": "other", "description": "", "parameters": {}}}
            ],
            "tool_choice": {"type": "function", "function": {"name": "text_count"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
        })
    );
}

#[test]
fn quirks_leave_out_and_say_in_words() {
    let body = body(&[
        Quirk::MaxCompletionTokens,
        Quirk::TemperatureAtMostOne,
        Quirk::NoStop,
        Quirk::NoNamedToolChoice,
        Quirk::RequiredIsAny,
        Quirk::ToolsNeedEffortNone,
        Quirk::SchemaNotWithTools,
    ]);
    for gone in ["max_tokens", "stop", "response_format"] {
        assert!(body.get(gone).is_none(), "{gone}");
    }
    assert_eq!(body["max_completion_tokens"], 50);
    assert_eq!(body["temperature"], 1.0);
    assert_eq!(body["tool_choice"], "any");
    assert_eq!(body["tools"].as_array().unwrap().len(), 1, "only that one");
    assert_eq!(body["reasoning_effort"], "none");
    let told = body["messages"][0]["content"].as_str().unwrap();
    assert!(told.contains("{\"type\":\"object\"}"), "{told}");
    let json_only = super::tests::body(&[Quirk::NoJsonSchema, Quirk::NoRequiredToolChoice]);
    assert_eq!(json_only["response_format"], json!({"type": "json_object"}));
}

#[test]
fn an_answer_is_read_with_its_calls_and_what_else_it_says() {
    let asked = asked();
    let names = Names::of(&asked);
    let said = json!({
        "id": "x", "object": "chat.completion", "model": "m-1-2026", "system_fingerprint": "fp",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": null, "reasoning_content": "hm",
            "tool_calls": [{"id": "c2", "type": "function", "function": {"name": "text_count", "arguments": "{\"text\": \"b\"}"}}]
        }}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 60}, "completion_tokens_details": {"reasoning_tokens": 5}}
    });
    let read = answer(said, &names).unwrap();
    assert_eq!(read.message.tool_calls[0].name, "text.count");
    assert_eq!(read.message.tool_calls[0].arguments, json!({"text": "b"}));
    assert_eq!(read.finish, Finish::ToolCalls);
    let usage = read.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.cached_tokens), (100, 60));
    assert_eq!((usage.output_tokens, usage.reasoning_tokens), (20, 5));
    assert_eq!(read.extra["system_fingerprint"], "fp");
    assert_eq!(read.extra["message"]["reasoning_content"], "hm");
}

#[test]
fn what_is_not_shown_is_billed_also_where_it_is_counted_apart() {
    let said = json!({"usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 20,
        "completion_tokens_details": {"reasoning_tokens": 7}}});
    assert_eq!(usage(&said).unwrap().output_tokens, 10);
    // All of it may be hidden, within what was written.
    let within = json!({"usage": {"prompt_tokens": 10, "completion_tokens": 7,
        "completion_tokens_details": {"reasoning_tokens": 7}}});
    assert_eq!(usage(&within).unwrap().output_tokens, 7);
    let apart = json!({"usage": {"prompt_tokens": 10, "completion_tokens": 7,
        "completion_tokens_details": {"reasoning_tokens": 8}}});
    assert_eq!(usage(&apart).unwrap().output_tokens, 15);
    let absurd = json!({"usage": {"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX,
        "total_tokens": 5, "completion_tokens_details": {"reasoning_tokens": u64::MAX}}});
    assert_eq!(usage(&absurd).unwrap().output_tokens, u64::MAX);
    let groq = json!({"x_groq": {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}});
    assert_eq!(usage(&groq).unwrap().output_tokens, 2);
    let deepseek = json!({"usage": {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}});
    assert_eq!(usage(&deepseek).unwrap().cached_tokens, 4);
    assert_eq!(usage(&json!({"usage": null})), None);
}

#[test]
fn what_is_no_answer_is_told_with_its_bill() {
    let names = Names::default();
    let paid = json!({"prompt_tokens": 5, "completion_tokens": 1});
    let message = |message: Value| json!({"choices": [{"message": message}], "usage": paid});
    for (body, what) in [
        (json!({"usage": paid}), "choices"),
        (json!({"choices": [], "usage": paid}), "choices"),
        (message(json!({"content": ""})), "empty"),
        (
            message(
                json!({"tool_calls": [{"id": "1", "function": {"name": "a", "arguments": "{\"x\":"}}]}),
            ),
            "no JSON",
        ),
        (message(json!({"tool_calls": [{"id": "1"}]})), "function"),
    ] {
        let wrong = answer(body, &names).unwrap_err();
        assert!(wrong.what.contains(what), "{}", wrong.what);
        assert_eq!(wrong.usage.unwrap().input_tokens, 5);
    }
    let whole =
        json!({"tool_calls": [{"id": "1", "function": {"name": "a", "arguments": {"x": 1}}}]});
    let whole = answer(message(whole), &names).unwrap();
    assert_eq!(whole.message.tool_calls[0].arguments, json!({"x": 1}));
    let refused = message(json!({"content": null, "refusal": "I will not"}));
    let refused = answer(refused, &names).unwrap();
    assert_eq!(refused.finish, Finish::Filtered);
    assert_eq!(refused.message.text, "I will not");
}

#[test]
fn vectors_come_in_the_order_of_the_texts() {
    let said = json!({"data": [
        {"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1, 0]}
    ], "usage": {"prompt_tokens": 4, "total_tokens": 4}});
    let read = embeddings(&said, 2).unwrap();
    assert_eq!(read.vectors, [vec![1.0, 0.0], vec![0.0, 1.0]]);
    assert_eq!(read.usage.unwrap().input_tokens, 4);
    assert!(embeddings(&said, 3).unwrap_err().what.contains("fewer"));
    assert!(embeddings(&said, 1).unwrap_err().what.contains("more"));
}

/// The first answer of `asked`, by whom, and what stood beside it.
fn thought(mut asked: Request, provider: &str, beside: Value) -> Request {
    let said = json!({"message": beside});
    asked.messages[2].thoughts = Some(Arc::new(Thoughts {
        provider: provider.into(),
        model: "m-1".into(),
        said: said.as_object().unwrap().clone(),
        stood_for: None,
    }));
    asked
}

#[test]
fn who_wants_thoughts_back_hears_its_own() {
    let because = json!({"reasoning_content": "because"});
    let own = thought(asked(), "p", because.clone());
    let others = thought(asked(), "q", because);
    let heard = |asked: &Request, quirk| {
        let body = sent(asked, &[quirk].into());
        let thought = body["messages"][2].get("reasoning_content").cloned();
        (thought, body.get("thinking").cloned())
    };
    for quirk in [Quirk::ThoughtsBack, Quirk::ThoughtsBackOrNone] {
        assert_eq!(heard(&own, quirk), (Some(json!("because")), None));
    }
    let blank = (Some(json!(" ")), None);
    assert_eq!(
        heard(&others, Quirk::ThoughtsBack),
        blank,
        "none of another's"
    );
    let off = (None, Some(json!({"type": "disabled"})));
    assert_eq!(heard(&others, Quirk::ThoughtsBackOrNone), off);
    let empty = thought(asked(), "p", json!({"reasoning_content": ""}));
    assert_eq!(heard(&empty, Quirk::ThoughtsBackOrNone), off);
    assert_eq!(heard(&empty, Quirk::ThoughtsBack), blank);
    assert_eq!(heard(&asked(), Quirk::ThoughtsBackOrNone), off);
    assert_eq!(
        heard(&own, Quirk::NoStop),
        (None, None),
        "nobody else is told"
    );
    let mut offers_none = others.clone();
    offers_none.tools.clear();
    assert_eq!(
        heard(&offers_none, Quirk::ThoughtsBackOrNone),
        off,
        "there are calls in it"
    );
    // Without tools nobody asks for them.
    let mut talk = Request::new(ModelClass::Fast, vec![], 5);
    talk.messages = vec![
        Message::text(Role::User, "hi"),
        Message::text(Role::User, "hello"),
        Message::text(Role::Assistant, "hello"),
        Message::text(Role::User, "so?"),
    ];
    assert_eq!(heard(&talk, Quirk::ThoughtsBackOrNone), (None, None));
}

#[test]
fn signatures_go_back_with_their_calls() {
    let signed = json!({"google": {"thought_signature": "abc"}});
    let beside = json!({"tool_calls": [{"id": "c1", "extra_content": signed}]});
    let call = |asked: &Request, quirks: &[Quirk]| {
        let body = sent(asked, &quirks.iter().copied().collect());
        body["messages"][2]["tool_calls"].clone()
    };
    let mut own = thought(asked(), "p", beside.clone());
    let mut second = own.messages[2].tool_calls[0].clone();
    second.id = "c2".into();
    own.messages[2].tool_calls.push(second);
    let calls = call(&own, &[Quirk::SignaturesBack]);
    assert_eq!(calls[0]["extra_content"], signed);
    assert!(
        calls[1].get("extra_content").is_none(),
        "the first has it for all"
    );
    assert!(call(&own, &[])[0].get("extra_content").is_none());
    let mut others = thought(own, "q", beside);
    others.messages[2].tool_calls[1].id = "c2".into();
    let calls = call(&others, &[Quirk::SignaturesBack]);
    assert_eq!(
        calls[0]["extra_content"]["google"]["thought_signature"],
        UNSIGNED
    );
    assert!(calls[1].get("extra_content").is_none());
}

#[test]
fn what_stands_beside_a_call_is_kept_with_its_id() {
    let said = json!({"choices": [{"message": {"tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "a", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "abc"}}},
        {"index": 1, "id": "c2", "type": "function", "function": {"name": "a", "arguments": "{}"}}
    ]}}]});
    let read = answer(said, &Names::default()).unwrap();
    assert_eq!(read.message.tool_calls.len(), 2);
    let beside = json!({"tool_calls": [{"id": "c1", "extra_content": {"google": {"thought_signature": "abc"}}}]});
    assert_eq!(read.extra["message"], beside);
}

#[test]
fn a_schema_without_choices_is_strict_where_that_has_to_be_said() {
    let format = |schema: Value, quirks: &[Quirk]| {
        let mut asked = asked();
        asked.output_schema = Some(schema);
        let quirks = quirks.iter().copied().collect();
        sent(&asked, &quirks)["response_format"]["json_schema"].clone()
    };
    let all =
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let some = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let held = format(all.clone(), &[Quirk::StrictSchema]);
    assert_eq!(held["strict"], true);
    assert_eq!(held["schema"]["additionalProperties"], false);
    for (schema, quirks) in [(some, vec![Quirk::StrictSchema]), (all, vec![])] {
        let told = format(schema.clone(), &quirks);
        assert_eq!(told, json!({"name": "answer", "schema": schema}));
    }
}
