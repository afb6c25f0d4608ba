//! A store over a directory of the test's own, and short ways to say things.

use mandate_store::series::{
    Aggregation, Excess, LogLine, LogQuery, Point, PointBatch, PointQuery, Range, SeriesError,
    SeriesSettings, SeriesStore, Severity, Span, SpanQuery,
};
use mandate_store::{SharedSeries, open_telemetry};
use mandate_types::{TenantId, Timestamp};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// A directory, and the store over it.
pub struct Home {
    pub dir: TempDir,
    pub store: SharedSeries,
    pub settings: SeriesSettings,
}

/// Keeps everything for ever: tests have times of their own.
pub fn for_ever() -> SeriesSettings {
    SeriesSettings {
        retention: None,
        ..SeriesSettings::default()
    }
}

impl Home {
    pub async fn new() -> Self {
        Self::with(for_ever()).await
    }

    pub async fn with(settings: SeriesSettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open_telemetry(dir.path(), settings.clone()).await.unwrap();
        Self {
            dir,
            store,
            settings,
        }
    }

    /// The store as another host finds it after this one was killed just now.
    pub async fn after_a_crash(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(self.dir.path(), dir.path());
        let settings = self.settings.clone();
        let store = open_telemetry(dir.path(), settings.clone()).await.unwrap();
        Self {
            dir,
            store,
            settings,
        }
    }
}

/// Copies what is on disk. Nothing is being written: what was asked for is acknowledged.
pub fn copy(from: &Path, to: &Path) {
    for file in ["telemetry.db", "telemetry.db-wal"] {
        if from.join(file).exists() {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }
}

pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub fn acme() -> TenantId {
    tenant("acme")
}

pub fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

pub fn range(start: i64, end: i64) -> Range {
    Range {
        start: seconds(start),
        end: seconds(end),
    }
}

pub const ALWAYS: Range = Range {
    start: Timestamp::from_micros(0),
    end: Timestamp::from_micros(i64::MAX),
};

/// Points of one series, times in seconds.
pub fn batch(metric: &str, labels: &[(&str, &str)], points: &[(i64, f64)]) -> PointBatch {
    let mut batch = PointBatch::default();
    batch.series(metric, &mut labels.to_vec()).unwrap();
    for (time, value) in points {
        batch.point(time * 1_000_000, *value);
    }
    batch
}

pub fn query(metric: &str) -> PointQuery {
    PointQuery {
        metric: metric.to_owned(),
        labels: Vec::new(),
        range: ALWAYS,
        aggregation: Aggregation::Raw,
        step: Duration::ZERO,
    }
}

/// What is kept of a metric: labels and points of each series, times in seconds.
pub async fn read(store: &dyn SeriesStore, query: PointQuery) -> Vec<(String, Vec<(i64, f64)>)> {
    let series = store.points(&acme(), query).await.unwrap();
    let of = |point: &Point| (point.time / 1_000_000, point.value);
    series
        .iter()
        .map(|one| (one.key.to_string(), one.points.iter().map(of).collect()))
        .collect()
}

pub async fn write(store: &dyn SeriesStore, batch: PointBatch) {
    let added = store
        .add_points(&acme(), batch, Excess::Refuse)
        .await
        .unwrap();
    assert_eq!(added.left_out, 0);
}

pub fn invalid<T: std::fmt::Debug>(result: Result<T, SeriesError>) -> String {
    match result.unwrap_err() {
        SeriesError::Invalid(text) => text,
        other => panic!("{other}"),
    }
}

pub fn line(time: i64, service: &str, severity: Severity, message: &str) -> LogLine {
    LogLine {
        time: seconds(time),
        service: service.to_owned(),
        severity,
        message: message.to_owned(),
        labels: Vec::new(),
    }
}

pub fn logs() -> LogQuery {
    LogQuery {
        service: None,
        at_least: None,
        text: None,
        range: ALWAYS,
        limit: 100,
    }
}

pub fn span(trace: &str, id: &str, parent: Option<&str>, service: &str, start: i64) -> Span {
    Span {
        trace_id: trace.to_owned(),
        span_id: id.to_owned(),
        parent_id: parent.map(str::to_owned),
        service: service.to_owned(),
        operation: "GET /".to_owned(),
        start: seconds(start),
        duration_us: 200_000,
        error: false,
        labels: Vec::new(),
    }
}

pub fn all_spans() -> SpanQuery {
    SpanQuery {
        service: None,
        trace_id: None,
        errors_only: false,
        range: ALWAYS,
        limit: 100,
    }
}
