//! Bedrock over real connections, with what its API sends: what came of it, what was heard, what
//! is billed, and what was sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "bedrock/frames.rs"]
mod frames;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::token::SharedTokenProvider;
use aws_sdk_bedrockruntime::config::Token;
use mandate_llm::bedrock::Bedrock;
use mandate_llm::catalog::{Row, rows};
use mandate_llm::exchange::{Deadlines, client};
use mandate_llm::fault::Billed;
use mandate_llm::wire::Answer;
use mandate_llm::{
    Fault, Finish, Kind, Message, ModelClass, Provider, Request, Role, Thoughts, ToolCall,
    ToolChoice, ToolSpec, Usage,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bedrock");

/// Short, so that what never comes is not waited for.
const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_millis(500),
    first: Duration::from_millis(500),
    between: Duration::from_millis(300),
    total: Duration::from_secs(3),
};

const STREAM: &str = "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Type: application/vnd.amazon.eventstream\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nx-amzn-RequestId: 7c1f2b3a-0000-4000-8000-000000000001\r\n\r\n";

/// How an answer ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// Well.
    Whole,
    /// The connection is closed in the middle.
    Cut,
    /// Nothing more comes.
    Stalled,
}

/// What is sent for each request.
#[derive(Clone)]
struct Sends {
    bytes: Vec<u8>,
    end: End,
}

impl Sends {
    fn file(name: &str) -> Self {
        let bytes = std::fs::read(format!("{FILES}/{name}.http")).unwrap();
        let end = End::Whole;
        Self { bytes, end }
    }

    /// In chunks that do not end where frames do.
    fn stream(name: &str, end: End) -> Self {
        Self::events(&std::fs::read(format!("{FILES}/{name}.bin")).unwrap(), end)
    }

    fn events(events: &[u8], end: End) -> Self {
        let mut bytes = STREAM.as_bytes().to_vec();
        for chunk in events.chunks(61) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        if end == End::Whole {
            bytes.extend(b"0\r\n\r\n");
        }
        Self { bytes, end }
    }
}

/// Bedrock on this machine.
struct Server {
    url: String,
    /// Head and body of each request.
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Server {
    async fn that(sends: Sends) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sends.clone(), kept.clone()));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> (String, Value) {
        self.asked.lock().unwrap().last().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, sends: Sends, asked: Arc<Mutex<Vec<(String, Value)>>>) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| {
                let value = line.strip_prefix("content-length:")?;
                Some(value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                let body = serde_json::from_str(body).unwrap();
                asked
                    .lock()
                    .unwrap()
                    .push((text.split_once("\r\n\r\n").unwrap().0.to_owned(), body));
                bytes.clear();
                // Who asked may be gone.
                let _ = stream.write_all(&sends.bytes).await;
                match sends.end {
                    End::Whole => {}
                    End::Cut => return,
                    End::Stalled => std::future::pending().await,
                }
            }
        }
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
}

fn row(url: &str) -> Row {
    let mut over = toml::Table::new();
    over.insert("bedrock".to_owned(), toml::toml! { url = "" }.into());
    over["bedrock"]["url"] = url.into();
    let mut rows = rows(&over).unwrap().into_iter();
    rows.find(|row| row.id == "bedrock").unwrap()
}

fn without_key() -> SdkConfig {
    let region = Region::new("us-east-1");
    SdkConfig::builder().region(region).build()
}

fn with_key() -> SdkConfig {
    let key = Credentials::new("AKIDEXAMPLE", "not a secret", None, None, "test");
    without_key()
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(key))
        .build()
}

fn bedrock(url: &str, config: &SdkConfig) -> Bedrock {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = client(tls, DEADLINES.connect);
    Bedrock::with_config(row(url), client, DEADLINES, config)
}

fn request() -> Request {
    Request {
        class: ModelClass::Fast,
        messages: vec![
            Message::text(Role::System, "Be brief."),
            Message::text(Role::User, "hello"),
        ],
        tools: ["weather", "now"]
            .map(|name| ToolSpec {
                name: name.into(),
                description: "Says it.".into(),
                parameters: json!({"type": "object"}),
            })
            .into(),
        tool_choice: ToolChoice::Required,
        output_schema: None,
        max_output_tokens: 100,
        temperature: Some(0.5),
        stop: vec!["END".into()],
    }
}

async fn complete(sends: Sends) -> Result<Answer, Fault> {
    let server = Server::that(sends).await;
    let asked = bedrock(&server.url, &with_key());
    asked.complete(&request()).await
}

