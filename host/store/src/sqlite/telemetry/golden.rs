//! Golden signals from spans, per service and minute, so that causes are found for whoever sends
//! nothing but traces. A minute is counted anew from its spans whenever one of them came, so that
//! spans that come late or twice are counted once.

use super::heads::Heads;
use crate::series::{Aggregation, Point, PointBatch, Range, reduce};
use crate::sqlite::sql::{self, Arg, Columns as _};
use mandate_types::{TenantId, Timestamp};
use sqlx::sqlite::SqliteConnection;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

const MINUTE: i64 = 60_000_000;
/// How long after its end a minute is complete, mostly.
const GRACE: i64 = 5_000_000;
/// How long nothing must have come for a minute before it is counted.
const QUIET: Duration = Duration::from_millis(500);
/// How often it is looked whether a minute can be counted.
const EVERY: Duration = Duration::from_secs(1);
/// How soon it goes on when more minutes wait.
const SOON: Duration = Duration::from_millis(5);
/// Minutes that are counted at once; between, others may write.
const PORTION: usize = 100;
/// Minutes that may wait; of more the golden signals are not derived.
const MOST_WAITING: usize = 100_000;
/// Spans of a minute that are counted.
const MOST_SPANS: i64 = 100_000;

/// The start of the minute of `time`.
pub(super) fn minute(time: Timestamp) -> i64 {
    time.micros().div_euclid(MINUTE) * MINUTE
}

/// A service and the start of a minute.
type Minute = (TenantId, String, i64);

/// Minutes of services whose spans changed.
#[derive(Default)]
pub(super) struct Golden {
    waiting: HashMap<Minute, Instant>,
    next: Option<Instant>,
}

impl Golden {
    /// Spans of these minutes came.
    pub(super) fn mark(&mut self, minutes: impl Iterator<Item = Minute>) {
        let now = Instant::now();
        for minute in minutes {
            if self.waiting.len() < MOST_WAITING || self.waiting.contains_key(&minute) {
                self.waiting.insert(minute, now);
            }
        }
        if !self.waiting.is_empty() {
            self.next.get_or_insert(now + EVERY);
        }
    }

    /// When something may be to do; never if nothing waits.
    pub(super) async fn due(&self) {
        match self.next {
            Some(next) => tokio::time::sleep_until(next).await,
            None => std::future::pending().await,
        }
    }

    /// The golden signals of minutes that are complete.
    pub(super) async fn derive(
        &mut self,
        conn: &mut SqliteConnection,
        heads: &RwLock<Heads>,
    ) -> Result<Vec<(TenantId, PointBatch)>, sqlx::Error> {
        let now = Instant::now();
        let complete = Timestamp::now().micros() - MINUTE - GRACE;
        let ready: Vec<Minute> = self
            .waiting
            .iter()
            .filter(|((_, _, start), touched)| {
                *start <= complete && now.duration_since(**touched) >= QUIET
            })
            .map(|(minute, _)| minute.clone())
            .take(PORTION)
            .collect();
        // When many minutes came at once, they are counted one portion after the other.
        let pause = if ready.len() < PORTION { EVERY } else { SOON };
        self.next = Some(now + pause);
        let mut batches: HashMap<TenantId, PointBatch> = HashMap::new();
        for minute in ready {
            let (tenant, service, start) = &minute;
            let own = {
                let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
                Own::of(&heads, tenant, service)
            };
            let spans = spans(conn, &minute).await?;
            let batch = batches.entry(tenant.clone()).or_default();
            signals(batch, service, *start, &spans, own);
            self.waiting.remove(&minute);
        }
        if self.waiting.is_empty() {
            self.next = None;
        }
        Ok(batches.into_iter().collect())
    }
}

/// Which signals a service sends itself: those are not derived.
#[derive(Clone, Copy, Default)]
struct Own {
    latency: bool,
    requests: bool,
    availability: bool,
}

