//! What is found, what comes back, and that nothing of it is slow.

use super::{Redacted, Redactor, Settings};
use crate::{Message, ModelClass, Request, Role, ToolCall, ToolSpec};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(Settings { ip: true }));

fn request(messages: Vec<Message>) -> Request {
    Request::new(ModelClass::Fast, messages, 10)
}

fn user(text: &str) -> Message {
    Message::text(Role::User, text)
}

fn calls(arguments: Value) -> Message {
    let call = ToolCall {
        id: "jane@example.com".into(),
        name: "a".into(),
        arguments,
    };
    Message {
        tool_calls: vec![call],
        ..Message::text(Role::Assistant, "")
    }
}

fn redacted(texts: &[&str]) -> Option<(Vec<String>, Redacted)> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    REDACTOR.texts(&texts)
}

fn restored(redacted: &Redacted, text: &str) -> String {
    let mut message = user(text);
    redacted.restore(&mut message);
    message.text
}

#[test]
fn nothing_found_is_nothing_copied() {
    assert!(
        REDACTOR
            .request(&request(vec![user("all is well [EMAIL_1]")]))
            .is_none()
    );
}

#[test]
fn an_original_has_one_placeholder_and_keeps_it_while_a_conversation_grows() {
    let first = user("from a@example.com to b@example.com, password=hunter2");
    let (short, counts) = REDACTOR.request(&request(vec![first.clone()])).unwrap();
    assert_eq!(
        short.messages[0].text,
        "from [EMAIL_1] to [EMAIL_2], password=[SECRET_1]"
    );
    assert_eq!(counts.counts().get("email"), Some(&2));
    assert_eq!(counts.counts().get("secret"), Some(&1));
    let more = user("b@example.com, c@example.com and hunter2");
    let (long, counts) = REDACTOR.request(&request(vec![first, more])).unwrap();
    assert_eq!(long.messages[0], short.messages[0]);
    assert_eq!(long.messages[1].text, "[EMAIL_2], [EMAIL_3] and hunter2");
    assert_eq!(counts.counts().get("email"), Some(&4));
}

#[test]
fn all_of_a_request_is_looked_at_and_schemas_stay_schemas() {
    let schema = json!({
        "type": "object", "$id": "https://u:hunter2@example.com",
        "required": ["a@example.com"],
        "properties": {"a@example.com": {
            "type": "string", "description": "as a@example.com", "pattern": "^a@example.com$",
            "enum": ["b@example.com"], "default": "b@example.com", "items": [{"title": "c@example.com"}]
        }},
    });
    let expected = json!({
        "type": "object", "$id": "https://u:hunter2@example.com",
        "required": ["a@example.com"],
        "properties": {"a@example.com": {
            "type": "string", "description": "as [EMAIL_1]", "pattern": "^a@example.com$",
            "enum": ["[EMAIL_2]"], "default": "[EMAIL_2]", "items": [{"title": "[EMAIL_3]"}]
        }},
    });
    let arguments = json!({"to": ["c@example.com"], "password": "hunter2", "c@example.com": 1, "phone": "4155550123"});
    let mut asked = request(vec![
        calls(arguments),
        Message::tool_result("jane@example.com", "c@example.com"),
    ]);
    asked.tools = vec![ToolSpec {
        name: "a@example.com".into(),
        description: "a@example.com".into(),
        parameters: schema.clone(),
    }];
    asked.output_schema = Some(schema);
    asked.stop = vec!["c@example.com".into()];
    let (sent, redacted) = REDACTOR.request(&asked).unwrap();
    assert_eq!(sent.tools[0].name, "a@example.com");
    assert_eq!(sent.tools[0].description, "[EMAIL_1]");
    assert_eq!(sent.tools[0].parameters, expected);
    assert_eq!(sent.output_schema, Some(expected));
    assert_eq!(sent.stop, ["[EMAIL_3]"]);
    assert_eq!(sent.messages[0].tool_calls[0].id, "jane@example.com");
    assert_eq!(
        sent.messages[0].tool_calls[0].arguments,
        json!({"to": ["[EMAIL_3]"], "password": "[SECRET_1]", "[EMAIL_3]": 1, "phone": "[PHONE_1]"})
    );
    assert_eq!(sent.messages[1].text, "[EMAIL_3]");
    for (message, original) in sent.messages.into_iter().zip(asked.messages) {
        let mut message = message;
        redacted.restore(&mut message);
        assert_eq!(message, original);
    }
}

