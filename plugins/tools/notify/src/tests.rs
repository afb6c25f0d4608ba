//! What receivers get, and what is an error.

use crate::*;
use mandate_sdk::http::Request;
use mandate_sdk::serde_json::{Value, from_slice, from_value, json};
use mandate_sdk::testing::http_answer;
use std::cell::RefCell;
use std::rc::Rc;

fn settings() -> Value {
    json!({"channels": {
        "oncall": {"form": "webhook", "url": "https://hooks.example.org/in", "token": "NOTIFY_TOKEN", "key": "NOTIFY_KEY"},
        "ops": {"form": "slack", "url": "https://slack.com/api/chat.postMessage", "token": "SLACK_TOKEN", "to": "#ops"},
        "hook": {"form": "slack", "url": "https://hooks.slack.example/services/T/B/x"},
        "other": {"form": "webhook", "url": "https://hooks.example.org/in", "token": "ADMIN_TOKEN"},
    }})
}

fn message(channel: &str) -> Value {
    json!({
        "channel": channel, "key": "dec-1/0", "decision": "dec-1",
        "sentence": "`remediation` wants to call <!channel> & <https://evil.example|this>.",
        "link": "https://ops.example.org/decisions/dec-1", "tenant": "acme",
        "cost_micro_usd": 12_000_000_001_i64, "expires_at": "2026-11-21T03:30:00.000000Z", "reminder": false,
    })
}

/// Sends `message` to receivers that give this answer, and says what they got.
fn send(message: Value, status: u16, body: &str) -> (Result<Sent, Error>, Vec<Request>) {
    let fake = FakeHost::for_plugin(include_str!("../plugin.toml"));
    let (heard, body) = (Rc::new(RefCell::new(Vec::new())), body.to_owned());
    let ear = heard.clone();
    fake.http(move |request| {
        ear.borrow_mut().push(request.clone());
        Ok(http_answer(status, body.clone()))
    });
    let context = Context {
        raw_settings: settings().to_string(),
        ..Context::default()
    };
    let sent = Send::call(from_value(message).unwrap(), &context, &fake.host());
    let heard = heard.borrow().clone();
    (sent, heard)
}

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let mut headers = request.headers.iter();
    headers
        .find(|header| header.name == name)
        .map(|header| header.value.as_str())
}

fn said(request: &Request) -> Value {
    from_slice(request.body.as_deref().unwrap()).unwrap()
}

#[test]
fn a_webhook_gets_the_message_signed_under_its_key() {
    let (sent, heard) = send(message("oncall"), 202, "");
    assert_eq!(sent.unwrap().status, 202);
    let request = &heard[0];
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("POST", "https://hooks.example.org/in")
    );
    assert_eq!(header(request, "idempotency-key"), Some("dec-1/0"));
    assert_eq!(
        header(request, "authorization"),
        Some("Bearer {{secret:NOTIFY_TOKEN}}")
    );
    assert_eq!(
        header(request, "x-mandate-signature"),
        Some("sha256={{hmac-sha256:NOTIFY_KEY}}")
    );
    assert_eq!(header(request, "content-type"), Some("application/json"));
    let body = said(request);
    assert_eq!(body["event"], "decision_requested");
    assert!(body["sent_at_micros"].is_u64());
    for (name, value) in message("oncall").as_object().unwrap() {
        assert_eq!(&body[name], value, "{name}");
    }
}

#[test]
fn slack_gets_plain_texts_and_a_button() {
    let (sent, heard) = send(message("ops"), 200, r#"{"ok":true}"#);
    sent.unwrap();
    let request = &heard[0];
    assert_eq!(
        header(request, "authorization"),
        Some("Bearer {{secret:SLACK_TOKEN}}")
    );
    let body = said(request);
    assert_eq!(body["channel"], "#ops");
    let blocks = body["blocks"].as_array().unwrap();
    let kinds: Vec<_> = blocks
        .iter()
        .map(|block| block["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["header", "section", "context", "actions"]);
    let sentence = &blocks[1]["text"];
    assert_eq!(sentence["type"], "plain_text");
    let escaped =
        "`remediation` wants to call &lt;!channel&gt; &amp; &lt;https://evil.example|this&gt;.";
    assert_eq!(sentence["text"], escaped);
    assert!(body["text"].as_str().unwrap().contains(escaped) && body["mrkdwn"] == false);
    let glance = "$12000.01 · tenant acme · denied by itself at 2026-11-21 03:30 UTC · dec-1";
    assert_eq!(blocks[2]["elements"][0]["text"], glance);
    let button = &blocks[3]["elements"][0];
    assert_eq!(button["url"], "https://ops.example.org/decisions/dec-1");
    // An incoming webhook knows its conversation, and answers no JSON.
    let (sent, heard) = send(message("hook"), 200, "ok");
    sent.unwrap();
    assert!(
        said(&heard[0]).get("channel").is_none() && header(&heard[0], "authorization").is_none()
    );
}

#[test]
fn reminders_say_so_and_long_sentences_are_cut() {
    let mut again = message("ops");
    again["reminder"] = json!(true);
    again["cost_micro_usd"] = Value::Null;
    again["expires_at"] = Value::Null;
    again["sentence"] = json!("&".repeat(5_000));
    let (_, heard) = send(again, 200, r#"{"ok":true}"#);
    let body = said(&heard[0]);
    let text = |block: usize| body["blocks"][block]["text"]["text"].as_str().unwrap();
    assert_eq!(text(0), "A decision still waits for an answer");
    assert!(text(1).chars().count() <= 3_000 && text(1).ends_with("&amp;…"));
    assert_eq!(
        body["blocks"][2]["elements"][0]["text"],
        "Cost unknown · tenant acme · dec-1"
    );
}

#[test]
fn what_was_not_taken_is_an_error() {
    for (channel, status, body, told) in [
        ("oncall", 503, "later", "503: later"),
        (
            "ops",
            200,
            r#"{"ok":false,"error":"channel_not_found"}"#,
            "channel_not_found",
        ),
        ("hook", 404, "no_team", "404: no_team"),
    ] {
        let error = send(message(channel), status, body).0.unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
    let limited = send(message("ops"), 200, r#"{"ok":false,"error":"ratelimited"}"#).0;
    assert!(limited.unwrap_err().is_retryable());
}

#[test]
fn nothing_is_sent_where_the_operator_did_not_say() {
    let (sent, heard) = send(message("nobody"), 200, "");
    let told = sent.unwrap_err().to_string();
    assert!(
        told.contains("`nobody`") && told.contains("hook, oncall, ops"),
        "{told}"
    );
    // A secret that the plugin does not ask for is not granted either.
    let denied = send(message("other"), 200, "").0;
    assert!(matches!(denied, Err(Error::Denied { .. })), "{denied:?}");
    assert!(heard.is_empty());
}
