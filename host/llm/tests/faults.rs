//! Providers over real connections, with everything that goes wrong there: what came of it, who
//! was asked, and what is billed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_llm::catalog::{Row, rows};
use mandate_llm::chain::Settings;
use mandate_llm::upstream::{Deadlines, Upstream, client};
use mandate_llm::{
    Caller, Chain, Message, Meter, ModelClass, Planned, Provider, Request, Role, Unpaid,
};
use mandate_types::MicroUsd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Short, so that what never comes is not waited for.
const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_millis(500),
    first: Duration::from_millis(300),
    between: Duration::from_millis(300),
    total: Duration::from_secs(2),
};

const YES: &str = r#"{"choices":[{"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":9}}"#;

/// What a provider does with each request.
#[derive(Clone)]
enum Does {
    /// Sends these bytes, and closes.
    Sends(Vec<u8>),
    /// Sends these bytes, and then nothing for ever.
    Stalls(Vec<u8>),
}

fn response(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A provider on this machine.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn that(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, does.clone(), count.clone()));
            }
        });
        Self { url, asked }
    }

    async fn yes() -> Self {
        Self::that(Does::Sends(response(200, "", YES))).await
    }
}

async fn serve(mut stream: TcpStream, does: Does, count: Arc<AtomicUsize>) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
    count.fetch_add(1, Ordering::Relaxed);
    let (Does::Sends(answer) | Does::Stalls(answer)) = &does;
    // Who asked may be gone.
    let _ = stream.write_all(answer).await;
    if let Does::Stalls(_) = does {
        std::future::pending::<()>().await;
    }
}

fn row(id: &str, url: &str) -> Row {
    let mut over = toml::Table::new();
    over.insert(
        id.to_owned(),
        toml::toml! {
            wire = "openai"
            url = ""
            models = { fast = "m" }
            price = [{ model = "m", input = "1", output = "2" }]
        }
        .into(),
    );
    over[id]["url"] = url.into();
    rows(&over).unwrap().pop().unwrap()
}

fn provider(id: &str, url: &str) -> Arc<dyn Provider> {
    static RING: Once = Once::new();
    RING.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = client(tls, DEADLINES.connect);
    let key = Some("sk-test".to_owned());
    Arc::new(Upstream::new(row(id, url), key, client, DEADLINES))
}

fn request() -> Request {
    Request::new(
        ModelClass::Fast,
        vec![Message::text(Role::User, "hello")],
        10,
    )
}

/// Pays for everything.
struct Rich;

#[async_trait::async_trait]
impl Meter for Rich {
    async fn open(&self, _: Planned) -> Result<u32, Unpaid> {
        Ok(0)
    }

    fn close(&self, _: u32, _: MicroUsd, _: bool) {}
}

const CALLER: Caller<'static> = Caller {
    tenant: "acme",
    plugin: "asks",
    execution: "one",
    meter: &Rich,
};

/// What is billed at most for the request: five bytes, ten tokens.
const WORST: i64 = 5 + 20;
/// What an answer costs: five tokens, and nine.
const PAID: i64 = 5 + 18;

