//! Spans for agents and people: `monitoring.traces`.

use crate::metrics::{labels, window_or_latest};
use crate::source::Source;
use crate::window;
use incident_contract::{Time, Window, time};
use mandate_sdk::prelude::*;
use mandate_sdk::telemetry::SpanQuery;
use std::collections::BTreeMap;

/// Spans, when nothing was said, and at most.
const SPANS: u32 = 50;
const MOST_SPANS: u32 = 500;

/// Which spans.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TracesArguments {
    /// Only of this component.
    #[serde(default)]
    #[schemars(length(min = 1, max = 500))]
    pub service: Option<String>,
    /// Only of this trace.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub trace_id: Option<String>,
    /// Only those that failed.
    #[serde(default)]
    pub errors_only: bool,
    /// The time; the last 15 minutes, if not said.
    #[serde(default)]
    pub window: Option<Window>,
    /// At most so many; 50, if not said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
}

/// A part of a request, in one component.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Span {
    /// The request that it is part of.
    pub trace_id: String,
    /// Its own id.
    pub span_id: String,
    /// Whose part it is; none for the first one.
    pub parent_id: Option<String>,
    /// The component.
    pub service: String,
    /// What it did.
    pub operation: String,
    /// When it began.
    pub start: Time,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// Whether it failed.
    pub error: bool,
    /// What else it says.
    pub labels: BTreeMap<String, String>,
}

/// What was found.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Found {
    /// In the order of their start.
    pub spans: Vec<Span>,
    /// The time that was looked at.
    pub window: Window,
    /// True when there may be more spans than the limit.
    pub truncated: bool,
}

/// `monitoring.traces`.
pub struct Traces;

impl Tool for Traces {
    const NAME: &'static str = "traces";
    const SUMMARY: &'static str =
        "Shows spans of a window of time: by component, trace and failure.";
    type Arguments = TracesArguments;
    type Result = Found;

    fn call(arguments: TracesArguments, _: &Context, host: &Host) -> Result<Found, Error> {
        find(arguments, &host.telemetry(), host.now())
    }
}

fn find(arguments: TracesArguments, source: &impl Source, now: Timestamp) -> Result<Found, Error> {
    let range = window_or_latest(arguments.window, now)?;
    let limit = arguments.limit.unwrap_or(SPANS).clamp(1, MOST_SPANS);
    let spans = source.spans(&SpanQuery {
        service: arguments.service,
        trace_id: arguments.trace_id,
        errors_only: arguments.errors_only,
        range,
        limit,
    })?;
    Ok(Found {
        truncated: spans.len() >= limit as usize,
        window: window::told(range),
        spans: spans
            .into_iter()
            .map(|span| Span {
                trace_id: span.trace_id,
                span_id: span.span_id,
                parent_id: span.parent_id,
                service: span.service,
                operation: span.operation,
                start: time(span.start),
                duration_us: span.duration_us,
                error: span.error,
                labels: labels(span.labels),
            })
            .collect(),
    })
}