/// With the pieces that were heard.
async fn stream(sends: Sends) -> (Result<Answer, Fault>, Vec<String>) {
    let server = Server::that(sends).await;
    let mut heard = Vec::new();
    let asked = bedrock(&server.url, &with_key());
    let told = asked
        .stream(&request(), &mut |piece| heard.push(piece.to_owned()))
        .await;
    (told, heard)
}

fn usage(input: u64, cached: u64, written: u64, output: u64) -> Usage {
    Usage {
        input_tokens: input,
        cached_tokens: cached,
        cache_write_tokens: written,
        output_tokens: output,
        reasoning_tokens: 0,
    }
}

fn call(id: &str, name: &str, arguments: Value) -> ToolCall {
    ToolCall {
        id: id.into(),
        name: name.into(),
        arguments,
    }
}

#[tokio::test]
async fn an_answer_is_read() {
    let answer = complete(Sends::file("converse")).await.unwrap();
    assert_eq!(answer.message.text, "Grüezi! How can I help?");
    assert_eq!(answer.finish, Finish::Stop);
    assert_eq!(answer.usage, Some(usage(25, 0, 0, 9)));
    assert_eq!(answer.extra["metrics"], json!({"latencyMs": 551}));
    assert!(answer.extra["requestId"].is_string());
}

#[tokio::test]
async fn tool_calls_are_read() {
    let answer = complete(Sends::file("converse_tools")).await.unwrap();
    assert_eq!(answer.message.text, "Let me look.");
    assert_eq!(answer.finish, Finish::ToolCalls);
    assert_eq!(
        answer.message.tool_calls,
        [
            call("tooluse_1", "weather", json!({"city": "Bern", "days": 2})),
            call("tooluse_2", "now", json!({})),
        ]
    );
    assert_eq!(answer.usage, Some(usage(30 + 100 + 7, 100, 7, 44)));
    let fields = &answer.extra["additionalModelResponseFields"];
    assert_eq!(*fields, json!({"stop_sequence": "END"}));
    let thought = &answer.extra["content"][0]["reasoningContent"]["reasoningText"];
    assert_eq!(thought["signature"], "c2lnbmVk");
}

#[tokio::test]
async fn what_it_thought_goes_back_before_its_calls() {
    let server = Server::that(Sends::file("converse_tools")).await;
    let bedrock = bedrock(&server.url, &with_key());
    assert_eq!(bedrock.id(), "bedrock");
    assert!(bedrock.hears_thoughts(ModelClass::Fast) && !bedrock.is_local());
    assert!(bedrock.price(ModelClass::Fast).is_some());
    let first = bedrock.complete(&request()).await.unwrap();
    let mut next = request();
    next.messages.push(Message {
        thoughts: Some(Arc::new(Thoughts {
            provider: bedrock.id().to_owned(),
            model: bedrock.model(ModelClass::Fast).unwrap().to_owned(),
            said: first.extra.clone(),
            stood_for: None,
        })),
        ..first.message
    });
    for id in ["tooluse_1", "tooluse_2"] {
        next.messages.push(Message::tool_result(id, "sunny"));
    }
    bedrock.complete(&next).await.unwrap();
    let (_, body) = server.asked();
    let said = body["messages"][1]["content"].as_array().unwrap();
    let kinds: Vec<&String> = said
        .iter()
        .flat_map(|block| block.as_object().unwrap().keys())
        .collect();
    assert_eq!(kinds, ["reasoningContent", "text", "toolUse", "toolUse"]);
    let thought = &said[0]["reasoningContent"];
    assert_eq!(*thought, first.extra["content"][0]["reasoningContent"]);
}

#[tokio::test]
async fn what_is_sent_is_converse_and_signed() {
    let server = Server::that(Sends::file("converse")).await;
    let by_key = bedrock(&server.url, &with_key());
    by_key.complete(&request()).await.unwrap();
    let (head, body) = server.asked();
    assert!(
        head.starts_with("POST /model/amazon.nova-lite-v1%3A0/converse HTTP/1.1"),
        "{head}"
    );
    let authorization = |head: &str| {
        let mut lines = head.lines();
        let line = lines.find_map(|line| line.strip_prefix("authorization: "));
        line.unwrap().to_owned()
    };
    let signed = authorization(&head);
    assert!(
        signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
        "{signed}"
    );
    assert!(
        signed.contains("/us-east-1/bedrock/aws4_request, ") && signed.contains("Signature="),
        "{signed}"
    );
    let tool = |name: &str| json!({"toolSpec": {"name": name, "description": "Says it.", "inputSchema": {"json": {"type": "object"}}}});
    assert_eq!(
        body,
        json!({
            "system": [{"text": "Be brief."}],
            "messages": [{"role": "user", "content": [{"text": "hello"}]}],
            "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "stopSequences": ["END"]},
            "toolConfig": {"tools": [tool("weather"), tool("now")], "toolChoice": {"any": {}}},
        })
    );

    let token = SharedTokenProvider::new(Token::new("not-a-token", None));
    let by_token = bedrock(
        &server.url,
        &without_key().into_builder().token_provider(token).build(),
    );
    by_token.complete(&request()).await.unwrap();
    assert_eq!(authorization(&server.asked().0), "Bearer not-a-token");
    assert_eq!(server.asked.lock().unwrap().len(), 2, "asked once each");
}

