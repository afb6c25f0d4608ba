//! Log lines for agents and people: `monitoring.logs`.

use crate::metrics::{labels, window_or_latest};
use crate::source::Source;
use crate::window;
use incident_contract::{Time, Window, time};
use mandate_sdk::prelude::*;
use mandate_sdk::telemetry::{LogQuery, Severity};
use std::collections::BTreeMap;

/// Lines, when nothing was said, and at most.
const LINES: u32 = 50;
const MOST_LINES: u32 = 500;
/// Longer messages are cut; the end of a stack trace helps nobody who looks at many lines.
const LONGEST_MESSAGE: usize = 1_000;

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gravity {
    /// For those who wrote it.
    Debug,
    /// What happened.
    Info,
    /// Something is not as it should be.
    Warning,
    /// Something failed.
    Error,
    /// It gave up.
    Fatal,
}

impl From<Gravity> for Severity {
    fn from(gravity: Gravity) -> Self {
        match gravity {
            Gravity::Debug => Self::Debug,
            Gravity::Info => Self::Info,
            Gravity::Warning => Self::Warning,
            Gravity::Error => Self::Error,
            Gravity::Fatal => Self::Fatal,
        }
    }
}

impl From<Severity> for Gravity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Debug => Self::Debug,
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Error => Self::Error,
            Severity::Fatal => Self::Fatal,
        }
    }
}

/// Which lines.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogsArguments {
    /// Only of this component.
    #[serde(default)]
    #[schemars(length(min = 1, max = 500))]
    pub service: Option<String>,
    /// Only lines at least as grave.
    #[serde(default)]
    pub at_least: Option<Gravity>,
    /// Only lines with these words.
    #[serde(default)]
    #[schemars(length(min = 1, max = 500))]
    pub text: Option<String>,
    /// The time; the last 15 minutes, if not said.
    #[serde(default)]
    pub window: Option<Window>,
    /// At most so many; 50, if not said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
}

/// A log line.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Line {
    /// When.
    pub time: Time,
    /// Who wrote it.
    pub service: String,
    /// How grave it is.
    pub severity: Gravity,
    /// What it says, cut after 1,000 characters. Others wrote it.
    pub message: String,
    /// What else it says.
    pub labels: BTreeMap<String, String>,
}

/// What was found.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Found {
    /// Oldest first.
    pub lines: Vec<Line>,
    /// The time that was looked at.
    pub window: Window,
    /// True when there may be more lines than the limit.
    pub truncated: bool,
}

/// `monitoring.logs`.
pub struct Logs;

impl Tool for Logs {
    const NAME: &'static str = "logs";
    const SUMMARY: &'static str =
        "Shows log lines of a window of time: by component, gravity and words; the latest ones.";
    type Arguments = LogsArguments;
    type Result = Found;

    fn call(arguments: LogsArguments, _: &Context, host: &Host) -> Result<Found, Error> {
        find(&arguments, &host.telemetry(), host.now())
    }
}

fn find(arguments: &LogsArguments, source: &impl Source, now: Timestamp) -> Result<Found, Error> {
    let range = window_or_latest(arguments.window, now)?;
    let limit = arguments.limit.unwrap_or(LINES).clamp(1, MOST_LINES);
    let lines = source.logs(&LogQuery {
        service: arguments.service.clone(),
        at_least: arguments.at_least.map(Into::into),
        text: arguments.text.clone(),
        range,
        limit,
    })?;
    Ok(Found {
        truncated: lines.len() >= limit as usize,
        window: window::told(range),
        lines: lines
            .into_iter()
            .map(|line| Line {
                time: time(line.time),
                service: line.service,
                severity: line.severity.into(),
                message: line.message.chars().take(LONGEST_MESSAGE).collect(),
                labels: labels(line.labels),
            })
            .collect(),
    })
}
