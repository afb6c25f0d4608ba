//! What cumulative histograms held last, so that quantiles are of the time since then and not since
//! the sender began.

use super::buckets::Buckets;
use mandate_store::series::Key;
use mandate_types::TenantId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Numbers that are kept in all; with more, all are forgotten, which costs one interval.
const MOST: usize = 4 << 20;
/// A sender that began this lately has told all since then: the interval is known.
const LATELY: i64 = 5 * 60 * 1_000_000;

struct Last {
    start: i64,
    time: i64,
    buckets: Buckets,
}

/// The last of each cumulative histogram.
#[derive(Default)]
pub struct Histograms(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    last: HashMap<(TenantId, Key), Last>,
    /// Numbers in all of them.
    weight: usize,
}

impl Histograms {
    /// What was measured between the last point and this one, which becomes the last. None if the
    /// interval is not known: the first point of a sender that began long ago, or one that came
    /// before.
    pub(super) fn interval(
        &self,
        tenant: &TenantId,
        key: Key,
        start: i64,
        time: i64,
        buckets: Buckets,
    ) -> Option<Buckets> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (tenant.clone(), key);
        let since_start =
            || (start > 0 && time.saturating_sub(start) <= LATELY).then(|| buckets.clone());
        let interval = match kept.last.get(&place) {
            Some(last) if time <= last.time => return None,
            Some(last) if last.start == start => buckets.since(&last.buckets).or_else(since_start),
            _ => since_start(),
        };
        if kept.weight > MOST {
            *kept = Kept::default();
        }
        kept.weight += buckets.weight();
        let last = Last {
            start,
            time,
            buckets,
        };
        if let Some(old) = kept.last.insert(place, last) {
            kept.weight = kept.weight.saturating_sub(old.buckets.weight());
        }
        interval.filter(|interval| interval.count() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint;

    const MINUTE: i64 = 60_000_000;

    fn tell(histograms: &Histograms, start: i64, time: i64, counts: [u64; 2]) -> Option<u64> {
        let buckets = Buckets::explicit(&HistogramDataPoint {
            explicit_bounds: vec![1.0],
            bucket_counts: counts.to_vec(),
            ..HistogramDataPoint::default()
        });
        let key = Key::new("m", &mut []).unwrap();
        let tenant = TenantId::default_tenant();
        let interval = histograms.interval(&tenant, key, start, time, buckets.unwrap());
        interval.map(|interval| interval.count())
    }

    #[test]
    fn only_intervals_that_are_known_are_told() {
        let all = Histograms::default();
        assert_eq!(tell(&all, 1, 100 * MINUTE, [5, 5]), None, "began long ago");
        assert_eq!(tell(&all, 1, 101 * MINUTE, [6, 7]), Some(3));
        assert_eq!(tell(&all, 1, 101 * MINUTE, [6, 7]), None, "came before");
        assert_eq!(
            tell(&all, 1, 102 * MINUTE, [6, 7]),
            None,
            "nothing was measured"
        );
        let start = 102 * MINUTE;
        assert_eq!(
            tell(&all, start, 103 * MINUTE, [2, 0]),
            Some(2),
            "began anew"
        );
        assert_eq!(tell(&all, start, 104 * MINUTE, [2, 1]), Some(1));
    }
}
