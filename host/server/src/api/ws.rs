//! `/ws`: events as they happen. A client that comes back with the number of the last event it
//! saw misses nothing and sees nothing twice.

use super::Api;
use super::auth::{Caller, TokenKey, bearer, peer, token_key};
use super::error::{ApiError, ApiResult};
use super::hub::{Notice, event_text};
use super::input;
use super::topic::{Said, Topics};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::response::Response;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use mandate_store::{EventQuery, StoreError};
use mandate_types::Problem;
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};

/// How long a client has to say who it is.
const SIGN_IN: Duration = Duration::from_secs(5);
/// How often a client is told that the connection lives, and looked at whether it still may.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long one batch of messages may take to be taken; then the client is let go.
const SEND: Duration = Duration::from_secs(30);
/// How long the last words of a connection may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// Events that are read from the store at once.
const PAGE: u32 = 500;
/// Messages that are sent together.
const BATCH: usize = 256;
/// The most bytes of a client's message.
const LARGEST: usize = 64 << 10;

/// Opens a WebSocket.
pub async fn connect(
    State(api): State<Api>,
    parts: Parts,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> ApiResult<Response> {
    let upgrade = upgrade.map_err(|rejection| {
        Problem::new(
            426,
            "websocket",
            "This is a WebSocket",
            format!("open it as a WebSocket: {}", rejection.body_text()),
        )
    })?;
    check_origin(&parts.headers, &api.settings.cors_origins)?;
    let peer = peer(&parts);
    // Programs may sign in at once; browsers cannot send the header, and use the first message.
    let signed_in = if parts.headers.contains_key(AUTHORIZATION) {
        let key = token_key(bearer(&parts.headers)?);
        Some((key, api.door.enter(&key, peer).await?))
    } else {
        None
    };
    let Some(place) = api.hub.place() else {
        let most = api.hub.most_clients();
        let detail =
            format!("{most} clients listen, which is all that this host takes (`ws_clients`)");
        return Err(Problem::unavailable(detail).into());
    };
    Ok(upgrade
        .max_message_size(LARGEST)
        .max_frame_size(LARGEST)
        .on_upgrade(move |socket| async move {
            let _place = place;
            serve(api, socket, signed_in, peer).await;
        }))
}

/// Pages of other origins may not use a browser's access to the host.
fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), Problem> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or("?");
    let own = origin.split_once("://").map(|(_, host)| host);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let same = own.is_some() && own == host;
    if same
        || allowed
            .iter()
            .any(|one| one.trim_end_matches('/') == origin)
    {
        return Ok(());
    }
    let origin: String = origin.chars().take(200).collect();
    Err(Problem::forbidden(format!(
        "pages of `{origin}` may not open this; an operator can name the origin in `cors_origins`"
    )))
}

/// Why a connection ends.
enum End {
    /// The client is gone, or does not take what it is sent.
    Gone,
    /// The host ends it, for this reason.
    Closed(u16, &'static str),
}

const STOPPING: End = End::Closed(
    close_code::AWAY,
    "the host is stopping; come back with `after`",
);

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "events cannot be read for a client");
        Self::Closed(close_code::AGAIN, "the database does not answer; try again")
    }
}

async fn serve(
    api: Api,
    socket: WebSocket,
    signed_in: Option<(TokenKey, Caller)>,
    peer: Option<IpAddr>,
) {
    let (sink, mut stream) = socket.split();
    let mut out = Out { sink };
    let end = match sign_in(&api, &mut stream, &mut out, signed_in, peer).await {
        Ok((key, caller)) => {
            let mut client = Client {
                api,
                key,
                caller,
                out,
                at: 0,
                heard: false,
                topics: None,
                live: None,
            };
            let end = client.run(&mut stream).await;
            out = client.out;
            end
        }
        Err(end) => end,
    };
    // It ends either way: what cannot be sent any more does not matter.
    if let End::Closed(code, reason) = end {
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        };
        let _ = out.send([Message::Close(Some(frame))]).await;
    }
    // Also answers the client's own farewell.
    let _ = tokio::time::timeout(FAREWELL, out.sink.close()).await;
}