#[tokio::test]
async fn nobody_is_asked_without_a_key() {
    let server = Server::that(Sends::file("converse")).await;
    let provider = bedrock(&server.url, &without_key());
    let fault = provider.complete(&request()).await.unwrap_err();
    assert_eq!(fault.billed, Billed::Nothing, "{fault:?}");
    assert!(server.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_refusal_is_taken_for_what_it_is() {
    for (file, kind, seconds) in [
        ("throttled", Kind::Busy, Some(7)),
        ("throttled_day", Kind::Spent, None),
        ("invalid", Kind::Request, None),
        ("no_profile", Kind::Model, None),
        ("too_long", Kind::TooLong, None),
        ("denied", Kind::Key, None),
        ("gateway", Kind::Busy, None),
    ] {
        let whole = complete(Sends::file(file)).await.unwrap_err();
        let (streamed, heard) = stream(Sends::file(file)).await;
        assert!(heard.is_empty(), "{file}");
        for fault in [whole, streamed.unwrap_err()] {
            assert_eq!(fault.kind, kind, "{file}: {fault:?}");
            assert_eq!(fault.billed, Billed::Nothing, "{file}");
            assert_eq!(
                fault.retry_after,
                seconds.map(Duration::from_secs),
                "{file}"
            );
        }
    }
}

#[tokio::test]
async fn what_does_not_arrive_is_billed_for_what_it_may_have_been() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let provider = bedrock(&url, &with_key());
    let fault = provider.complete(&request()).await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.billed),
        (Kind::Connection, Billed::Nothing)
    );

    let whole = Sends::file("converse").bytes;
    for (length, end) in [
        (0, End::Cut),
        (0, End::Stalled),
        (whole.len() - 5, End::Cut),
        (whole.len() - 5, End::Stalled),
    ] {
        let bytes = whole[..length].to_vec();
        let fault = complete(Sends { bytes, end }).await.unwrap_err();
        let expected = (Kind::Interrupted, Billed::Unknown);
        assert_eq!((fault.kind, fault.billed), expected, "{length} {fault:?}");
    }
    let garbled =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{\"a\":";
    let sends = Sends {
        bytes: garbled.to_vec(),
        end: End::Whole,
    };
    let fault = complete(sends).await.unwrap_err();
    assert_eq!((fault.kind, fault.billed), (Kind::Garbled, Billed::Unknown));
}

const HEARD: [&str; 2] = ["Let me ", "loo\u{e7}k."];

#[tokio::test]
async fn a_stream_is_heard_and_put_together() {
    let (told, heard) = stream(Sends::stream("stream", End::Whole)).await;
    let answer = told.unwrap();
    assert_eq!(heard, HEARD);
    assert_eq!(answer.message.text, HEARD.concat());
    assert_eq!(answer.finish, Finish::ToolCalls);
    assert_eq!(
        answer.message.tool_calls,
        [
            call("tooluse_1", "weather", json!({"city": "Bern"})),
            call("tooluse_2", "now", json!({})),
        ]
    );
    assert_eq!(answer.usage, Some(usage(40, 10, 0, 21)));
    assert_eq!(answer.extra["metrics"], json!({"latencyMs": 812}));
}

