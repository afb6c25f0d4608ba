//! A host for `cargo test`: answers from scripts and memory, refuses what is not granted, records every call.
//!
//! It plays what a plugin can get wrong: grants, collections, indexed fields, versions, conflicts. It does not
//! play limits, budgets, schemas or other plugins' code; for those, run the plugin on a real host.

mod answers;
mod grants;
mod hosts;
mod port;
mod records;
mod state;
mod streams;
mod times;

pub use answers::{http_answer, model_calls, model_text};
pub use port::Port;

use crate::agent::{Agent, Report, Task};
use crate::bindings::imports::mandate::telemetry::data::{Edge, LogLine, Series, Span};
use crate::error::Error;
use crate::host::{Event, Host, Level, Timestamp};
use crate::http;
use crate::invoke::{Answer, NewTask, Offer, Reasons};
use crate::llm::{Request, Response};
use crate::tool::{Context, Estimate, Estimates, Settings, Tool};
use grants::Grants;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use state::State;
use std::cell::RefCell;
use std::rc::Rc;

/// A call that crossed the boundary, in the order in which they did.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The capability's interface: `llm`, `llm-stream`, `invoke`, `records`, `events`, `human`,
    /// `continuation`, `telemetry`, `http`, `sleep`.
    pub interface: &'static str,
    /// The function, as in the contract: `invoke-many`.
    pub function: &'static str,
    /// The arguments, as text for `contains`.
    pub arguments: String,
}

