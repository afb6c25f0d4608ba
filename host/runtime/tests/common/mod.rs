//! A host implementation for tests, and how they call guests with it.

#![allow(dead_code)] // each test binary uses a part

pub mod guests;

use mandate_runtime::bindings::agent_export::{Report, Task};
use mandate_runtime::bindings::types::types::{self, Error};
use mandate_runtime::bindings::{
    continuation, events, http, human, invoke, llm, llm_stream, records, system, telemetry,
};
use mandate_runtime::{Ambient, Component, End, Ended, Runtime, Settings, Stop, Stream};
use mandate_types::{Digest, GuestKind, LimitHit, LimitName, Limits};
use std::time::Duration;
use wasmtime::Result;

/// What the fake host does when a guest sleeps.
#[derive(Default, Debug, Clone, Copy, PartialEq)]
pub enum OnSleep {
    #[default]
    Answer,
    Never,
    Panic,
}

/// Remembers what guests told it.
#[derive(Default, Debug)]
pub struct Fake {
    pub log: Vec<String>,
    pub output: Vec<(Stream, String)>,
    pub on_sleep: OnSleep,
    pub most_lines: Option<usize>,
    pub asleep: Option<tokio::sync::mpsc::UnboundedSender<()>>,
    pub now: u64,
}

impl Ambient for Fake {
    fn wasi_now(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
    fn wasi_random(&mut self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
    fn wasi_output(&mut self, stream: Stream, line: &str) -> std::result::Result<(), End> {
        self.output.push((stream, line.to_owned()));
        Ok(())
    }
}

fn unused<T>() -> Result<T> {
    Err(wasmtime::Error::msg("no test guest calls this"))
}

impl system::log::Host for Fake {
    async fn log(&mut self, _: system::log::Level, message: String) -> Result<()> {
        if self.most_lines.is_some_and(|most| self.log.len() >= most) {
            return Err(End::Limit(LimitHit {
                limit: LimitName::LogBytes,
                value: 5,
            })
            .into());
        }
        self.log.push(message);
        Ok(())
    }
}

impl system::sleep::Host for Fake {
    async fn sleep(&mut self, _: u64) -> Result<std::result::Result<(), Error>> {
        if let Some(asleep) = &self.asleep {
            asleep.send(())?;
        }
        match self.on_sleep {
            OnSleep::Answer => Ok(Ok(())),
            OnSleep::Never => std::future::pending().await,
            OnSleep::Panic => panic!("a fault of the host"),
        }
    }
}

impl system::progress::Host for Fake {
    async fn report(&mut self, _: Option<f64>, _: String) -> Result<()> {
        unused()
    }
}
impl system::clock::Host for Fake {
    async fn now(&mut self) -> Result<u64> {
        unused()
    }
}
impl system::random::Host for Fake {
    async fn bytes(&mut self, _: u32) -> Result<Vec<u8>> {
        unused()
    }
}
impl types::Host for Fake {}
impl telemetry::data::Host for Fake {}

type Answer<T> = Result<std::result::Result<T, Error>>;

impl invoke::invoke::Host for Fake {
    async fn offers(&mut self) -> Answer<Vec<invoke::invoke::Offer>> {
        unused()
    }
    async fn invoke(&mut self, _: invoke::invoke::Call) -> Answer<invoke::invoke::Answer> {
        unused()
    }
    async fn act(
        &mut self,
        _: invoke::invoke::ToolCall,
        _: invoke::invoke::Reasons,
    ) -> Answer<invoke::invoke::Answer> {
        unused()
    }
    async fn invoke_many(
        &mut self,
        _: Vec<invoke::invoke::Call>,
    ) -> Result<Vec<std::result::Result<invoke::invoke::Answer, Error>>> {
        unused()
    }
    async fn submit(&mut self, _: invoke::invoke::NewTask) -> Answer<String> {
        unused()
    }
}
impl llm::llm::Host for Fake {
    async fn complete(&mut self, _: llm::llm::Request) -> Answer<llm::llm::Response> {
        unused()
    }
    async fn embed(&mut self, _: Vec<String>) -> Answer<llm::llm::Embeddings> {
        unused()
    }
}
impl llm_stream::llm_stream::Host for Fake {
    async fn open(&mut self, _: llm::llm::Request) -> Answer<u64> {
        unused()
    }
    async fn pull(&mut self, _: u64) -> Answer<llm_stream::llm_stream::Piece> {
        unused()
    }
    async fn close(&mut self, _: u64) -> Result<()> {
        unused()
    }
}
impl records::records::Host for Fake {
    async fn create(
        &mut self,
        _: String,
        _: Option<String>,
        _: String,
    ) -> Answer<records::records::Entry> {
        unused()
    }
    async fn get(&mut self, _: String, _: String) -> Answer<records::records::Entry> {
        unused()
    }
    async fn update(
        &mut self,
        _: String,
        _: String,
        _: u64,
        _: String,
    ) -> Answer<records::records::Entry> {
        unused()
    }
    async fn delete(&mut self, _: String, _: String, _: u64) -> Answer<()> {
        unused()
    }
    async fn find(&mut self, _: records::records::Query) -> Answer<records::records::Page> {
        unused()
    }
}
impl events::events::Host for Fake {
    async fn publish(&mut self, _: events::events::Event) -> Answer<()> {
        unused()
    }
}
impl human::human::Host for Fake {
    async fn ask(&mut self, _: String, _: String) -> Answer<String> {
        unused()
    }
}
impl continuation::continuation::Host for Fake {
    async fn continue_as_new(&mut self, _: String) -> Answer<()> {
        unused()
    }
}
impl http::http::Host for Fake {
    async fn send(&mut self, _: http::http::Request) -> Answer<http::http::Response> {
        unused()
    }
}
impl telemetry::query::Host for Fake {
    async fn metrics(
        &mut self,
        _: telemetry::query::MetricQuery,
    ) -> Answer<Vec<telemetry::data::Series>> {
        unused()
    }
    async fn logs(
        &mut self,
        _: telemetry::query::LogQuery,
    ) -> Answer<Vec<telemetry::data::LogLine>> {
        unused()
    }
    async fn spans(
        &mut self,
        _: telemetry::query::SpanQuery,
    ) -> Answer<Vec<telemetry::data::Span>> {
        unused()
    }
    async fn topology(&mut self) -> Answer<Vec<telemetry::data::Edge>> {
        unused()
    }
}
impl telemetry::ingest::Host for Fake {
    async fn metrics(&mut self, _: Vec<telemetry::data::Series>) -> Answer<()> {
        unused()
    }
    async fn logs(&mut self, _: Vec<telemetry::data::LogLine>) -> Answer<()> {
        unused()
    }
    async fn spans(&mut self, _: Vec<telemetry::data::Span>) -> Answer<()> {
        unused()
    }
    async fn topology(&mut self, _: Vec<telemetry::data::Edge>) -> Answer<()> {
        unused()
    }
}

/// A small runtime that compiles in process, without a cache.
pub fn settings() -> Settings {
    Settings {
        max_instances: 16,
        tick: Duration::from_millis(5),
        ..Settings::default()
    }
}

/// A runtime with these settings.
pub fn runtime(settings: Settings) -> Runtime<Fake> {
    Runtime::new(settings).unwrap()
}

/// Compiles the agent whose core code is `body`.
pub async fn compiled(runtime: &Runtime<Fake>, body: &str) -> Component<Fake> {
    let wasm = guests::agent(body);
    runtime
        .compile(&Digest::of(&wasm), GuestKind::Agent, &wasm)
        .await
        .unwrap()
}

/// A task with the input `input`.
pub fn task(input: &str) -> Task {
    Task {
        id: "task-1".into(),
        kind: "test".into(),
        title: "a test".into(),
        description: String::new(),
        target: None,
        priority: 5,
        input: input.into(),
        session: None,
        subject: None,
        tenant: "default".into(),
        attempt: 1,
        settings: "{}".into(),
    }
}

/// Limits under which a hostile guest is found out quickly.
pub fn limits() -> Limits {
    Limits {
        time_ms: 10_000,
        memory_bytes: 8 << 20,
        ..Limits::default()
    }
}

/// Runs the agent whose core code is `body` under `limits`.
pub async fn run(body: &str, limits: &Limits) -> Ended<Fake, std::result::Result<Report, Error>> {
    let runtime = runtime(settings());
    let component = compiled(&runtime, body).await;
    runtime
        .run_agent(&component, Fake::default(), limits, Stop::new(), task("{}"))
        .await
}

/// The limit that ended the guest.
pub fn hit<T: std::fmt::Debug>(outcome: &std::result::Result<T, End>) -> (LimitName, u64) {
    match outcome {
        Err(End::Limit(hit)) => (hit.limit, hit.value),
        other => panic!("not ended by a limit: {other:?}"),
    }
}
