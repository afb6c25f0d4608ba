//! Telemetry: metric series, log lines, spans and topology of the systems that agents look
//! after. Apart from the rest of the store, because it is much, is written by others, and expires.

mod aggregate;
mod batch;
mod check;
mod key;

pub use aggregate::{Aggregation, reduce};
pub use batch::PointBatch;
pub use check::{MOST_MESSAGE, check_time};
pub use key::{Key, LabelError, MOST_LABELS, check_text};

use crate::StoreError;
use mandate_types::{TenantId, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Microseconds since 1970.
    pub time: i64,
    /// Finite.
    pub value: f64,
}

/// Points of one series, in the order of their time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Which one.
    pub key: Key,
    /// At least one.
    pub points: Vec<Point>,
}

/// From `start` on, before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Inclusive.
    pub start: Timestamp,
    /// Exclusive.
    pub end: Timestamp,
}

/// Which points of which series, and how they are summed up.
#[derive(Clone, Debug)]
pub struct PointQuery {
    /// The metric's name.
    pub metric: String,
    /// All must match.
    pub labels: Vec<(String, String)>,
    /// When.
    pub range: Range,
    /// What becomes of the points of a bucket.
    pub aggregation: Aggregation,
    /// How long a bucket is; zero, or the whole range and more, is one bucket.
    pub step: Duration,
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// For whoever looks for a mistake.
    Debug,
    /// As it should be.
    Info,
    /// Not as it should be, and it goes on.
    Warning,
    /// Something was not done.
    Error,
    /// It cannot go on.
    Fatal,
}

impl Severity {
    /// All, the least grave first.
    pub const ALL: [Self; 5] = [
        Self::Debug,
        Self::Info,
        Self::Warning,
        Self::Error,
        Self::Fatal,
    ];

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The severity of this name; none if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// What a service wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub service: String,
    /// How grave.
    pub severity: Severity,
    /// What.
    pub message: String,
    /// In the order of their names.
    pub labels: Vec<(String, String)>,
}

/// Which log lines.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// Of one service.
    pub service: Option<String>,
    /// This grave, or more.
    pub at_least: Option<Severity>,
    /// Words that must all begin a word of the message; case does not matter.
    pub text: Option<String>,
    /// When.
    pub range: Range,
    /// The newest so many.
    pub limit: usize,
}

/// A part of a request, as one service saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The request.
    pub trace_id: String,
    /// The part, within the request.
    pub span_id: String,
    /// The part that asked for it.
    pub parent_id: Option<String>,
    /// Who.
    pub service: String,
    /// What.
    pub operation: String,
    /// When it began.
    pub start: Timestamp,
    /// How long it took.
    pub duration_us: u64,
    /// Whether it failed.
    pub error: bool,
    /// In the order of their names. `kind` (`server`, `consumer`, `client`, `producer`,
    /// `internal`) tells requests that came from outside.
    pub labels: Vec<(String, String)>,
}

/// Which spans.
#[derive(Clone, Debug)]
pub struct SpanQuery {
    /// Of one service.
    pub service: Option<String>,
    /// Of one request.
    pub trace_id: Option<String>,
    /// Only those that failed.
    pub errors_only: bool,
    /// When they began.
    pub range: Range,
    /// The newest so many.
    pub limit: usize,
}

/// `caller` depends on `callee`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// Who asks.
    pub caller: String,
    /// Who is asked.
    pub callee: String,
}

/// What becomes of points that there is no room for, or that are older than what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Nothing of the batch is written.
    Refuse,
    /// They are left out, and the reason is told.
    LeaveOut,
}

/// What was written of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Items left out.
    pub left_out: u64,
    /// Why, if any were.
    pub reason: Option<String>,
}

/// What an operator sets of a telemetry store.
#[derive(Clone, Debug)]
pub struct SeriesSettings {
    /// How long data are kept, by their own time; none is for ever.
    pub retention: Option<Duration>,
    /// Bytes that all data may take on disk; the oldest go first.
    pub max_bytes: u64,
    /// Series that one tenant may have.
    pub max_series: usize,
}

impl Default for SeriesSettings {
    fn default() -> Self {
        Self {
            retention: Some(Duration::from_secs(7 * 86_400)),
            max_bytes: 8 << 30,
            max_series: 100_000,
        }
    }
}

/// Why telemetry was not written or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SeriesError {
    /// The caller asked for what cannot be; the text says what to do.
    #[error("{0}")]
    Invalid(String),
    /// More comes than can be written just now.
    #[error("more telemetry comes than this host can write just now")]
    Busy,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where telemetry is kept. All is of one tenant. What was accepted is on disk.
#[async_trait::async_trait]
pub trait SeriesStore: Send + Sync {
    /// Adds points. Of points of a series with the same time, the last written counts.
    ///
    /// # Errors
    /// [`SeriesError::Invalid`] when there would be too many series or points are older than what
    /// is kept, unless these are to be left out.
    async fn add_points(
        &self,
        tenant: &TenantId,
        batch: PointBatch,
        excess: Excess,
    ) -> Result<Added, SeriesError>;

    /// Adds log lines; a line that is there already stays once.
    ///
    /// # Errors
    /// As [`SeriesStore::add_points`].
    async fn add_logs(
        &self,
        tenant: &TenantId,
        lines: Vec<LogLine>,
        excess: Excess,
    ) -> Result<Added, SeriesError>;

    /// Adds spans; one that is there already is replaced.
    ///
    /// # Errors
    /// As [`SeriesStore::add_points`].
    async fn add_spans(
        &self,
        tenant: &TenantId,
        spans: Vec<Span>,
        excess: Excess,
    ) -> Result<Added, SeriesError>;

    /// Replaces the given topology.
    ///
    /// # Errors
    /// [`SeriesError::Invalid`] when it is too large.
    async fn set_topology(&self, tenant: &TenantId, edges: Vec<Edge>) -> Result<(), SeriesError>;

    /// The series of a metric that have points in the range, in the order of their labels. A
    /// bucket without points is absent; its time is its start.
    ///
    /// # Errors
    /// [`SeriesError::Invalid`] when the answer would be too large.
    async fn points(
        &self,
        tenant: &TenantId,
        query: PointQuery,
    ) -> Result<Vec<Series>, SeriesError>;

    /// The newest lines that match, in the order of their time.
    ///
    /// # Errors
    /// [`SeriesError::Invalid`] when too much would have to be read.
    async fn logs(&self, tenant: &TenantId, query: LogQuery) -> Result<Vec<LogLine>, SeriesError>;

    /// The newest spans that match, in the order of their start.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn spans(&self, tenant: &TenantId, query: SpanQuery) -> Result<Vec<Span>, SeriesError>;

    /// The topology as it was given, with what spans have shown, in order.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn topology(&self, tenant: &TenantId) -> Result<Vec<Edge>, SeriesError>;

    /// Removes what is older than what is kept; how many blocks, lines and spans.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn sweep(&self, now: Timestamp) -> Result<u64, SeriesError>;

    /// Writes what is in memory to its place, so that the next start is quick.
    ///
    /// # Errors
    /// When the database does not answer; nothing is lost then.
    async fn settle(&self) -> Result<(), SeriesError>;
}

/// A telemetry store that can be handed around.
pub type SharedSeries = Arc<dyn SeriesStore>;
