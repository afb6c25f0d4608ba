//! One provider over HTTP: a request of ours, sent on its wire, and what came of it.

use crate::catalog::{Quirk, Quirks, Row, Wire};
use crate::exchange::{
    Deadlines, HttpClient, MOST_BYTES, chain_of, late, read, send, too_long, whole,
};
use crate::fault::{Billed, Fault, Kind};
use crate::wire::stream::{AnthropicPieces, Broken, OpenAiPieces, Pieces};
use crate::wire::{self, Answer, Names, Vectors, Whom, Wrong};
use crate::{Heard, ModelClass, Price, Provider, Request, pause, structured};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use serde_json::Value;
use sse_stream::SseStream;
use std::time::SystemTime;

/// A provider that can be asked.
pub struct Upstream {
    row: Row,
    key: Option<String>,
    client: HttpClient,
    deadlines: Deadlines,
}

impl Upstream {
    /// The provider of `row`, with its key if it needs one.
    pub fn new(row: Row, key: Option<String>, client: HttpClient, deadlines: Deadlines) -> Self {
        Self {
            row,
            key,
            client,
            deadlines,
        }
    }

    fn serving(&self, class: ModelClass) -> Result<&str, Fault> {
        self.model(class)
            .ok_or_else(|| Fault::new(Kind::Model, "it has no model of this class"))
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.in_time(async {
            let answer = self.send(path, body).await?;
            self.whole(answer).await
        })
        .await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let total = self.deadlines.total;
        match tokio::time::timeout(total, work).await {
            Ok(answer) => answer,
            Err(_) => Err(late("no whole answer", total)),
        }
    }

    /// The body of an answer that comes as a whole, or what a refusal says.
    async fn whole(&self, answer: hyper::Response<Incoming>) -> Result<Value, Fault> {
        let (head, body) = answer.into_parts();
        let is_answer = head.status == StatusCode::OK;
        let bytes = whole(body, is_answer, self.deadlines.between).await?;
        if !is_answer {
            let header = |name: &str| head.headers.get(name)?.to_str().ok();
            let retry_after = pause::of(header, SystemTime::now());
            return Err(wire::refusal(head.status.as_u16(), &bytes, retry_after));
        }
        read(&head.headers, &bytes)
    }

    /// The body that the answer would have had as a whole, of one that comes in pieces. Who was
    /// asked for pieces and sends a whole is taken at that.
    async fn pieces(
        &self,
        path: &str,
        body: &Value,
        mut pieces: Box<dyn Pieces>,
        heard: Heard<'_>,
    ) -> Result<(Value, bool), Fault> {
        let answer = self.send(path, body).await?;
        let kind = answer.headers().get(CONTENT_TYPE);
        let is_stream = kind
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.to_ascii_lowercase().contains("event-stream"));
        if answer.status() != StatusCode::OK || !is_stream {
            return Ok((self.whole(answer).await?, false));
        }
        let Deadlines { first, between, .. } = self.deadlines;
        let body = Limited::new(answer.into_body(), MOST_BYTES).map_err(Cut);
        let mut events = SseStream::new(body);
        // Only what is of the answer counts: who only keeps the connection open says nothing.
        let mut until = tokio::time::Instant::now() + first;
        let mut silence = late("no piece of an answer", first);
        loop {
            let event = match tokio::time::timeout_at(until, events.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => return Err(broken(&error)),
                Ok(None) if pieces.is_whole() => break,
                Ok(None) => {
                    return Err(Fault::arrived(
                        Kind::Interrupted,
                        "the answer broke off before its end",
                    ));
                }
                Err(_) => return Err(silence),
            };
            let Some(data) = event.data else {
                continue;
            };
            let piece = pieces.push(&data).map_err(|wrong| match wrong {
                Broken::Garbled(told) => Fault::arrived(Kind::Garbled, told),
                Broken::Refused(said) => refused(&said),
            })?;
            if piece.content {
                until = tokio::time::Instant::now() + between;
                silence = late("the answer stopped", between);
            }
            if !piece.text.is_empty() {
                heard(&piece.text);
            }
            if piece.over {
                break;
            }
        }
        Ok((pieces.body(), true))
    }

    async fn send(&self, path: &str, body: &Value) -> Result<hyper::Response<Incoming>, Fault> {
        let message = self.message(path, body)?;
        send(&self.client, self.deadlines, message).await
    }

    fn message(&self, path: &str, body: &Value) -> Result<hyper::Request<Full<Bytes>>, Fault> {
        let wrong = |what: String| Fault::new(Kind::Connection, what);
        let url = format!("{}{path}", self.row.url.trim_end_matches('/'));
        let uri: Uri = url
            .parse()
            .map_err(|error| wrong(format!("`{url}` is no URL: {error}")))?;
        let mut message = hyper::Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            let (name, value) = match self.row.wire {
                Wire::OpenAi | Wire::Bedrock => (AUTHORIZATION, format!("Bearer {key}")),
                Wire::Anthropic => (HeaderName::from_static("x-api-key"), key.clone()),
            };
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| Fault::new(Kind::Key, "the key cannot be in a header"))?;
            value.set_sensitive(true);
            message = message.header(name, value);
        }
        if self.row.wire == Wire::Anthropic {
            message = message.header("anthropic-version", wire::anthropic::VERSION);
        }
        message
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|error| wrong(error.to_string()))
    }
}

