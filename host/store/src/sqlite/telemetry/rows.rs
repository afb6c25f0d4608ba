//! Rows of the telemetry tables: from our types, back to them, and into the database many at a time.

use crate::StoreError;
use crate::series::{Edge, LogLine, Severity, Span};
use crate::sqlite::sql::{self, Arg, Columns as _, corrupt};
use mandate_types::{Digest, TenantId, Timestamp};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use std::sync::Arc;

/// The tables that get many rows at a time.
#[derive(Clone, Copy)]
pub(super) enum Table {
    Series,
    Ahead,
    Blocks,
    Logs,
    Spans,
    Edges,
}

impl Table {
    /// What comes before the values, how many a row has, and what comes after them.
    const fn shape(self) -> (&'static str, usize, &'static str) {
        match self {
            Self::Series => ("INSERT INTO series (id, tenant, key)", 3, ""),
            Self::Ahead => ("INSERT INTO ahead (seq, data)", 2, ""),
            Self::Blocks => (
                "INSERT INTO blocks (id, series, first, last, count, open, ahead, data)",
                8,
                "",
            ),
            Self::Logs => (
                "INSERT OR IGNORE INTO logs (tenant, time, hash, service, severity, message, labels)",
                7,
                "",
            ),
            Self::Spans => (
                "INSERT INTO spans (tenant, trace, span, parent, service, operation, start, duration, error, entry, labels)",
                11,
                "ON CONFLICT (tenant, trace, span) DO UPDATE SET parent = excluded.parent, service = excluded.service, operation = excluded.operation, start = excluded.start, duration = excluded.duration, error = excluded.error, entry = excluded.entry, labels = excluded.labels",
            ),
            Self::Edges => (
                "INSERT INTO edges (tenant, caller, callee, given, seen)",
                5,
                "ON CONFLICT (tenant, given, caller, callee) DO UPDATE SET seen = excluded.seen",
            ),
        }
    }
}

/// The most rows of one statement.
const MOST: usize = 64;

/// Writes rows, within a transaction of the caller's.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    table: Table,
    rows: &[Vec<Arg>],
) -> Result<(), sqlx::Error> {
    let (head, width, tail) = table.shape();
    let mut rest = rows;
    while !rest.is_empty() {
        // Powers of two, so that a few prepared statements serve every number of rows.
        let count = MOST.min(1 << rest.len().ilog2());
        let (chunk, later) = rest.split_at(count);
        rest = later;
        let tuple = format!("({})", vec!["?"; width].join(","));
        let text = format!("{head} VALUES {} {tail}", vec![tuple; count].join(","));
        let args: Vec<Arg> = chunk.iter().flatten().cloned().collect();
        sql::run_text(conn, Arc::from(text), &args).await?;
    }
    Ok(())
}

/// A log line; its hash makes it the same however often it comes.
pub(super) fn log(tenant: &TenantId, line: &LogLine) -> Vec<Arg> {
    let labels = Arg::json(&line.labels);
    let mut whole = Vec::with_capacity(line.message.len() + 64);
    let texts = line.labels.iter().flat_map(|(name, value)| [name, value]);
    for text in [&line.service, &line.message].into_iter().chain(texts) {
        whole.extend_from_slice(&(text.len() as u64).to_le_bytes());
        whole.extend_from_slice(text.as_bytes());
    }
    whole.push(line.severity as u8);
    let hash = u64::from_str_radix(
        Digest::of(&whole).as_str().get(..16).unwrap_or_default(),
        16,
    );
    vec![
        Arg::text(tenant.as_str()),
        line.time.into(),
        Arg::Int(hash.unwrap_or_default().cast_signed()),
        Arg::text(&line.service),
        Arg::Int(line.severity as i64),
        Arg::text(&line.message),
        labels,
    ]
}

/// A log line back.
pub(super) fn read_log(row: &SqliteRow) -> Result<LogLine, StoreError> {
    let severity = usize::try_from(row.get_int("severity")?).unwrap_or(usize::MAX);
    Ok(LogLine {
        time: row.get_time("time")?,
        service: row.get_text("service")?,
        severity: *Severity::ALL
            .get(severity)
            .ok_or_else(|| corrupt("severity", "not one"))?,
        message: row.get_text("message")?,
        labels: row.get_json("labels")?,
    })
}

/// A span.
pub(super) fn span(tenant: &TenantId, span: &Span, entry: bool) -> Vec<Arg> {
    vec![
        Arg::text(tenant.as_str()),
        Arg::text(&span.trace_id),
        Arg::text(&span.span_id),
        Arg::opt_text(span.parent_id.as_ref()),
        Arg::text(&span.service),
        Arg::text(&span.operation),
        span.start.into(),
        Arg::count(span.duration_us),
        Arg::bool(span.error),
        Arg::bool(entry),
        Arg::json(&span.labels),
    ]
}

/// The columns that [`read_span`] reads.
pub(super) const SPAN: &str =
    "id, trace, span, parent, service, operation, start, duration, error, labels";

/// A span back.
pub(super) fn read_span(row: &SqliteRow) -> Result<Span, StoreError> {
    Ok(Span {
        trace_id: row.get_text("trace")?,
        span_id: row.get_text("span")?,
        parent_id: row.get_opt_text("parent")?,
        service: row.get_text("service")?,
        operation: row.get_text("operation")?,
        start: row.get_time("start")?,
        duration_us: row.get_count("duration")?,
        error: row.get_bool("error")?,
        labels: row.get_json("labels")?,
    })
}

/// An edge: given, or seen in spans.
pub(super) fn edge(tenant: &TenantId, edge: &Edge, seen: Option<Timestamp>) -> Vec<Arg> {
    vec![
        Arg::text(tenant.as_str()),
        Arg::text(&edge.caller),
        Arg::text(&edge.callee),
        Arg::bool(seen.is_none()),
        Arg::opt(seen, Arg::from),
    ]
}
