//! One client of the WebSocket: what it wants to hear of, and up to which event it has heard
//! everything. What is missing between two events is read from the store.

use super::{End, STOPPING, problem_text};
use crate::api::Api;
use crate::api::auth::{Caller, TokenKey};
use crate::api::hub::{Notice, event_text};
use crate::api::input;
use crate::api::topic::{Said, Topics};
use axum::extract::ws::{Message, WebSocket, close_code};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use mandate_store::EventQuery;
use mandate_types::Problem;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};

/// How often a client is told that the connection lives, and looked at whether it still may.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long one batch of messages may take to be taken; then the client is let go.
const SEND: Duration = Duration::from_secs(30);
/// Events that are read from the store at once.
const PAGE: u32 = 500;
/// Messages that are sent together.
const BATCH: usize = 256;

/// The way to the client.
pub struct Out {
    /// Takes messages.
    pub sink: SplitSink<WebSocket, Message>,
}

impl Out {
    /// Sends messages together; a client that does not take them in time is let go.
    pub async fn send(&mut self, messages: impl IntoIterator<Item = Message>) -> Result<(), End> {
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
pub struct Client {
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
    /// A client that wants to hear of nothing yet.
    pub fn new(api: Api, key: TokenKey, caller: Caller, out: Out) -> Self {
        Self {
            api,
            key,
            caller,
            out,
            at: 0,
            heard: false,
            topics: None,
            live: None,
        }
    }

    /// The way to the client, for the last words.
    pub fn into_out(self) -> Out {
        self.out
    }

    /// Goes on until the client leaves or is let go; `first` is what it said when it signed in.
    pub async fn run(&mut self, first: Option<Said>, stream: &mut SplitStream<WebSocket>) -> End {
        if let Some(first) = first
            && let Err(end) = self.wants_now(first).await
        {
            return end;
        }
        self.listen(stream).await
    }

    async fn listen(&mut self, stream: &mut SplitStream<WebSocket>) -> End {
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

    /// Does what the client says; what it says wrong is told to it, and changes nothing.
    async fn said(&mut self, text: &str) -> Result<(), End> {
        match input::parse::<Said>(text.as_bytes()) {
            Ok(Said { token: Some(_), .. }) => {
                let expected = "no token: this connection has signed in";
                self.refuse(Problem::invalid_field("/token", expected))
                    .await
            }
            Ok(said) => self.wants_now(said).await,
            Err(problem) => self.refuse(problem).await,
        }
    }

    async fn refuse(&mut self, problem: Problem) -> Result<(), End> {
        self.out.send([problem_text(&problem.into())]).await
    }

    async fn wants_now(&mut self, said: Said) -> Result<(), End> {
        let topics = match said.subscribe {
            Some(topics) => Topics::new(topics).map_err(Problem::invalid),
            None => Err(Problem::invalid_field("/subscribe", "a list of topics")),
        };
        match topics {
            Ok(topics) => self.subscribe(topics, said.after).await,
            Err(problem) => self.refuse(problem).await,
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
        let mut messages = vec![Message::text(text)];
        let first = self.api.store().first_event().await?;
        if self.at.saturating_add(1) < first {
            let gone = json!({"type": "forgotten", "from": self.at + 1, "to": first - 1});
            messages.push(Message::text(gone.to_string()));
            self.at = first - 1;
        }
        self.out.send(messages).await?;
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