async fn sign_in(
    api: &Api,
    stream: &mut SplitStream<WebSocket>,
    out: &mut Out,
    signed_in: Option<(TokenKey, Caller)>,
    peer: Option<IpAddr>,
) -> Result<(TokenKey, Caller), End> {
    if let Some(known) = signed_in {
        return Ok(known);
    }
    const WANTED: &str = "say who you are first: {\"token\": \"…\"}";
    let first = async {
        loop {
            match stream.next().await {
                Some(Ok(Message::Text(text))) => return Some(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    };
    let first = match tokio::time::timeout(SIGN_IN, first).await {
        Ok(Some(text)) => text,
        Ok(None) => return Err(End::Gone),
        Err(_) => return Err(End::Closed(close_code::POLICY, WANTED)),
    };
    let said = input::parse::<Said>(first.as_str().as_bytes()).ok();
    let Some(token) = said.and_then(|said| said.token) else {
        return Err(End::Closed(close_code::POLICY, WANTED));
    };
    let key = token_key(&token);
    match api.door.enter(&key, peer).await {
        Ok(caller) => {
            let text = json!({"type": "signed_in", "name": caller.name, "role": caller.role});
            out.send([Message::text(text.to_string())]).await?;
            Ok((key, caller))
        }
        Err(error) => {
            out.send([problem_text(&error)]).await?;
            Err(End::Closed(
                close_code::POLICY,
                "the token is not one of this host",
            ))
        }
    }
}

fn problem_text(error: &ApiError) -> Message {
    Message::text(json!({"type": "error", "problem": error.problem}).to_string())
}

/// The way to the client.
struct Out {
    sink: SplitSink<WebSocket, Message>,
}

impl Out {
    /// Sends messages together; a client that does not take them in time is let go.
    async fn send(&mut self, messages: impl IntoIterator<Item = Message>) -> Result<(), End> {
        let sending = async {
            for message in messages {
                self.sink.feed(message).await?;
            }
            self.sink.flush().await
        };
        match tokio::time::timeout(SEND, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

type Live = broadcast::Receiver<Arc<Notice>>;

/// One client that has signed in.
struct Client {
    api: Api,
    key: TokenKey,
    caller: Caller,
    out: Out,
    /// The number up to which it has heard everything that it wants to hear.
    at: u64,
    /// Whether `at` means anything yet.
    heard: bool,
    topics: Option<Topics>,
    live: Option<Live>,
}

async fn next_of(live: &mut Option<Live>) -> Result<Arc<Notice>, RecvError> {
    match live {
        Some(live) => live.recv().await,
        None => std::future::pending().await,
    }
}

impl Client {
    async fn run(&mut self, stream: &mut SplitStream<WebSocket>) -> End {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut beaten = Instant::now();
        loop {
            let step = tokio::select! {
                message = stream.next() => match message {
                    Some(Ok(Message::Text(text))) => self.said(text.as_str()).await,
                    Some(Ok(Message::Binary(_))) => {
                        Err(End::Closed(close_code::UNSUPPORTED, "expected text messages of JSON"))
                    }
                    // Pings are answered by the library.
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
                },
                notice = next_of(&mut self.live) => self.heard_of(notice).await,
                _ = second.tick() => {
                    if self.api.tasks.is_draining() {
                        Err(STOPPING)
                    } else if beaten.elapsed() >= HEARTBEAT {
                        beaten = Instant::now();
                        self.heartbeat().await
                    } else {
                        Ok(())
                    }
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn heartbeat(&mut self) -> Result<(), End> {
        match self.api.door.principal(&self.key, None).await {
            Ok(Some(caller)) => self.caller = caller,
            Ok(None) => {
                return Err(End::Closed(
                    close_code::POLICY,
                    "the token has ended or was removed",
                ));
            }
            // The database is away; what was true a moment ago still holds.
            Err(_) => {}
        }
        let text = json!({"type": "heartbeat", "seq": self.at}).to_string();
        self.out
            .send([Message::Ping(Default::default()), Message::text(text)])
            .await
    }

    async fn said(&mut self, text: &str) -> Result<(), End> {
        let said = input::parse::<Said>(text.as_bytes()).and_then(|said| match said {
            Said { token: Some(_), .. } => Err(Problem::invalid_field(
                "/token",
                "no token: this connection has signed in",
            )),
            Said {
                subscribe: None, ..
            } => Err(Problem::invalid_field("/subscribe", "a list of topics")),
            Said {
                subscribe: Some(topics),
                after,
                token: None,
            } => Topics::new(topics)
                .map(|topics| (topics, after))
                .map_err(Problem::invalid),
        });
        match said {
            Ok((topics, after)) => self.subscribe(topics, after).await,
            Err(problem) => self.out.send([problem_text(&problem.into())]).await,
        }
    }

    async fn subscribe(&mut self, topics: Topics, after: Option<u64>) -> Result<(), End> {
        // Listening begins before the look at the number, so that nothing falls between.
        if self.live.is_none() {
            self.live = Some(self.api.hub.listen());
        }
        let last = self.api.store().last_event().await?;
        self.at = match after {
            // A number that is still to come would hide events.
            Some(after) => after.min(last),
            None if self.heard => self.at,
            None => last,
        };
        self.heard = true;
        self.topics = Some(topics);
        let text = json!({"type": "subscribed", "after": self.at}).to_string();
        self.out.send([Message::text(text)]).await?;
        self.catch_up(last).await
    }

    /// Sends what is wanted up to the event `to`, from the store.
    async fn catch_up(&mut self, to: u64) -> Result<(), End> {
        while self.at < to {
            let query = EventQuery {
                after: self.at,
                tenants: self.caller.tenants(),
                limit: PAGE,
                ..EventQuery::default()
            };
            let page = self.api.store().events(&query).await?;
            let full = page.len() >= PAGE as usize;
            let last = page.last().map_or(self.at, |event| event.seq);
            let wanted: Vec<Message> = page
                .iter()
                .filter(|event| self.wants(event))
                .map(|event| Message::Text(event_text(event)))
                .collect();
            self.out.send(wanted).await?;
            // All numbers up to `to` were given out before we read: what the page leaves out
            // belongs to other tenants.
            self.at = if full { last } else { last.max(to) };
        }
        Ok(())
    }

    fn wants(&self, event: &mandate_store::Event) -> bool {
        self.caller.sees(&event.tenant)
            && self
                .topics
                .as_ref()
                .is_some_and(|topics| topics.matches(event))
    }

    async fn heard_of(&mut self, first: Result<Arc<Notice>, RecvError>) -> Result<(), End> {
        let (mut next, mut batch) = (first, Vec::new());
        // Whatever is there already is sent with it, in one go; bounded, so that a client that
        // wants none of it does not hold the worker.
        let mut left = BATCH;
        loop {
            self.take(next, &mut batch).await?;
            left -= 1;
            if left == 0 {
                break;
            }
            next = match self.live.as_mut().map(Live::try_recv) {
                Some(Ok(notice)) => Ok(notice),
                Some(Err(TryRecvError::Lagged(missed))) => Err(RecvError::Lagged(missed)),
                Some(Err(TryRecvError::Empty | TryRecvError::Closed)) | None => break,
            };
        }
        if batch.is_empty() {
            Ok(())
        } else {
            self.out.send(batch).await
        }
    }

    /// Puts a notice into the batch if it is wanted. Where some are missing before it, all up
    /// to it are sent from the store instead.
    async fn take(
        &mut self,
        notice: Result<Arc<Notice>, RecvError>,
        batch: &mut Vec<Message>,
    ) -> Result<(), End> {
        let to = match notice {
            Ok(notice) => match &*notice {
                Notice::Event { event, .. } if event.seq <= self.at => return Ok(()),
                Notice::Event { event, .. } if event.seq > self.at.saturating_add(1) => event.seq,
                Notice::Event { event, text } => {
                    self.at = event.seq;
                    if self.wants(event) {
                        batch.push(Message::Text(text.clone()));
                    }
                    return Ok(());
                }
                Notice::Snapshot { whole, bound } => {
                    if self.topics.as_ref().is_some_and(Topics::wants_snapshots) {
                        let text = if self.caller.sees_all() { whole } else { bound };
                        batch.push(Message::Text(text.clone()));
                    }
                    return Ok(());
                }
            },
            Err(RecvError::Lagged(_)) => {
                let to = self.api.store().last_event().await?;
                let from = self.at.saturating_add(1);
                let text = json!({"type": "lagged", "from": from, "to": to}).to_string();
                batch.push(Message::text(text));
                to
            }
            Err(RecvError::Closed) => return Err(STOPPING),
        };
        self.out.send(std::mem::take(batch)).await?;
        self.catch_up(to).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost:7300"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        headers
    }

    #[test]
    fn only_known_origins_may_connect() {
        let allowed = vec!["https://console.example.org/".to_owned()];
        assert!(check_origin(&headers(None), &[]).is_ok());
        assert!(check_origin(&headers(Some("http://localhost:7300")), &[]).is_ok());
        assert!(check_origin(&headers(Some("https://console.example.org")), &allowed).is_ok());
        for bad in [
            "http://localhost:7301",
            "https://evil.example",
            "null",
            "localhost:7300",
        ] {
            assert_eq!(
                check_origin(&headers(Some(bad)), &allowed)
                    .unwrap_err()
                    .status,
                403,
                "{bad}"
            );
        }
    }
}
