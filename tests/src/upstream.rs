//! A provider of models on this machine, that speaks as OpenAI does and fails as it is told to.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What it does with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Answers.
    Answers,
    /// Answers 503, and quotes the question.
    IsBusy,
    /// Sends a part of an answer, and breaks off.
    BreaksOff,
}

/// Tokens of input that it counts for each answer,
pub const READ: u64 = 5;
/// and of output.
pub const WRITTEN: u64 = 9;

struct Shared {
    does: Box<dyn Fn(u64) -> Does + Send + Sync>,
    asked: AtomicU64,
    served: AtomicU64,
    answered: AtomicU64,
}

/// The provider.
pub struct Upstream {
    url: String,
    shared: Arc<Shared>,
}

impl Upstream {
    /// One that does with its first, second, … request what `does` says of 0, 1, …
    pub async fn that(does: impl Fn(u64) -> Does + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            does: Box::new(does),
            asked: AtomicU64::new(0),
            served: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        });
        let app = Router::new()
            .route("/v1/chat/completions", post(answer))
            .route("/v1/embeddings", post(embed))
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        // A piece is sent when it is there.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, shared }
    }

    /// Where its paths begin.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How often it was asked.
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// How often it did something that is paid: answered, or began to.
    pub fn served(&self) -> u64 {
        self.shared.served.load(Ordering::SeqCst)
    }

    /// How often it answered.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Its lines of a configuration, as the provider `id`: a dollar for a million tokens that are
    /// read, two for those that are written.
    pub fn config(&self, id: &str) -> String {
        let mut config = String::new();
        let _ = writeln!(config, "[models.providers.{id}]");
        let _ = writeln!(
            config,
            "wire = \"openai\"\nurl = \"{}\"\nlocal = true",
            self.url
        );
        let _ = writeln!(config, "models = {{ fast = \"m\", embed = \"m\" }}");
        let _ = writeln!(
            config,
            "price = [{{ model = \"m\", input = \"1\", output = \"2\" }}]"
        );
        config
    }
}

/// A vector for each text, as often as it is asked.
async fn embed(State(shared): State<Arc<Shared>>, body: axum::Json<serde_json::Value>) -> Response {
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let texts = body["input"].as_array().map_or(0, Vec::len);
    let data: Vec<_> = (0..texts)
        .map(|index| serde_json::json!({"index": index, "embedding": [3.0, 4.0]}))
        .collect();
    let usage = serde_json::json!({"prompt_tokens": READ});
    axum::Json(serde_json::json!({"data": data, "usage": usage})).into_response()
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    body: axum::Json<serde_json::Value>,
) -> Response {
    let number = shared.asked.fetch_add(1, Ordering::SeqCst);
    let json = (header::CONTENT_TYPE, "application/json");
    let does = (shared.does)(number);
    if does != Does::IsBusy {
        shared.served.fetch_add(1, Ordering::SeqCst);
    }
    match does {
        Does::IsBusy => {
            // Some quote whoever asked.
            let asked = body.pointer("/messages/0/content");
            let said = serde_json::json!({"error": {"message": asked}}).to_string();
            (StatusCode::SERVICE_UNAVAILABLE, [json], said).into_response()
        }
        Does::BreaksOff => {
            let piece = Ok::<_, std::io::Error>("{\"choices\": [");
            let broken = Err(std::io::Error::other("it breaks off"));
            let pieces = futures::stream::iter([piece, broken]);
            ([json], Body::from_stream(pieces)).into_response()
        }
        Does::Answers => {
            shared.answered.fetch_add(1, Ordering::SeqCst);
            let usage = serde_json::json!({"prompt_tokens": READ, "completion_tokens": WRITTEN});
            if body.get("stream") == Some(&serde_json::Value::Bool(true)) {
                return streamed(&usage);
            }
            let message = serde_json::json!({"role": "assistant", "content": "yes"});
            let answer = serde_json::json!({
                "choices": [{"message": message, "finish_reason": "stop"}],
                "usage": usage,
            });
            axum::Json(answer).into_response()
        }
    }
}

/// The same answer in pieces.
fn streamed(usage: &serde_json::Value) -> Response {
    let mut events = String::new();
    for piece in ["y", "e", "s"] {
        let chunk = serde_json::json!({"choices": [{"delta": {"content": piece}}]});
        let _ = write!(events, "data: {chunk}\n\n");
    }
    let end =
        serde_json::json!({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage});
    let _ = write!(events, "data: {end}\n\ndata: [DONE]\n\n");
    ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response()
}