#[test]
fn a_placeholder_that_somebody_wrote_means_nothing() {
    let (texts, redacted) = redacted(&["mail [EMAIL_1] or [[EMAIL_2]]", "a@example.com"]).unwrap();
    assert_eq!(texts, ["mail [EMAIL_1] or [[EMAIL_2]]", "[EMAIL_3]"]);
    assert_eq!(
        restored(&redacted, "[EMAIL_1] [EMAIL_2] [EMAIL_3]"),
        "[EMAIL_1] [EMAIL_2] a@example.com"
    );
}

#[test]
fn a_stream_holds_back_only_what_may_become_a_placeholder() {
    let (_, redacted) = redacted(&["a@example.com"]).unwrap();
    let mut restorer = redacted.restorer();
    assert_eq!(restorer.push("see [1] and [E"), "see [1] and ");
    assert_eq!(restorer.push("X] [[EMAIL_"), "[EX] [");
    assert_eq!(restorer.push("1"), "");
    assert_eq!(restorer.push("]!["), "a@example.com!");
    assert_eq!(restorer.finish(), "[");
}

#[test]
fn a_long_original_that_is_repeated_does_not_fill_the_memory() {
    let long = format!("{}{}", ["gh", "p_"].concat(), "a1B2".repeat(1 << 18));
    let (texts, redacted) = redacted(&[&long]).unwrap();
    let answer = texts[0].repeat(1_000);
    let length = restored(&redacted, &answer).len();
    assert!(
        length > long.len() && length < (16 << 20) + answer.len(),
        "{length}"
    );
}

#[test]
fn what_is_shown_of_it_are_counts() {
    let (_, redacted) = redacted(&["a@example.com"]).unwrap();
    assert_eq!(
        format!("{redacted:?}"),
        "Redacted { counts: {\"email\": 1}, .. }"
    );
}

#[test]
fn every_shape_is_found_alone() {
    let body = "A2B3C4D5E6F7A2B3C4D5E6F7A2B3C4D5".repeat(8);
    for shape in super::shapes::SHAPES {
        let key = format!("{}{}", shape.prefix, &body[..shape.least]);
        let text = format!("x {key} y");
        assert_eq!(shape.end(text.as_bytes(), 2), Some(2 + key.len()), "{key}");
        assert!(REDACTOR.texts(&[text]).is_some(), "{key}");
    }
}

/// Texts that make a careless rule take the square of their length.
#[test]
fn hostile_texts_take_linear_time() {
    let pieces = [
        "-----BEGIN PRIVATE KEY-----",
        "password=password=",
        "token=$token=",
        "[[[[",
        "[EMAIL_1",
        "a@",
        "a.",
        "@@",
        "://a:",
        "eyJ",
        "eyJa.eyJ",
        "eyJhbGciOiJIUzI1NiJ9.",
        "SG.SG.",
        "1 ",
        "0 0-",
        "(1) ",
        "+1 ",
        "::",
        "1.",
        "1:",
        "DE89 ",
        "DE89",
        "token=\"",
        "token='a\\",
        "aB3",
        "key: ",
        "bearer a",
        "authorization: a ",
        "cookie: ",
        "-u a:",
        "sk-",
        "sk-sk-1",
        "hooks.slack.com/services/",
        "ä",
        "tel 1",
        "-----BEGIN ",
        "xoxe.",
    ];
    for piece in pieces {
        let timed = |size: usize| {
            let text = [piece.repeat(size / piece.len())];
            let start = Instant::now();
            if let Some((texts, redacted)) = REDACTOR.texts(&text) {
                assert_eq!(restored(&redacted, &texts[0]), text[0]);
            }
            start.elapsed()
        };
        let (tenth, all) = (timed(100_000), timed(1_000_000));
        assert!(
            all < tenth * 40 + Duration::from_millis(200),
            "{piece:?}: {tenth:?}, then {all:?}"
        );
    }
}

fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        proptest::sample::select(vec![
            "a@example.com",
            "[EMAIL_1]",
            "[SECRET_1]",
            "[PHONE_2",
            "password=",
            "\"token\": \"",
            "hunter2",
            "+49 30 901820",
            "(415) 555-0123",
            "4111 1111 1111 1111",
            "DE89370400440532013000",
            "10.1.2.3",
            "2001:db8::1",
            "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0bC",
            "https://u:pass1@h.example/",
            "Bearer abcdef123456",
            " ",
            "\n",
            "[",
            "]",
            "\"",
            "tel ",
            "x",
            "1",
            ".",
            "-",
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
        "[a-zA-Z0-9@.:/=+ \\[\\]_-]{0,24}",
    ];
    proptest::collection::vec(fragment, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_is_redacted_comes_back(texts in proptest::collection::vec(fragments(), 1..4)) {
        if let Some((sent, redacted)) = REDACTOR.texts(&texts) {
            for (sent, text) in sent.iter().zip(&texts) {
                prop_assert_eq!(&restored(&redacted, sent), text);
            }
        }
    }

    #[test]
    fn a_stream_says_what_a_whole_says(text in fragments(), cuts in proptest::collection::vec(0usize..12, 0..40)) {
        if let Some((sent, redacted)) = REDACTOR.texts(std::slice::from_ref(&text)) {
            let mut restorer = redacted.restorer();
            let mut letters = sent[0].chars();
            let mut out = String::new();
            for cut in cuts {
                out += &restorer.push(&letters.by_ref().take(cut).collect::<String>());
            }
            out += &restorer.push(letters.as_str());
            out += &restorer.finish();
            prop_assert_eq!(out, text);
        }
    }

    #[test]
    fn a_second_look_finds_nothing(parts in proptest::collection::vec(fragments(), 1..4)) {
        if let Some((sent, _)) = REDACTOR.texts(&parts) {
            let again = REDACTOR.texts(&sent).map(|(texts, _)| texts);
            prop_assert_eq!(again, None, "of {:?}", sent);
        }
    }
}

/// Prints how long 10 KB of a clean prompt take: `cargo test --release -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn speed_of_a_clean_prompt() {
    let lines = "2026-11-21T14:02:11.123456Z INFO payments-api-7d4b9c6f5d-x2x9z handled GET /v1/orders/4711 in 12.5 ms status=200 \
        trace_id=4bf92f3577b34da6a3ce929d0e0e4736\nThe error rate of the checkout service rose from 0.1 % to 4.2 % after the \
        deployment of version 1.42.0 (commit 9fceb02d0ae598e95dc970b74767f19372d61af8); max_tokens: 4096, the pod was evicted.\n";
    let prose = "You operate a cluster of servers. Look at what the tools tell you, say what is likely to be wrong, and do not \
        change anything before somebody has agreed to it. Name the evidence for each thing that you say. ";
    for (name, piece) in [("logs", lines), ("prose", prose)] {
        let text = [piece.repeat(10 * 1024 / piece.len() + 1)[..10 * 1024].to_owned()];
        let redactor = Redactor::new(Settings::default());
        assert!(redactor.texts(&text).is_none());
        let best = (0..200).map(|_| {
            let start = Instant::now();
            for _ in 0..10 {
                assert!(
                    std::hint::black_box(&redactor)
                        .texts(std::hint::black_box(&text))
                        .is_none()
                );
            }
            start.elapsed() / 10
        });
        println!("{name}: {:?} for 10 KB", best.min().unwrap());
    }
}