#[tokio::test]
async fn each_fault_is_cured_elsewhere_or_told() {
    let json = |status, body: &str| Does::Sends(response(status, "", body));
    let quota = r#"{"error":{"message":"x","code":"insufficient_quota"}}"#;
    let broken_call = r#"{"choices":[{"message":{"tool_calls":[{"id":"1","function":{"name":"a","arguments":"{\"x\":"}}]}}],"usage":{"prompt_tokens":5,"completion_tokens":9}}"#;
    let mut half = response(200, "", YES);
    half.truncate(half.len() - 30);
    let large = response(200, "", &" ".repeat(10 << 20));
    let plain =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<ok>".to_vec();
    // What it does, as what that counts, how often it is asked, and what is billed for it.
    let faults: [(&str, Does, &str, usize, i64); 22] = [
        ("401", json(401, "{}"), "key", 1, 0),
        ("402", json(402, "{}"), "spent", 1, 0),
        ("403", json(403, "{}"), "key", 1, 0),
        ("404", json(404, "{}"), "model", 1, 0),
        ("408", json(408, "{}"), "busy", 2, 0),
        ("413", json(413, "{}"), "too_long", 1, 0),
        ("429", json(429, "{}"), "busy", 2, 0),
        (
            "429, soon",
            Does::Sends(response(429, "retry-after-ms: 5\r\n", "{}")),
            "busy",
            2,
            0,
        ),
        (
            "429, later",
            Does::Sends(response(429, "retry-after: 60\r\n", "{}")),
            "busy",
            1,
            0,
        ),
        ("429, spent", json(429, quota), "spent", 1, 0),
        ("500", json(500, "oops"), "busy", 2, 0),
        ("502", json(502, "<html>"), "busy", 2, 0),
        ("503", json(503, "{}"), "busy", 2, 0),
        ("529", json(529, "{}"), "busy", 2, 0),
        (
            "says nothing",
            Does::Stalls(vec![]),
            "interrupted",
            1,
            WORST,
        ),
        ("stops", Does::Stalls(half.clone()), "interrupted", 1, WORST),
        ("cut", Does::Sends(half), "interrupted", 1, WORST),
        ("closed", Does::Sends(vec![]), "interrupted", 1, WORST),
        ("no JSON", json(200, "{\"choices\": ["), "garbled", 1, WORST),
        ("another type", Does::Sends(plain), "garbled", 1, WORST),
        ("too large", Does::Sends(large), "garbled", 1, WORST),
        ("a broken call", json(200, broken_call), "garbled", 1, PAID),
    ];
    for (what, does, outcome, times, billed) in faults {
        let (bad, good) = (Server::that(does).await, Server::yes().await);
        let providers = vec![provider("bad", &bad.url), provider("good", &good.url)];
        let chain = Chain::new(providers, Settings::default());
        let answer = chain.complete(&request(), &CALLER).await.unwrap();
        assert_eq!(answer.provider, "good", "{what}");
        assert_eq!(answer.message.text, "yes", "{what}");
        assert_eq!(bad.asked.load(Ordering::Relaxed), times, "{what}");
        assert_eq!(good.asked.load(Ordering::Relaxed), 1, "{what}");
        let failed: Vec<_> = answer
            .attempts
            .iter()
            .filter(|a| a.provider == "bad")
            .collect();
        assert!(
            failed.iter().all(|a| a.outcome == outcome),
            "{what}: {failed:?}"
        );
        assert_eq!(answer.cost.0, billed + PAID, "{what}: {failed:?}");
    }
}

#[tokio::test]
async fn the_callers_mistake_is_told_and_nobody_else_is_asked() {
    for status in [400, 422] {
        let body = r#"{"error":{"message":"messages: roles must alternate"}}"#;
        let bad = Server::that(Does::Sends(response(status, "", body))).await;
        let good = Server::yes().await;
        let providers = vec![provider("bad", &bad.url), provider("good", &good.url)];
        let chain = Chain::new(providers, Settings::default());
        let told = chain
            .complete(&request(), &CALLER)
            .await
            .unwrap_err()
            .to_string();
        assert!(told.contains("roles must alternate"), "{told}");
        assert_eq!(good.asked.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn nobody_there_and_no_tls_are_not_billed() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let plain = Server::yes().await;
    for url in [
        format!("http://{address}/v1"),
        plain.url.replace("http://", "https://"),
    ] {
        let good = Server::yes().await;
        let providers = vec![provider("bad", &url), provider("good", &good.url)];
        let chain = Chain::new(providers, Settings::default());
        let answer = chain.complete(&request(), &CALLER).await.unwrap();
        assert_eq!(
            answer.attempts[0].outcome, "connection",
            "{:?}",
            answer.attempts
        );
        assert_eq!(answer.cost.0, PAID);
    }
    assert_eq!(plain.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn who_fails_often_is_left_alone() {
    let bad = Server::that(Does::Sends(response(500, "", "{}"))).await;
    let good = Server::yes().await;
    let providers = vec![provider("bad", &bad.url), provider("good", &good.url)];
    let chain = Chain::new(providers, Settings::default());
    for _ in 0..20 {
        chain.complete(&request(), &CALLER).await.unwrap();
    }
    assert_eq!(bad.asked.load(Ordering::Relaxed), 5);
    assert_eq!(good.asked.load(Ordering::Relaxed), 20);
}
