//! The imports of the component.

use crate::Timestamp;
use crate::bindings::imports::mandate;
use crate::error::Error;
use mandate::continuation::continuation;
use mandate::events::events::{self, Event};
use mandate::http::http;
use mandate::human::human;
use mandate::invoke::invoke::{self, Answer, Call, NewTask, Offer, Reasons, ToolCall};
use mandate::llm::llm::{self, Embeddings, Request, Response};
use mandate::llm_stream::llm_stream::{self, Piece};
use mandate::records::records::{self, Entry, Page, Query};
use mandate::system::{clock, log, progress, random, sleep};
use mandate::telemetry::data::{Edge, LogLine, Series, Span};
use mandate::telemetry::query::{LogQuery, MetricQuery, SpanQuery};
use mandate::telemetry::{ingest, query};

/// The host around this component.
#[derive(Clone, Copy)]
pub struct Port;

impl Port {
    pub fn complete(&self, request: &Request) -> Result<Response, Error> {
        Ok(llm::complete(request)?)
    }

    pub fn open(&self, request: &Request) -> Result<u64, Error> {
        Ok(llm_stream::open(request)?)
    }

    pub fn pull(&self, answer: u64) -> Result<Piece, Error> {
        Ok(llm_stream::pull(answer)?)
    }

    pub fn close(&self, answer: u64) {
        llm_stream::close(answer);
    }

    pub fn embed(&self, texts: &[String]) -> Result<Embeddings, Error> {
        Ok(llm::embed(texts)?)
    }

    pub fn offers(&self) -> Result<Vec<Offer>, Error> {
        Ok(invoke::offers()?)
    }

    pub fn invoke(&self, call: &Call) -> Result<Answer, Error> {
        Ok(invoke::invoke(call)?)
    }

    pub fn act(&self, call: &ToolCall, reasons: &Reasons) -> Result<Answer, Error> {
        Ok(invoke::act(call, reasons)?)
    }

    pub fn invoke_many(&self, calls: &[Call]) -> Vec<Result<Answer, Error>> {
        invoke::invoke_many(calls)
            .into_iter()
            .map(|answer| answer.map_err(Error::from))
            .collect()
    }

    pub fn submit(&self, task: &NewTask) -> Result<String, Error> {
        Ok(invoke::submit(task)?)
    }

    pub fn create(&self, collection: &str, id: Option<&str>, body: &str) -> Result<Entry, Error> {
        Ok(records::create(collection, id, body)?)
    }

    pub fn get(&self, collection: &str, id: &str) -> Result<Entry, Error> {
        Ok(records::get(collection, id)?)
    }

    pub fn update(
        &self,
        collection: &str,
        id: &str,
        version: u64,
        body: &str,
    ) -> Result<Entry, Error> {
        Ok(records::update(collection, id, version, body)?)
    }

    pub fn delete(&self, collection: &str, id: &str, version: u64) -> Result<(), Error> {
        Ok(records::delete(collection, id, version)?)
    }

    pub fn find(&self, query: &Query) -> Result<Page, Error> {
        Ok(records::find(query)?)
    }

    pub fn publish(&self, event: &Event) -> Result<(), Error> {
        Ok(events::publish(event)?)
    }

    pub fn ask(&self, question: &str, schema: &str) -> Result<String, Error> {
        Ok(human::ask(question, schema)?)
    }

    pub fn continue_as_new(&self, input: &str) -> Error {
        match continuation::continue_as_new(input) {
            Err(error) => error.into(),
            Ok(()) => Error::failed("the host let an execution go on that it had ended"),
        }
    }

    pub fn send(&self, request: &http::Request) -> Result<http::Response, Error> {
        Ok(http::send(request)?)
    }

    pub fn metrics(&self, wanted: &MetricQuery) -> Result<Vec<Series>, Error> {
        Ok(query::metrics(wanted)?)
    }

    pub fn logs(&self, wanted: &LogQuery) -> Result<Vec<LogLine>, Error> {
        Ok(query::logs(wanted)?)
    }

    pub fn spans(&self, wanted: &SpanQuery) -> Result<Vec<Span>, Error> {
        Ok(query::spans(wanted)?)
    }

    pub fn topology(&self) -> Result<Vec<Edge>, Error> {
        Ok(query::topology()?)
    }

    pub fn ingest_metrics(&self, series: &[Series]) -> Result<(), Error> {
        Ok(ingest::metrics(series)?)
    }

    pub fn ingest_logs(&self, lines: &[LogLine]) -> Result<(), Error> {
        Ok(ingest::logs(lines)?)
    }

    pub fn ingest_spans(&self, spans: &[Span]) -> Result<(), Error> {
        Ok(ingest::spans(spans)?)
    }

    pub fn ingest_topology(&self, edges: &[Edge]) -> Result<(), Error> {
        Ok(ingest::topology(edges)?)
    }

    pub fn log(&self, level: log::Level, message: &str) {
        log::log(level, message);
    }

    pub fn progress(&self, fraction: Option<f64>, message: &str) {
        progress::report(fraction, message);
    }

    pub fn now(&self) -> Timestamp {
        clock::now()
    }

    pub fn random(&self, length: u32) -> Vec<u8> {
        random::bytes(length)
    }

    pub fn sleep(&self, milliseconds: u64) -> Result<(), Error> {
        Ok(sleep::sleep(milliseconds)?)
    }
}
