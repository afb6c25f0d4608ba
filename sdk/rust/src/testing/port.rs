//! The imports, played by the fake host.

use super::Recorded;
use super::grants::Wanted;
use super::hosts;
use super::state::{Play, State};
use super::streams::Next;
use crate::Timestamp;
use crate::bindings::imports::mandate::llm_stream::llm_stream::Piece;
use crate::bindings::imports::mandate::records::records::{Entry, Page, Query};
use crate::bindings::imports::mandate::telemetry::data::{Edge, LogLine, Series, Span};
use crate::bindings::imports::mandate::telemetry::query::{LogQuery, MetricQuery, SpanQuery};
use crate::error::Error;
use crate::host::{Event, Level};
use crate::http;
use crate::invoke::{Answer, Call, NewTask, Offer, Reasons, ToolCall};
use crate::llm::{Embeddings, ModelClass, Request, Response, Usage};
use std::cell::{RefCell, RefMut};
use std::fmt::Debug;
use std::rc::Rc;

/// One read of the clock, in microseconds.
const TICK: u64 = 1_000;
/// As in the contract.
const MOST_RANDOM: u32 = 65_536;
const DIMENSIONS: usize = 8;

/// The fake host, as a plugin sees it.
#[derive(Clone)]
pub struct Port {
    state: Rc<RefCell<State>>,
}

impl Port {
    pub(super) fn new(state: Rc<RefCell<State>>) -> Self {
        Self { state }
    }

