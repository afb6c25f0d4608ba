//! The questions to the tools of `monitoring`, and what of their answers is read.

use incident_contract::ranking::{RankArguments, Ranking, TOOL as RANK};
use incident_contract::{Time, Window};
use mandate_sdk::invoke::Answer;
use mandate_sdk::prelude::*;
use std::collections::BTreeMap;

/// The tool that shows log lines.
pub const LOGS: &str = "monitoring.logs";
/// The tool that shows spans.
pub const TRACES: &str = "monitoring.traces";

/// What [`LOGS`] is asked.
#[derive(Clone, Debug, Serialize)]
pub struct LogsArguments {
    /// The component.
    pub service: String,
    /// The time.
    pub window: Window,
    /// At most so many.
    pub limit: u32,
}

/// What [`TRACES`] is asked.
#[derive(Clone, Debug, Serialize)]
pub struct TracesArguments {
    /// The time.
    pub window: Window,
    /// At most so many.
    pub limit: u32,
}

/// A log line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Line {
    /// When.
    pub time: Time,
    /// `debug`, `info`, `warning`, `error`, `fatal`.
    #[serde(default)]
    pub severity: String,
    /// What it says; others wrote it.
    #[serde(default)]
    pub message: String,
    /// What else it says.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What [`LOGS`] answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Logs {
    /// The lines that fit.
    #[serde(default)]
    pub lines: Vec<Line>,
}

/// A span.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Span {
    /// Its own id.
    #[serde(default)]
    pub span_id: String,
    /// Whose part it is.
    #[serde(default)]
    pub parent_id: Option<String>,
    /// The component.
    #[serde(default)]
    pub service: String,
    /// How long it took.
    #[serde(default)]
    pub duration_us: u64,
}

/// What [`TRACES`] answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Traces {
    /// The spans that fit.
    #[serde(default)]
    pub spans: Vec<Span>,
}

/// The ranking of suspects.
///
/// # Errors
/// What the host or the tool says.
pub fn rank(host: &Host, arguments: &RankArguments) -> Result<Ranking, Error> {
    host.call_tool(RANK, arguments)
}

/// Makes the calls in parallel; the answers in their order.
pub fn together<A: Serialize>(
    host: &Host,
    tool: &str,
    arguments: &[A],
) -> Vec<Result<Answer, Error>> {
    let mut calls = Vec::with_capacity(arguments.len());
    for arguments in arguments {
        match Call::to_tool(tool, arguments) {
            Ok(call) => calls.push(call),
            Err(error) => return vec![Err(error)],
        }
    }
    host.call_many(&calls)
}

/// Of all time in these spans that is spent without waiting for other spans: the share of each component, the largest
/// first.
pub fn own_time(spans: &[Span]) -> Vec<(String, f64)> {
    let mut below: BTreeMap<&str, u64> = BTreeMap::new();
    for span in spans {
        if let Some(parent) = span.parent_id.as_deref() {
            let sum = below.entry(parent).or_default();
            *sum = sum.saturating_add(span.duration_us);
        }
    }
    let mut own: BTreeMap<&str, f64> = BTreeMap::new();
    for span in spans {
        let waited = below
            .get(span.span_id.as_str())
            .copied()
            .unwrap_or_default();
        *own.entry(&span.service).or_default() += span.duration_us.saturating_sub(waited) as f64;
    }
    let whole: f64 = own.values().sum();
    if whole <= 0.0 {
        return Vec::new();
    }
    let mut shares: Vec<(String, f64)> = own
        .into_iter()
        .map(|(service, time)| (service.to_owned(), time / whole))
        .collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}
