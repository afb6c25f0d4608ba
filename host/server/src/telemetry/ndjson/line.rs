//! One line each: what it may say, and what becomes of it.

use super::{Time, Wrong};
use mandate_store::series::{Edge, LogLine, PointBatch, Severity, Span, check_time};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// A text that is borrowed from the body where it holds no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Labels in the order in which they came; that a name is there once is checked later.
#[derive(Default)]
struct Labels<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Labels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Labels<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels: an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels<'de>, A::Error> {
                let mut labels = Vec::new();
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    labels.push((name, value));
                }
                Ok(Labels(labels))
            }
        }

        deserializer.deserialize_map(All)
    }
}

impl Labels<'_> {
    fn owned(self) -> Vec<(String, String)> {
        self.0
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }
}

/// One point, or several of one series.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricLine<'a> {
    #[serde(borrow)]
    metric: Cow<'a, str>,
    #[serde(borrow, default)]
    labels: Labels<'a>,
    time: Option<Time>,
    value: Option<f64>,
    points: Option<Vec<(Time, Option<f64>)>>,
}

impl MetricLine<'_> {
    pub(super) fn add_to(self, batch: &mut PointBatch) -> Result<(), Wrong> {
        let mut labels: Vec<(&str, &str)> = self
            .labels
            .0
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
            .collect();
        batch.series(&self.metric, &mut labels)?;
        let mut add = |Time(time), value: Option<f64>| {
            check_time("time", time)?;
            // Null is a missing value, as one that is not a number.
            batch.point(time.micros(), value.unwrap_or(f64::NAN));
            Ok::<(), Wrong>(())
        };
        match (self.points, self.time) {
            (Some(_), Some(_)) => Err(Wrong(
                "expected either `time` and `value`, or `points`".to_owned(),
            )),
            (Some(points), None) => points
                .into_iter()
                .try_for_each(|(time, value)| add(time, value)),
            (None, Some(time)) => add(time, self.value),
            (None, None) => Err(Wrong(
                "expected `time` with `value`, or `points`".to_owned(),
            )),
        }
    }
}

/// A log line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogText<'a> {
    time: Time,
    service: String,
    severity: Option<String>,
    message: String,
    #[serde(borrow, default)]
    labels: Labels<'a>,
}

impl LogText<'_> {
    pub(super) fn checked(self) -> Result<LogLine, Wrong> {
        let severity = self.severity.as_deref().unwrap_or("info");
        let mut line = LogLine {
            time: self.time.0,
            service: self.service,
            severity: Severity::parse(severity).ok_or_else(|| {
                let shown: String = severity.chars().take(40).collect();
                let known = Severity::ALL.map(Severity::as_str).join(", ");
                format!("severity: expected one of {known}, found `{shown}`")
            })?,
            message: self.message,
            labels: self.labels.owned(),
        };
        line.check()?;
        Ok(line)
    }
}

/// A span.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpanLine<'a> {
    trace_id: String,
    span_id: String,
    parent_id: Option<String>,
    service: String,
    #[serde(default)]
    operation: String,
    start: Time,
    duration_us: u64,
    #[serde(default)]
    error: bool,
    #[serde(borrow, default)]
    labels: Labels<'a>,
}

impl SpanLine<'_> {
    pub(super) fn checked(self) -> Result<Span, Wrong> {
        let mut span = Span {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_id: self.parent_id,
            service: self.service,
            operation: self.operation,
            start: self.start.0,
            duration_us: self.duration_us,
            error: self.error,
            labels: self.labels.owned(),
        };
        span.check()?;
        Ok(span)
    }
}

/// An edge of the topology.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EdgeLine {
    caller: String,
    callee: String,
}

impl EdgeLine {
    pub(super) fn checked(self) -> Result<Edge, Wrong> {
        let edge = Edge {
            caller: self.caller,
            callee: self.callee,
        };
        edge.check()?;
        Ok(edge)
    }
}