/// A host that lives in memory. Clones are the same host.
#[derive(Clone)]
pub struct FakeHost {
    state: Rc<RefCell<State>>,
}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeHost {
    /// Grants everything; every collection exists, all its fields are indexed.
    pub fn new() -> Self {
        Self::with(State::new(Grants::everything()))
    }

    /// Grants nothing: every capability answers [`Error::Denied`].
    pub fn denying() -> Self {
        Self::with(State::new(Grants::nothing()))
    }

    /// Grants what the plugin's manifest asks for and no more; has the collections that it declares.
    ///
    /// # Panics
    /// If the text is not a manifest: a test cannot go on without.
    pub fn for_plugin(manifest: &str) -> Self {
        match State::from_manifest(manifest) {
            Ok(state) => Self::with(state),
            Err(problem) => panic!("plugin.toml: {problem}"),
        }
    }

    fn with(state: State) -> Self {
        Self {
            state: Rc::new(RefCell::new(state)),
        }
    }

    /// What a plugin is given.
    pub fn host(&self) -> Host {
        Host {
            port: Port::new(self.state.clone()),
        }
    }

    /// Runs an agent.
    ///
    /// # Errors
    /// What the agent says.
    pub fn run<A: Agent>(&self, task: Task<A::Input>) -> Result<Report<A::Output>, Error> {
        A::run(task, &self.host())
    }

    /// Runs an agent as the host does: input and output are JSON.
    ///
    /// # Errors
    /// What the agent says; [`Error::Invalid`] for input that does not fit.
    pub fn run_json<A: Agent>(&self, input: &Value) -> Result<Value, Error> {
        let report = self.run::<A>(Task::new(crate::from_json("input", &input.to_string())?))?;
        Ok(serde_json::to_value(report.output)?)
    }

    /// Calls a tool, for the tenant `default` and no task.
    ///
    /// # Errors
    /// What the tool says.
    pub fn call<T: Tool>(&self, arguments: T::Arguments) -> Result<T::Result, Error> {
        T::call(arguments, &Context::default(), &self.host())
    }

    /// Calls a tool as the host does: arguments and result are JSON.
    ///
    /// # Errors
    /// What the tool says; [`Error::Invalid`] for arguments that do not fit.
    pub fn call_json<T: Tool>(&self, arguments: &Value) -> Result<Value, Error> {
        Ok(serde_json::to_value(self.call::<T>(crate::from_json(
            "arguments",
            &arguments.to_string(),
        )?)?)?)
    }

    /// What a tool estimates that a call costs, without settings.
    ///
    /// # Errors
    /// What the tool says.
    pub fn estimate<T: Estimates>(&self, arguments: T::Arguments) -> Result<Estimate, Error> {
        T::estimate(arguments, Settings::default())
    }

    /// Plays a tool, named `plugin.tool`, and offers it.
    pub fn tool(&self, name: &str, play: impl FnMut(Value) -> Result<Value, Error> + 'static) {
        self.offer(Offer {
            name: name.to_owned(),
            is_agent: false,
            summary: name.to_owned(),
            arguments: r#"{"type":"object"}"#.to_owned(),
        });
        let mut play = play;
        let play = move |input| {
            Ok(Answer {
                output: play(input)?.to_string(),
                summary: String::new(),
            })
        };
        self.state
            .borrow_mut()
            .tools
            .insert(name.to_owned(), Rc::new(RefCell::new(play)));
    }

    /// Plays a tool with the code of a tool of this workspace, under the name `plugin.tool`.
    pub fn tool_of<T: Tool>(&self, plugin: &str) {
        let name = format!("{plugin}.{}", T::NAME);
        let host = Self::denying();
        self.tool(&name, move |arguments| host.call_json::<T>(&arguments));
        let description = crate::tool::describe::<T>();
        self.offer(Offer {
            name,
            is_agent: false,
            summary: description.summary,
            arguments: description.arguments,
        });
    }

    /// Plays an agent, by its installed name, and offers it; it answers output and summary.
    pub fn agent(
        &self,
        name: &str,
        play: impl FnMut(Value) -> Result<(Value, String), Error> + 'static,
    ) {
        self.offer(Offer {
            name: name.to_owned(),
            is_agent: true,
            summary: name.to_owned(),
            arguments: r#"{"type":"object"}"#.to_owned(),
        });
        let mut play = play;
        let play = move |input| {
            play(input).map(|(output, summary)| Answer {
                output: output.to_string(),
                summary,
            })
        };
        self.state
            .borrow_mut()
            .agents
            .insert(name.to_owned(), Rc::new(RefCell::new(play)));
    }

    /// Offers a tool or agent, in place of an offer of the same name.
    pub fn offer(&self, offer: Offer) {
        self.state
            .borrow_mut()
            .offers
            .insert(offer.name.clone(), offer);
    }

    /// Plays the model where no answer is scripted.
    pub fn model(&self, play: impl FnMut(&Request) -> Result<Response, Error> + 'static) {
        self.state.borrow_mut().model = Some(Rc::new(RefCell::new(play)));
    }

    /// Scripts the model's next answer: a text.
    pub fn model_says(&self, text: impl Into<String>) {
        self.model_answers(Ok(model_text(text)));
    }

    /// Scripts the model's next answer: a value as JSON.
    ///
    /// # Panics
    /// If the value has no JSON form.
    pub fn model_says_json(&self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.model_says(text),
            Err(problem) => panic!("the scripted answer has no JSON form: {problem}"),
        }
    }

    /// Scripts the model's next answer: calls of tools or agents, named as they are offered.
    pub fn model_calls(&self, calls: &[(&str, Value)]) {
        self.model_answers(Ok(model_calls(calls)));
    }

    /// Scripts the model's next answer.
    pub fn model_answers(&self, answer: Result<Response, Error>) {
        self.state.borrow_mut().script.push_back(answer);
    }

    /// Makes every question to a model fail so, scripted answers and all.
    pub fn model_is_down(&self, error: Error) {
        self.state.borrow_mut().script.clear();
        self.model(move |_| Err(error.clone()));
    }

    /// Plays every other host: answers what is sent. Secrets are not put in, as plugins never see them.
    pub fn http(
        &self,
        play: impl FnMut(&http::Request) -> Result<http::Response, Error> + 'static,
    ) {
        self.state.borrow_mut().others = Some(Rc::new(RefCell::new(play)));
    }

    /// Has a collection that another plugin declares; all its fields are indexed.
    pub fn collection(&self, name: &str, id_pattern: &str) {
        self.state.borrow_mut().records.declare(name, id_pattern);
    }

    /// Puts a record into a collection, past all grants, and returns its id.
    ///
    /// # Panics
    /// If the id is taken or the body has no JSON form.
    pub fn put(&self, collection: &str, id: Option<&str>, body: &impl Serialize) -> String {
        let state = &mut *self.state.borrow_mut();
        let now = state.now;
        let created = serde_json::to_string(body)
            .map_err(Error::from)
            .and_then(|body| state.records.create(collection, id, &body, now));
        match created {
            Ok(entry) => entry.id,
            Err(problem) => panic!("{collection}: {problem}"),
        }
    }

    /// The records of a collection, oldest first, past all grants: id and body.
    ///
    /// # Panics
    /// If a body is not a `T`.
    pub fn records<T: DeserializeOwned>(&self, collection: &str) -> Vec<(String, T)> {
        let entries = self.state.borrow().records.entries(collection);
        let typed = entries
            .into_iter()
            .map(|entry| match serde_json::from_str(&entry.body) {
                Ok(body) => (entry.id, body),
                Err(problem) => panic!("{collection}/{}: {problem}", entry.id),
            });
        typed.collect()
    }

    /// What queries of telemetry answer; ranges and filters are not played.
    pub fn telemetry(
        &self,
        series: Vec<Series>,
        logs: Vec<LogLine>,
        spans: Vec<Span>,
        edges: Vec<Edge>,
    ) {
        let state = &mut *self.state.borrow_mut();
        state.series = series;
        state.log_lines = logs;
        state.spans = spans;
        state.edges = edges;
    }

    /// The time now, in microseconds; each read adds a millisecond, as does nothing else but sleep.
    pub fn set_time(&self, now: Timestamp) {
        self.state.borrow_mut().now = now;
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Recorded> {
        self.state.borrow().calls.clone()
    }

    /// The calls so far of one interface.
    pub fn calls_of(&self, interface: &str) -> Vec<Recorded> {
        self.calls()
            .into_iter()
            .filter(|call| call.interface == interface)
            .collect()
    }

    /// The log so far.
    pub fn log(&self) -> Vec<(Level, String)> {
        self.state.borrow().log.clone()
    }

    /// The progress reported so far.
    pub fn progress(&self) -> Vec<(Option<f64>, String)> {
        self.state.borrow().progress.clone()
    }

    /// What people answer next to a question.
    #[must_use]
    pub fn told(self, answer: &impl Serialize) -> Self {
        let answer = serde_json::to_string(answer).unwrap_or_default();
        self.state.borrow_mut().told.push_back(answer);
        self
    }

    /// What the agent wants its next execution to begin with, if it asked for one.
    ///
    /// # Panics
    /// If that is not a `T`.
    pub fn continued<T: DeserializeOwned>(&self) -> Option<T> {
        let input = self.state.borrow().continued.clone()?;
        match serde_json::from_str(&input) {
            Ok(input) => Some(input),
            Err(problem) => panic!("the input of the next execution: {problem}"),
        }
    }

    /// The events published so far.
    pub fn events(&self) -> Vec<Event> {
        self.state.borrow().events.clone()
    }

    /// The effects asked for so far with reasons: tool, arguments, reasons. To play a denial, the
    /// played tool answers [`Error::Denied`].
    pub fn acts(&self) -> Vec<(String, Value, Reasons)> {
        let state = self.state.borrow();
        let acts = state.acts.iter().map(|(call, reasons)| {
            let arguments = serde_json::from_str(&call.arguments).unwrap_or_default();
            (call.name.clone(), arguments, reasons.clone())
        });
        acts.collect()
    }

    /// The tasks submitted so far.
    pub fn submitted(&self) -> Vec<NewTask> {
        self.state.borrow().submitted.clone()
    }
}

#[cfg(test)]
mod tests;