#[tokio::test]
async fn what_it_thought_in_a_stream_goes_back_too() {
    let sends = Sends::events(&frames::thoughtful(), End::Whole);
    let (told, heard) = stream(sends).await;
    let first = told.unwrap();
    assert_eq!(heard, ["Let me look."], "nobody hears what it thinks");
    let thought = json!({"reasoningContent": {"reasoningText": {"text": "it rains", "signature": "c2lnbmVk"}}});
    let sealed = json!({"reasoningContent": {"redactedContent": "aGlkZGVu"}});
    assert_eq!(first.extra["content"], json!([thought, sealed]));
    let server = Server::that(Sends::file("converse_tools")).await;
    let bedrock = bedrock(&server.url, &with_key());
    let mut next = request();
    next.messages.push(Message {
        thoughts: Some(Arc::new(Thoughts {
            provider: bedrock.id().to_owned(),
            model: bedrock.model(ModelClass::Fast).unwrap().to_owned(),
            said: first.extra,
            stood_for: None,
        })),
        ..first.message
    });
    next.messages
        .push(Message::tool_result("tooluse_1", "sunny"));
    bedrock.complete(&next).await.unwrap();
    let (_, body) = server.asked();
    let said = &body["messages"][1]["content"];
    assert_eq!((&said[0], &said[1]), (&thought, &sealed), "{said}");
}

#[tokio::test]
async fn a_stream_that_lacks_only_its_usage_is_an_answer() {
    let bytes = std::fs::read(format!("{FILES}/stream.bin")).unwrap();
    let (mut last, mut at) = (0, 0);
    while at < bytes.len() {
        last = at;
        let length: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
        at += u32::from_be_bytes(length) as usize;
    }
    for end in [End::Whole, End::Cut, End::Stalled] {
        let (told, _) = stream(Sends::events(&bytes[..last], end)).await;
        assert_eq!(told.unwrap().usage, None);
    }
}

#[tokio::test]
async fn arguments_that_are_broken_are_paid() {
    let (told, heard) = stream(Sends::stream("stream_broken_arguments", End::Whole)).await;
    let fault = told.unwrap_err();
    let used = Billed::Used(usage(40, 10, 0, 21));
    assert_eq!((fault.kind, fault.billed), (Kind::Garbled, used));
    assert_eq!(heard, HEARD);
    let (told, _) = stream(Sends::stream("stream_too_short", End::Whole)).await;
    let answer = told.unwrap();
    assert_eq!(answer.finish, Finish::Length, "that says that it is cut");
    assert!(answer.message.tool_calls.is_empty());
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_no_answer() {
    for (file, end, kind) in [
        ("stream_failed", End::Whole, Kind::Busy),
        ("stream_damaged", End::Whole, Kind::Garbled),
        ("stream_cut", End::Cut, Kind::Interrupted),
        ("stream_cut", End::Whole, Kind::Interrupted),
        ("stream_cut", End::Stalled, Kind::Interrupted),
    ] {
        let (told, heard) = stream(Sends::stream(file, end)).await;
        let fault = told.unwrap_err();
        assert_eq!(fault.kind, kind, "{file}: {fault:?}");
        assert_eq!(fault.billed, Billed::Unknown, "{file}");
        assert_eq!(heard, HEARD, "{file}");
    }
    let (told, heard) = stream(Sends::stream("stream_throttled", End::Whole)).await;
    let fault = told.unwrap_err();
    assert_eq!((fault.kind, fault.billed), (Kind::Busy, Billed::Nothing));
    assert!(heard.is_empty());
}

#[tokio::test]
async fn each_text_has_its_vector() {
    let server = Server::that(Sends::file("titan")).await;
    let provider = bedrock(&server.url, &with_key());
    let texts: Vec<String> = (0..6).map(|number| format!("text {number}")).collect();
    let told = provider.embed(&texts).await.unwrap();
    assert_eq!(told.vectors, vec![vec![0.5, -0.5, 0.5, -0.5]; 6]);
    assert_eq!(told.usage, Some(usage(6 * 5, 0, 0, 0)));
    let asked = server.asked.lock().unwrap();
    let mut sent: Vec<&str> = asked
        .iter()
        .map(|(_, body)| body["inputText"].as_str().unwrap())
        .collect();
    sent.sort_unstable();
    assert_eq!(sent, texts);
    assert!(
        asked[0]
            .0
            .starts_with("POST /model/amazon.titan-embed-text-v2%3A0/invoke HTTP/1.1")
    );
}

#[tokio::test]
async fn texts_that_were_refused_are_not_billed() {
    let server = Server::that(Sends::file("throttled")).await;
    let provider = bedrock(&server.url, &with_key());
    let fault = provider.embed(&vec!["a".to_owned(); 9]).await.unwrap_err();
    assert_eq!((fault.kind, fault.billed), (Kind::Busy, Billed::Nothing));
    assert_eq!(server.asked.lock().unwrap().len(), 4, "the others stay");
}