impl Own {
    fn of(heads: &Heads, tenant: &TenantId, service: &str) -> Self {
        let labels = [("service".to_owned(), service.to_owned())];
        let sends = |metric: &str| {
            heads
                .matching(tenant, metric, &labels)
                .any(|(_, entry)| entry.key.label("source") != Some("spans"))
        };
        Self {
            latency: sends("latency"),
            requests: sends("requests"),
            availability: sends("availability"),
        }
    }
}

/// Duration in seconds, and whether it failed, of the requests of a minute.
async fn spans(
    conn: &mut SqliteConnection,
    (tenant, service, start): &Minute,
) -> Result<Vec<(f64, bool)>, sqlx::Error> {
    const SELECT: &str = "SELECT duration, error FROM spans WHERE tenant = ? AND service = ? AND start >= ? AND start < ? AND entry = 1 LIMIT ?";
    let args = [
        Arg::text(tenant.as_str()),
        Arg::text(service),
        Arg::Int(*start),
        Arg::Int(start.saturating_add(MINUTE)),
        Arg::Int(MOST_SPANS),
    ];
    let rows = sql::rows(conn, SELECT, &args).await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let duration = row.get_count("duration").ok()? as f64 / 1e6;
        Some((duration, row.get_bool("error").ok()?))
    };
    Ok(rows.iter().filter_map(read).collect())
}

fn signals(batch: &mut PointBatch, service: &str, start: i64, spans: &[(f64, bool)], own: Own) {
    let durations: Vec<Point> = spans
        .iter()
        .map(|(value, _)| Point {
            time: start,
            value: *value,
        })
        .collect();
    let range = Range {
        start: Timestamp::from_micros(start),
        end: Timestamp::from_micros(start.saturating_add(MINUTE)),
    };
    let of = |aggregation| {
        let reduced = reduce(durations.clone(), aggregation, range, Duration::ZERO);
        reduced.first().map(|point| point.value)
    };
    let mut put = |metric: &str, statistic: &str, value: Option<f64>| {
        let mut labels = [
            ("service", service),
            ("source", "spans"),
            ("statistic", statistic),
        ];
        // A service's name was checked when its span came.
        if let (Some(value), Ok(())) = (value, batch.series(metric, &mut labels)) {
            batch.point(start, value);
        }
    };
    if !own.latency {
        put("latency", "Average", of(Aggregation::Mean));
        for (statistic, q) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)] {
            put("latency", statistic, of(Aggregation::Quantile(q)));
        }
    }
    let count = of(Aggregation::Count);
    if !own.requests {
        put("requests", "Sum", count);
    }
    if !own.availability {
        let failed = spans.iter().filter(|(_, error)| *error).count();
        let available = count.map(|count| 100.0 * (1.0 - failed as f64 / count));
        put("availability", "Average", available);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_signals() {
        let mut batch = PointBatch::default();
        let spans = [(0.1, false), (0.3, false), (0.2, true), (0.4, false)];
        signals(&mut batch, "shop", 60_000_000, &spans, Own::default());
        let said: Vec<String> = batch
            .sorted()
            .iter()
            .map(|(key, points)| {
                let value = points[0].value;
                let statistic = key.label("statistic").unwrap();
                assert_eq!(
                    (key.label("source"), points[0].time),
                    (Some("spans"), 60_000_000)
                );
                format!("{} {statistic} {value:.3}", key.metric())
            })
            .collect();
        assert_eq!(
            said,
            [
                "latency Average 0.250",
                "latency p50 0.250",
                "latency p90 0.370",
                "latency p95 0.385",
                "latency p99 0.397",
                "requests Sum 4.000",
                "availability Average 75.000"
            ]
        );
    }

    #[test]
    fn what_a_service_sends_itself_is_not_derived() {
        let mut batch = PointBatch::default();
        let own = Own {
            latency: true,
            requests: true,
            availability: false,
        };
        signals(&mut batch, "shop", 0, &[(0.1, false)], own);
        assert_eq!(batch.points(), 1);
    }
}
