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
use mandate_llm::exchange::{Deadlines, client};
use mandate_llm::upstream::Upstream;
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
    /// Sends each of these by itself, and closes.
    Pieces(Vec<Vec<u8>>),
    /// Sends these bytes, and then nothing for ever.
    Stalls(Vec<u8>),
    /// Sends these bytes, and then for ever that it is still there.
    Waits(Vec<u8>),
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
    // Who asked may be gone: then there is nothing to say.
    match does {
        Does::Sends(answer) => drop(stream.write_all(&answer).await),
        Does::Pieces(pieces) => {
            for piece in pieces {
                if stream.write_all(&piece).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
        Does::Stalls(answer) => {
            let _ = stream.write_all(&answer).await;
            std::future::pending::<()>().await;
        }
        Does::Waits(answer) => {
            let _ = stream.write_all(&answer).await;
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            while stream.write_all(b": wait\n\n").await.is_ok() {
                tick.tick().await;
            }
        }
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

/// What an answer costs: five tokens, and nine.
const PAID: i64 = 5 + 18;

mod matrix;

#[tokio::test]
async fn who_fails_often_is_left_alone() {
    let bad = Server::that(Does::Sends(response(500, "", "{}"))).await;
    let good = Server::yes().await;
    let providers = vec![provider("bad", &bad.url), provider("good", &good.url)];
    let chain = Chain::new(providers, Settings::default());
    for number in 0..20 {
        // Each is an execution of its own: nobody has its prompts.
        let execution = number.to_string();
        let caller = Caller {
            execution: &execution,
            ..CALLER
        };
        chain.complete(&request(), &caller).await.unwrap();
    }
    assert_eq!(bad.asked.load(Ordering::Relaxed), 5);
    assert_eq!(good.asked.load(Ordering::Relaxed), 20);
}