#[async_trait::async_trait]
impl Provider for Upstream {
    fn id(&self) -> &str {
        &self.row.id
    }

    fn model(&self, class: ModelClass) -> Option<&str> {
        self.row.models.get(&class).map(String::as_str)
    }

    fn price(&self, class: ModelClass) -> Option<Price> {
        self.row.price(self.model(class)?)
    }

    fn is_local(&self) -> bool {
        self.row.local
    }

    fn hears_thoughts(&self, class: ModelClass) -> bool {
        let quirks = self.model(class).map(|model| self.row.quirks(model));
        let wants = |quirk: &Quirk| {
            use Quirk::{SignaturesBack, ThoughtsBack, ThoughtsBackOrNone};
            matches!(quirk, SignaturesBack | ThoughtsBack | ThoughtsBackOrNone)
        };
        match self.row.wire {
            Wire::Anthropic | Wire::Bedrock => true,
            Wire::OpenAi => quirks.is_some_and(|quirks| quirks.iter().any(wants)),
        }
    }

    fn is_held_to_schema(&self, request: &Request) -> bool {
        let Some(model) = self.model(request.class) else {
            return false;
        };
        let (names, quirks) = (Names::of(request), self.row.quirks(model));
        let whom = Whom::of(&self.row, model, &names, &quirks);
        match self.row.wire {
            Wire::OpenAi => wire::openai::is_held_to_schema(request, whom),
            Wire::Anthropic => {
                let can_be = wire::anthropic::can_be_held(whom);
                structured::told(request, can_be).0.is_some()
            }
            Wire::Bedrock => false,
        }
    }

    async fn complete(&self, request: &Request) -> Result<Answer, Fault> {
        let model = self.serving(request.class)?;
        let names = Names::of(request);
        let quirks = self.row.quirks(model);
        let whom = Whom::of(&self.row, model, &names, &quirks);
        match self.row.wire {
            Wire::OpenAi => {
                let body = wire::openai::request(request, whom);
                let answer = self.post("/chat/completions", &body).await?;
                wire::openai::answer(answer, &names)
            }
            Wire::Anthropic => {
                let body = wire::anthropic::request(request, whom);
                let answer = self.post("/messages", &body).await?;
                wire::anthropic::answer(answer, &names)
            }
            Wire::Bedrock => return Err(not_here()),
        }
        .map_err(garbled)
        .map(|answer| cut(answer, request, &quirks))
    }

