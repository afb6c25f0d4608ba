//! What providers are sent on each wire: where, with which key, whole or in pieces.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_llm::catalog::rows;
use mandate_llm::exchange::{Deadlines, client};
use mandate_llm::upstream::Upstream;
use mandate_llm::{Kind, Message, ModelClass, Provider, Request, Role};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// How long it waits between two pieces of an answer.
const PAUSE: Duration = Duration::from_millis(20);

/// A provider that gives each request the same answer, and keeps what it was sent.
struct Server {
    url: String,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Server {
    async fn that_says(kind: &str, answer: &str) -> Self {
        let length = answer.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/", listener.local_addr().unwrap());
        let heard = Arc::<Mutex<Vec<_>>>::default();
        let kept = heard.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
                let (head, body) = loop {
                    let read = stream.read(&mut piece).await.unwrap();
                    bytes.extend_from_slice(&piece[..read]);
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    if let Some((head, body)) = text.split_once("\r\n\r\n")
                        && let Ok(body) = serde_json::from_str(body)
                    {
                        break (head.to_ascii_lowercase(), body);
                    }
                };
                kept.lock().unwrap().push((head, body));
                for piece in answer.split_inclusive("\n\n") {
                    let _ = stream.write_all(piece.as_bytes()).await;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        Self { url, heard }
    }

    async fn that_answers(answer: &Value) -> Self {
        Self::that_says("application/json", &answer.to_string()).await
    }

    /// The only request that it was sent.
    fn heard(&self) -> (String, Value) {
        let mut heard = self.heard.lock().unwrap();
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard.remove(0)
    }

    fn provider(&self, wire: &str, quirks: &str) -> Upstream {
        upstream(&self.url, wire, quirks, "sk-test")
    }
}

fn upstream(url: &str, wire: &str, quirks: &str, key: &str) -> Upstream {
    static RING: Once = Once::new();
    RING.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let over = format!(
        "[own]\nwire = \"{wire}\"\nurl = \"{url}\"\nquirks = [{quirks}]\n\
         models = {{ fast = \"m\", embed = \"v\" }}\nmodel = [{{ model = \"m\", quirks = [\"no-temperature\"] }}]"
    );
    let row = rows(&over.parse().unwrap()).unwrap().pop().unwrap();
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let deadlines = Deadlines::default();
    let client = client(tls, deadlines.connect);
    Upstream::new(row, Some(key.to_owned()), client, deadlines)
}

fn request() -> Request {
    Request {
        temperature: Some(0.5),
        ..Request::new(
            ModelClass::Fast,
            vec![Message::text(Role::User, "hello")],
            10,
        )
    }
}

fn openai(text: &str) -> Value {
    json!({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
}

fn anthropic(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"})
}

#[tokio::test]
async fn each_wire_has_its_path_and_its_key() {
    let server = Server::that_answers(&openai("yes")).await;
    let provider = server.provider("openai", "");
    let answer = provider.complete(&request()).await.unwrap();
    assert_eq!(answer.message.text, "yes");
    let (head, body) = server.heard();
    assert!(
        head.starts_with("post /v1/chat/completions http/1.1"),
        "{head}"
    );
    assert!(
        head.contains("\nauthorization: bearer sk-test\r\n"),
        "{head}"
    );
    assert!(!head.contains("anthropic"), "{head}");
    assert_eq!(body["model"], "m");
    assert!(body.get("temperature").is_none(), "a quirk of the model");

    let server = Server::that_answers(&anthropic("yes")).await;
    let provider = server.provider("anthropic", "");
    let answer = provider.complete(&request()).await.unwrap();
    assert_eq!(answer.message.text, "yes");
    let (head, _) = server.heard();
    assert!(head.starts_with("post /v1/messages http/1.1"), "{head}");
    assert!(head.contains("\nx-api-key: sk-test\r\n"), "{head}");
    assert!(
        head.contains("\nanthropic-version: 2023-06-01\r\n"),
        "{head}"
    );
    assert!(!head.contains("authorization"), "{head}");
}

/// What of an answer was heard, and all of it.
async fn streamed(provider: &Upstream, request: &Request) -> (Vec<String>, String) {
    let mut pieces = Vec::new();
    let mut hear = |piece: &str| pieces.push(piece.to_owned());
    let answer = provider.stream(request, &mut hear).await.unwrap();
    (pieces, answer.message.text)
}

#[tokio::test]
async fn pieces_are_asked_for_and_a_whole_is_taken_for_one() {
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"y\"}}]}\n\n\
         data: {\"choices\":[{\"delta\":{\"content\":\"es\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    for (quirks, counts) in [("", true), ("\"no-stream-options\"", false)] {
        let server = Server::that_says("text/event-stream; charset=utf-8", events).await;
        let heard = streamed(&server.provider("openai", quirks), &request()).await;
        assert_eq!(heard, (vec!["y".into(), "es".into()], "yes".into()));
        let (_, body) = server.heard();
        assert_eq!(body["stream"], true);
        let options = counts.then(|| json!({"include_usage": true}));
        assert_eq!(body.get("stream_options"), options.as_ref());
    }
    for (wire, answer) in [("openai", openai("yes")), ("anthropic", anthropic("yes"))] {
        let server = Server::that_answers(&answer).await;
        let heard = streamed(&server.provider(wire, ""), &request()).await;
        assert_eq!(heard, (vec!["yes".into()], "yes".into()));
        assert_eq!(server.heard().1["stream"], true);
    }
}

#[tokio::test]
async fn who_cannot_stop_is_heard_no_further() {
    let server = Server::that_answers(&openai("one END two STOP")).await;
    let asked = Request {
        stop: vec!["STOP".into(), "END".into()],
        ..request()
    };
    let provider = server.provider("openai", "\"no-stop\"");
    let heard = streamed(&provider, &asked).await;
    assert_eq!(heard, (vec!["one ".into()], "one ".into()));
    let (_, body) = server.heard();
    assert!(body.get("stream").is_none() && body.get("stop").is_none());
    let server = Server::that_answers(&openai("one END")).await;
    let provider = server.provider("openai", "");
    let answer = provider.complete(&asked).await.unwrap();
    assert_eq!(
        answer.message.text, "one END",
        "who can is not cut a second time"
    );
}

#[tokio::test]
async fn texts_become_vectors() {
    let answer =
        json!({"data": [{"index": 0, "embedding": [0.5, 1.0]}], "usage": {"prompt_tokens": 3}});
    for (quirks, kind) in [("", None), ("\"embed-input-type\"", Some(json!("passage")))] {
        let server = Server::that_answers(&answer).await;
        let provider = server.provider("openai", quirks);
        let vectors = provider.embed(&["hello".into()]).await.unwrap();
        assert_eq!(vectors.vectors, [[0.5, 1.0]]);
        let (head, body) = server.heard();
        assert!(head.starts_with("post /v1/embeddings "), "{head}");
        assert_eq!(
            (&body["model"], body.get("input_type")),
            (&json!("v"), kind.as_ref())
        );
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_and_not_sent() {
    let server = Server::that_answers(&openai("yes")).await;
    let mut smart = request();
    smart.class = ModelClass::Smart;
    let provider = server.provider("openai", "");
    let fault = provider.complete(&smart).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Model);
    let broken = upstream(&server.url, "openai", "", "sk\ntest");
    let fault = broken.complete(&request()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Key);
    assert!(!fault.reason.contains("sk"), "{}", fault.reason);
    let nowhere = upstream("http://[", "openai", "", "sk-test");
    let fault = nowhere.complete(&request()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Connection);
    assert!(server.heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_can_be_held_to_a_schema_is_known_beforehand() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let open = json!({"type": "object"});
    for (wire, quirks, schema, held) in [
        ("openai", "", Some(&schema), true),
        ("openai", "", Some(&open), true),
        ("openai", "\"no-json-schema\"", Some(&schema), false),
        ("openai", "\"no-json-mode\"", Some(&schema), false),
        ("anthropic", "", Some(&schema), true),
        ("anthropic", "", Some(&open), false),
        ("anthropic", "\"no-json-schema\"", Some(&schema), false),
        ("openai", "", None, false),
        ("anthropic", "", None, false),
    ] {
        let asked = Request {
            output_schema: schema.cloned(),
            ..request()
        };
        let provider = upstream("http://127.0.0.1:9", wire, quirks, "sk-test");
        assert_eq!(
            provider.is_held_to_schema(&asked),
            held,
            "{wire} {quirks} {schema:?}"
        );
        let smart = Request {
            class: ModelClass::Smart,
            ..asked
        };
        assert!(!provider.is_held_to_schema(&smart));
    }
}

#[test]
fn who_wants_to_hear_thoughts_is_known_beforehand() {
    for (wire, quirks, hears) in [
        ("anthropic", "", true),
        ("openai", "", false),
        ("openai", "\"no-stop\"", false),
        ("openai", "\"thoughts-back\"", true),
        ("openai", "\"thoughts-back-or-none\"", true),
        ("openai", "\"signatures-back\"", true),
    ] {
        let provider = upstream("http://127.0.0.1:9", wire, quirks, "sk-test");
        assert_eq!(
            provider.hears_thoughts(ModelClass::Fast),
            hears,
            "{wire} {quirks}"
        );
    }
}
