//! Series for agents and people: `monitoring.metrics`.

use crate::settings::Settings;
use crate::source::Source;
use crate::window;
use incident_contract::{Time, Window, time};
use mandate_sdk::prelude::*;
use mandate_sdk::telemetry::{Aggregation, MetricQuery, Range};
use std::collections::BTreeMap;

/// At most so many series and points are answered; what is left out is said.
const MOST_SERIES: usize = 100;
const MOST_POINTS: usize = 5_000;
/// What is looked at when nothing was said.
const LATEST: u64 = 15 * window::MINUTE;
/// Into how many steps a window is split when nothing was said.
const STEPS: u64 = 60;

/// How the points of a step become one.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The points as they came.
    Raw,
    /// Their mean.
    #[default]
    Mean,
    /// The smallest.
    Minimum,
    /// The greatest.
    Maximum,
    /// Their sum.
    Sum,
    /// How many there are.
    Count,
    /// The growth of a counter, per second.
    Rate,
    /// The median.
    P50,
    /// The value that nine of ten points are below.
    P90,
    /// The value that 95 of 100 points are below.
    P95,
    /// The value that 99 of 100 points are below.
    P99,
}

impl From<How> for Aggregation {
    fn from(how: How) -> Self {
        match how {
            How::Raw => Self::Raw,
            How::Mean => Self::Mean,
            How::Minimum => Self::Minimum,
            How::Maximum => Self::Maximum,
            How::Sum => Self::Sum,
            How::Count => Self::Count,
            How::Rate => Self::Rate,
            How::P50 => Self::Quantile(0.5),
            How::P90 => Self::Quantile(0.9),
            How::P95 => Self::Quantile(0.95),
            How::P99 => Self::Quantile(0.99),
        }
    }
}

/// Which series.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsArguments {
    /// The metric, such as `latency`, `requests`, `availability`, `cpu`, `memory`.
    #[schemars(length(min = 1, max = 200))]
    pub metric: String,
    /// Only of this component.
    #[serde(default)]
    #[schemars(length(min = 1, max = 500))]
    pub service: Option<String>,
    /// Only series with all of these labels, such as `{"statistic": "p99"}`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The time; the last 15 minutes, if not said.
    #[serde(default)]
    pub window: Option<Window>,
    /// How the points of a step become one; their mean, if not said.
    #[serde(default)]
    pub aggregation: How,
    /// The length of a step; a sixtieth of the window, if not said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 31_622_400))]
    pub step_seconds: Option<u64>,
}

/// A measured value.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Point {
    /// When; the start of the step.
    pub time: Time,
    /// How much, in the metric's own unit.
    pub value: f64,
}

/// A series.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// The metric.
    pub metric: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Oldest first. Steps without data are left out.
    pub points: Vec<Point>,
}

/// What was found.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Found {
    /// The series.
    pub series: Vec<Series>,
    /// The time that was looked at.
    pub window: Window,
    /// True when series or points were left out, to keep the answer short.
    pub truncated: bool,
}

/// `monitoring.metrics`.
pub struct Metrics;

impl Tool for Metrics {
    const NAME: &'static str = "metrics";
    const SUMMARY: &'static str =
        "Shows the series of a metric in a window of time, aggregated in steps.";
    type Arguments = MetricsArguments;
    type Result = Found;

    fn call(arguments: MetricsArguments, context: &Context, host: &Host) -> Result<Found, Error> {
        let settings: Settings = context.settings()?;
        find(&arguments, &settings, &host.telemetry(), host.now())
    }
}

/// The window that was given, or the latest time.
///
/// # Errors
/// [`Error::Invalid`] when what was given is none.
pub fn window_or_latest(window: Option<Window>, now: Timestamp) -> Result<Range, Error> {
    match window {
        Some(window) => window::given("window", window),
        None => Ok(Range::before(now, LATEST)),
    }
}

pub fn find(
    arguments: &MetricsArguments,
    settings: &Settings,
    source: &impl Source,
    now: Timestamp,
) -> Result<Found, Error> {
    let range = window_or_latest(arguments.window, now)?;
    let span = range.end - range.start;
    let step = arguments.step_seconds.map_or_else(
        || (span / STEPS).max(window::SECOND),
        |seconds| seconds.saturating_mul(window::SECOND),
    );
    let mut query = MetricQuery::raw(&arguments.metric, range)
        .aggregated(arguments.aggregation.into(), step / 1_000);
    if let Some(service) = &arguments.service {
        query = query.label(&settings.service_label, service);
    }
    for (name, value) in &arguments.labels {
        query = query.label(name, value);
    }
    let mut left = MOST_POINTS;
    let mut truncated = false;
    let mut series = Vec::new();
    for one in source.metrics(&query)? {
        if series.len() == MOST_SERIES || left == 0 {
            truncated = true;
            break;
        }
        // The latest points are those that people want.
        let skipped = one.points.len().saturating_sub(left);
        truncated |= skipped > 0;
        let points: Vec<Point> = one
            .points
            .iter()
            .skip(skipped)
            .filter(|point| point.value.is_finite())
            .map(|point| Point {
                time: time(point.time),
                value: point.value,
            })
            .collect();
        left -= points.len();
        series.push(Series {
            metric: one.metric,
            labels: labels(one.labels),
            points,
        });
    }
    Ok(Found {
        series,
        window: window::told(range),
        truncated,
    })
}

/// Labels by name.
pub fn labels(labels: Vec<mandate_sdk::telemetry::Label>) -> BTreeMap<String, String> {
    labels
        .into_iter()
        .map(|label| (label.name, label.value))
        .collect()
}