    /// Records a call and looks whether it is granted.
    fn step(
        &self,
        interface: &'static str,
        function: &'static str,
        arguments: impl Debug,
        wanted: Wanted<'_>,
    ) -> Result<RefMut<'_, State>, Error> {
        let state = self.record(interface, function, arguments);
        state.grants.check(wanted)?;
        Ok(state)
    }

    fn record(
        &self,
        interface: &'static str,
        function: &'static str,
        arguments: impl Debug,
    ) -> RefMut<'_, State> {
        let mut state = self.state.borrow_mut();
        state.calls.push(Recorded {
            interface,
            function,
            arguments: format!("{arguments:?}"),
        });
        state
    }

    pub(crate) fn complete(&self, request: &Request) -> Result<Response, Error> {
        self.model("llm", "complete", request)
    }

    fn model(
        &self,
        interface: &'static str,
        function: &'static str,
        request: &Request,
    ) -> Result<Response, Error> {
        let mut state = self.step(interface, function, request, Wanted::Model(request.class))?;
        if let Some(answer) = state.script.pop_front() {
            return answer;
        }
        let Some(model) = state.model.clone() else {
            let reason = "the test scripts no further answer of the model".to_owned();
            return Err(Error::Unavailable {
                reason,
                retry_after: None,
            });
        };
        drop(state);
        (model.borrow_mut())(request)
    }

    pub(crate) fn open(&self, request: &Request) -> Result<u64, Error> {
        self.state.borrow_mut().answers.open(request)
    }

    /// The scripted answer in two pieces, and its end.
    pub(crate) fn pull(&self, answer: u64) -> Result<Piece, Error> {
        let next = self.state.borrow_mut().answers.next(answer)?;
        let request = match next {
            Next::Piece(piece) => {
                drop(self.record("llm-stream", "pull", answer));
                return Ok(piece);
            }
            Next::Ask(request) => request,
        };
        match self.model("llm-stream", "pull", &request) {
            Ok(response) => Ok(self.state.borrow_mut().answers.play(answer, response)),
            Err(error) => {
                self.close(answer);
                Err(error)
            }
        }
    }

    pub(crate) fn close(&self, answer: u64) {
        self.state.borrow_mut().answers.close(answer);
    }

    /// Vectors that are equal for equal texts, and near for texts with the same letters.
    pub(crate) fn embed(&self, texts: &[String]) -> Result<Embeddings, Error> {
        self.step("llm", "embed", texts, Wanted::Model(ModelClass::Embed))?;
        let vector = |text: &String| {
            let mut vector = vec![0.0_f32; DIMENSIONS];
            for byte in text.bytes() {
                if let Some(place) = vector.get_mut(usize::from(byte) % DIMENSIONS) {
                    *place += 1.0;
                }
            }
            vector
        };
        Ok(Embeddings {
            vectors: texts.iter().map(vector).collect(),
            usage: Usage {
                input_tokens: 10,
                cached_tokens: 0,
                output_tokens: 0,
                reasoning_tokens: 0,
            },
            cost: 10,
            provider: "fake".to_owned(),
            model: "fake".to_owned(),
            simulated: true,
        })
    }

    pub(crate) fn offers(&self) -> Result<Vec<Offer>, Error> {
        let state = self.step("invoke", "offers", (), Wanted::Offers)?;
        let granted = |offer: &&Offer| {
            let name = offer.name.as_str();
            let wanted = if offer.is_agent {
                Wanted::Agent(name)
            } else {
                Wanted::Tool(name)
            };
            state.grants.check(wanted).is_ok()
        };
        Ok(state.offers.values().filter(granted).cloned().collect())
    }

    pub(crate) fn invoke(&self, call: &Call) -> Result<Answer, Error> {
        drop(self.record("invoke", "invoke", call));
        self.answer(call)
    }

    pub(crate) fn act(&self, call: &ToolCall, reasons: &Reasons) -> Result<Answer, Error> {
        let mut state = self.record("invoke", "act", (call, reasons));
        state.acts.push((call.clone(), reasons.clone()));
        drop(state);
        self.answer(&Call::Tool(call.clone()))
    }

    pub(crate) fn invoke_many(&self, calls: &[Call]) -> Vec<Result<Answer, Error>> {
        drop(self.record("invoke", "invoke-many", calls));
        calls.iter().map(|call| self.answer(call)).collect()
    }

    fn answer(&self, call: &Call) -> Result<Answer, Error> {
        let (play, input): (Option<Play>, &str) = {
            let state = self.state.borrow();
            match call {
                Call::Tool(tool) => {
                    state.grants.check(Wanted::Tool(&tool.name))?;
                    (state.tools.get(&tool.name).cloned(), &tool.arguments)
                }
                Call::Agent(agent) => {
                    state.grants.check(Wanted::Agent(&agent.name))?;
                    (state.agents.get(&agent.name).cloned(), &agent.input)
                }
            }
        };
        let play =
            play.ok_or_else(|| Error::NotFound(format!("the test plays nothing for {call:?}")))?;
        (play.borrow_mut())(serde_json::from_str(input)?)
    }

    pub(crate) fn submit(&self, task: &NewTask) -> Result<String, Error> {
        let mut state = self.step("invoke", "submit", task, Wanted::Submit(&task.kind))?;
        state.submitted.push(task.clone());
        Ok(format!("child-{}", state.submitted.len()))
    }

    pub(crate) fn create(
        &self,
        collection: &str,
        id: Option<&str>,
        body: &str,
    ) -> Result<Entry, Error> {
        let mut state = self.step(
            "records",
            "create",
            (collection, id, body),
            Wanted::Write(collection),
        )?;
        let now = state.now;
        state.records.create(collection, id, body, now)
    }

    pub(crate) fn get(&self, collection: &str, id: &str) -> Result<Entry, Error> {
        self.step("records", "get", (collection, id), Wanted::Read(collection))?
            .records
            .get(collection, id)
    }

    pub(crate) fn update(
        &self,
        collection: &str,
        id: &str,
        version: u64,
        body: &str,
    ) -> Result<Entry, Error> {
        let wanted = Wanted::Write(collection);
        let mut state = self.step("records", "update", (collection, id, version, body), wanted)?;
        let now = state.now;
        state.records.update(collection, id, version, body, now)
    }

    pub(crate) fn delete(&self, collection: &str, id: &str, version: u64) -> Result<(), Error> {
        let wanted = Wanted::Write(collection);
        let mut state = self.step("records", "delete", (collection, id, version), wanted)?;
        state.records.delete(collection, id, version)
    }

    pub(crate) fn find(&self, query: &Query) -> Result<Page, Error> {
        self.step("records", "find", query, Wanted::Read(&query.collection))?
            .records
            .find(query)
    }

    pub(crate) fn publish(&self, event: &Event) -> Result<(), Error> {
        self.step("events", "publish", event, Wanted::Events)?
            .events
            .push(event.clone());
        Ok(())
    }

    pub(crate) fn ask(&self, question: &str, schema: &str) -> Result<String, Error> {
        let mut state = self.step("human", "ask", (question, schema), Wanted::Human)?;
        let told = state.told.pop_front();
        told.ok_or_else(|| {
            Error::failed("the test has no answer to this question: `FakeHost::told`")
        })
    }

    pub(crate) fn continue_as_new(&self, input: &str) -> Error {
        let mut state = self.record("continuation", "continue-as-new", input);
        state.continued = Some(input.to_owned());
        Error::Interrupted("it goes on in a new execution".to_owned())
    }

    pub(crate) fn send(&self, request: &http::Request) -> Result<http::Response, Error> {
        let state = self.step("http", "send", request, Wanted::Request(request))?;
        for name in hosts::secrets(request)? {
            state.grants.check(Wanted::Secret(name))?;
        }
        let Some(play) = state.others.clone() else {
            return Err(Error::Unavailable {
                reason: "the test plays no other host".to_owned(),
                retry_after: None,
            });
        };
        drop(state);
        (play.borrow_mut())(request)
    }

    pub(crate) fn metrics(&self, wanted: &MetricQuery) -> Result<Vec<Series>, Error> {
        Ok(self
            .step("telemetry", "metrics", wanted, Wanted::Telemetry("read"))?
            .series
            .clone())
    }

    pub(crate) fn logs(&self, wanted: &LogQuery) -> Result<Vec<LogLine>, Error> {
        Ok(self
            .step("telemetry", "logs", wanted, Wanted::Telemetry("read"))?
            .log_lines
            .clone())
    }

    pub(crate) fn spans(&self, wanted: &SpanQuery) -> Result<Vec<Span>, Error> {
        Ok(self
            .step("telemetry", "spans", wanted, Wanted::Telemetry("read"))?
            .spans
            .clone())
    }

    pub(crate) fn topology(&self) -> Result<Vec<Edge>, Error> {
        Ok(self
            .step("telemetry", "topology", (), Wanted::Telemetry("read"))?
            .edges
            .clone())
    }

    pub(crate) fn ingest_metrics(&self, series: &[Series]) -> Result<(), Error> {
        let mut state = self.step(
            "telemetry",
            "ingest-metrics",
            series,
            Wanted::Telemetry("write"),
        )?;
        state.series.extend_from_slice(series);
        Ok(())
    }

    pub(crate) fn ingest_logs(&self, lines: &[LogLine]) -> Result<(), Error> {
        let mut state = self.step(
            "telemetry",
            "ingest-logs",
            lines,
            Wanted::Telemetry("write"),
        )?;
        state.log_lines.extend_from_slice(lines);
        Ok(())
    }

    pub(crate) fn ingest_spans(&self, spans: &[Span]) -> Result<(), Error> {
        let mut state = self.step(
            "telemetry",
            "ingest-spans",
            spans,
            Wanted::Telemetry("write"),
        )?;
        state.spans.extend_from_slice(spans);
        Ok(())
    }

    pub(crate) fn ingest_topology(&self, edges: &[Edge]) -> Result<(), Error> {
        let mut state = self.step(
            "telemetry",
            "ingest-topology",
            edges,
            Wanted::Telemetry("write"),
        )?;
        state.edges = edges.to_vec();
        Ok(())
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        self.state
            .borrow_mut()
            .log
            .push((level, message.to_owned()));
    }

    pub(crate) fn progress(&self, fraction: Option<f64>, message: &str) {
        self.state
            .borrow_mut()
            .progress
            .push((fraction, message.to_owned()));
    }

    pub(crate) fn now(&self) -> Timestamp {
        let mut state = self.state.borrow_mut();
        state.now += TICK;
        state.now
    }

    /// Always the same numbers, each time others.
    pub(crate) fn random(&self, length: u32) -> Vec<u8> {
        let mut state = self.state.borrow_mut();
        let mut byte = || {
            state.random = state
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.random.to_be_bytes()[0]
        };
        (0..length.min(MOST_RANDOM)).map(|_| byte()).collect()
    }

    pub(crate) fn sleep(&self, milliseconds: u64) -> Result<(), Error> {
        let mut state = self.record("sleep", "sleep", milliseconds);
        state.now = state.now.saturating_add(milliseconds.saturating_mul(1_000));
        Ok(())
    }
}