    async fn stream(&self, request: &Request, heard: Heard<'_>) -> Result<Answer, Fault> {
        let model = self.serving(request.class)?;
        let names = Names::of(request);
        let quirks = self.row.quirks(model);
        if quirks.contains(&Quirk::NoStop) && !request.stop.is_empty() {
            // Nobody shall hear what is cut.
            let answer = self.complete(request).await?;
            heard(&answer.message.text);
            return Ok(answer);
        }
        let whom = Whom::of(&self.row, model, &names, &quirks);
        let asked = match self.row.wire {
            Wire::OpenAi => {
                let mut body = wire::openai::request(request, whom);
                wire::openai::in_pieces(&mut body, &quirks);
                let pieces = Box::<OpenAiPieces>::default();
                self.in_time(self.pieces("/chat/completions", &body, pieces, heard))
                    .await?
            }
            Wire::Anthropic => {
                let mut body = wire::anthropic::request(request, whom);
                if let Some(body) = body.as_object_mut() {
                    body.insert("stream".to_owned(), Value::Bool(true));
                }
                let pieces = Box::<AnthropicPieces>::default();
                self.in_time(self.pieces("/messages", &body, pieces, heard))
                    .await?
            }
            Wire::Bedrock => return Err(not_here()),
        };
        let (body, was_heard) = asked;
        let answer = match self.row.wire {
            Wire::OpenAi => wire::openai::answer(body, &names),
            Wire::Anthropic => wire::anthropic::answer(body, &names),
            Wire::Bedrock => return Err(not_here()),
        };
        let answer = answer.map_err(garbled)?;
        if !was_heard {
            heard(&answer.message.text);
        }
        Ok(answer)
    }

    async fn embed(&self, texts: &[String]) -> Result<Vectors, Fault> {
        let model = self.serving(ModelClass::Embed)?;
        let body = wire::openai::embeddings_request(texts, model, &self.row.quirks(model));
        let answer = self.post("/embeddings", &body).await?;
        wire::openai::embeddings(&answer, texts.len()).map_err(garbled)
    }
}

/// The answer as it would be of somebody who heeds the stop texts.
pub(crate) fn cut(mut answer: Answer, request: &Request, quirks: &Quirks) -> Answer {
    if quirks.contains(&Quirk::NoStop) {
        let text = &mut answer.message.text;
        let stops = request.stop.iter();
        if let Some(end) = stops.filter_map(|stop| text.find(stop.as_str())).min() {
            text.truncate(end);
        }
    }
    answer
}

/// Of a wire that has a provider of its own.
fn not_here() -> Fault {
    Fault::new(Kind::Model, "it is spoken to by its own SDK")
}

/// What a provider says went wrong in the middle of a stream: it has read the request by then.
fn refused(said: &Value) -> Fault {
    let status = ["/error/code", "/error/status", "/error/status_code"]
        .iter()
        .find_map(|place| said.pointer(place)?.as_u64())
        .and_then(|status| u16::try_from(status).ok());
    let fault = wire::refusal(status.unwrap_or(500), said.to_string().as_bytes(), None);
    Fault {
        billed: Billed::Unknown,
        ..fault
    }
}

/// Why the bytes of a stream end.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Cut(Box<dyn std::error::Error + Send + Sync>);

fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<Cut>()
        .is_some_and(|cut| cut.0.is::<LengthLimitError>())
}

fn broken(error: &sse_stream::Error) -> Fault {
    match error {
        sse_stream::Error::Body(cause) if is_too_long(cause.as_ref()) => too_long(),
        sse_stream::Error::Body(cause) => {
            Fault::arrived(Kind::Interrupted, chain_of(cause.as_ref()))
        }
        other => Fault::arrived(Kind::Garbled, chain_of(other)),
    }
}

fn garbled(wrong: Wrong) -> Fault {
    Fault {
        billed: wrong.usage.map_or(Billed::Unknown, Billed::Used),
        ..Fault::new(Kind::Garbled, wrong.what)
    }
}
