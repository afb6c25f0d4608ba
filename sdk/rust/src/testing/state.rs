//! What the fake host remembers.

use super::Recorded;
use super::grants::Grants;
use super::records::Records;
use super::streams::Answers;
use crate::Timestamp;
use crate::bindings::imports::mandate::telemetry::data::{Edge, LogLine, Series, Span};
use crate::error::Error;
use crate::host::{Event, Level};
use crate::http;
use crate::invoke::{Answer, NewTask, Offer, Reasons, ToolCall};
use crate::llm::{Request, Response};
use serde::Deserialize;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Any time will do, as long as it is always the same.
const START: Timestamp = 1_700_000_000_000_000;

/// Plays a tool or an agent. Shared, so that it is called while the state is not borrowed.
pub type Play = Rc<RefCell<dyn FnMut(Value) -> Result<Answer, Error>>>;

/// Plays the model.
pub type PlayModel = Rc<RefCell<dyn FnMut(&Request) -> Result<Response, Error>>>;

/// Plays every other host.
pub type PlayHosts = Rc<RefCell<dyn FnMut(&http::Request) -> Result<http::Response, Error>>>;

pub struct State {
    pub grants: Grants,
    pub records: Records,
    pub tools: BTreeMap<String, Play>,
    pub agents: BTreeMap<String, Play>,
    pub offers: BTreeMap<String, Offer>,
    pub script: VecDeque<Result<Response, Error>>,
    /// The model's answers that are open.
    pub answers: Answers,
    /// What people answer, in this order.
    pub told: VecDeque<String>,
    pub model: Option<PlayModel>,
    pub others: Option<PlayHosts>,
    pub series: Vec<Series>,
    pub log_lines: Vec<LogLine>,
    pub spans: Vec<Span>,
    pub edges: Vec<Edge>,
    pub now: Timestamp,
    pub random: u64,
    pub calls: Vec<Recorded>,
    pub log: Vec<(Level, String)>,
    pub progress: Vec<(Option<f64>, String)>,
    pub events: Vec<Event>,
    pub submitted: Vec<NewTask>,
    pub acts: Vec<(ToolCall, Reasons)>,
    /// What the next execution is to begin with.
    pub continued: Option<String>,
}

/// What the fake host reads of `plugin.toml`.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    capabilities: Grants,
    #[serde(default)]
    records: BTreeMap<String, Collection>,
}

#[derive(Deserialize)]
struct Collection {
    id: String,
    #[serde(default)]
    indexed: BTreeMap<String, String>,
    #[serde(default)]
    full_text: Vec<String>,
}

impl State {
    pub fn new(grants: Grants) -> Self {
        Self {
            grants,
            records: Records::any(),
            tools: BTreeMap::new(),
            agents: BTreeMap::new(),
            offers: BTreeMap::new(),
            script: VecDeque::new(),
            answers: Answers::default(),
            told: VecDeque::new(),
            model: None,
            others: None,
            series: Vec::new(),
            log_lines: Vec::new(),
            spans: Vec::new(),
            edges: Vec::new(),
            now: START,
            random: 0,
            calls: Vec::new(),
            log: Vec::new(),
            progress: Vec::new(),
            events: Vec::new(),
            submitted: Vec::new(),
            acts: Vec::new(),
            continued: None,
        }
    }

    pub fn from_manifest(text: &str) -> Result<Self, toml::de::Error> {
        let manifest: Manifest = toml::from_str(text)?;
        let mut state = Self::new(manifest.capabilities);
        state.records = Records::default();
        for (name, collection) in manifest.records {
            let indexed = collection.indexed.into_keys().collect();
            state
                .records
                .declare_with(&name, &collection.id, indexed, collection.full_text);
        }
        Ok(state)
    }
}
