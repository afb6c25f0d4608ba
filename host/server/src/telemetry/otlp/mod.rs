//! What exporters of OpenTelemetry send, as our points, lines and spans. Nothing of it is refused
//! as a whole: what cannot be kept is left out, counted, and told.

mod attributes;
mod buckets;
mod histogram;
mod logs;
mod metrics;
mod spans;
mod weigh;

pub use histogram::Histograms;
pub use logs::lines;
pub use metrics::points;
pub use spans::spans;
pub use weigh::{Kind, too_many};

use mandate_store::series::{Added, LabelError, check_time};
use mandate_types::Timestamp;

/// What was left out, and why the first of it was.
#[derive(Debug, Default)]
pub struct LeftOut {
    count: u64,
    reason: Option<String>,
}

impl LeftOut {
    fn add(&mut self, count: usize, reason: impl FnOnce() -> String) {
        if count > 0 {
            self.count += count as u64;
            self.reason.get_or_insert_with(reason);
        }
    }

    fn wrong(&mut self, what: &str, error: &LabelError) {
        self.add(1, || format!("{what}: {error}"));
    }

    /// With what the store left out.
    #[must_use]
    pub fn and(mut self, added: Added) -> Self {
        self.count += added.left_out;
        self.reason = self.reason.or(added.reason);
        self
    }

    /// How many, and why; none if nothing was.
    pub fn told(self) -> Option<(i64, String)> {
        (self.count > 0).then(|| {
            let count = i64::try_from(self.count).unwrap_or(i64::MAX);
            (count, self.reason.unwrap_or_default())
        })
    }
}

/// A time in nanoseconds; zero is no time.
fn time(what: &'static str, nanos: u64) -> Result<Timestamp, LabelError> {
    let micros = i64::try_from(nanos / 1_000).unwrap_or(i64::MAX);
    let time = Timestamp::from_micros(if nanos == 0 { -1 } else { micros });
    check_time(what, time).map(|()| time)
}
