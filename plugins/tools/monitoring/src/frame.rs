//! Which time is looked at, and how it is split into rows.

use crate::window::MINUTE;
use mandate_sdk::telemetry::Range;

/// Whoever tells of a symptom has seen it within this time. A row is longer than that, or several rows begin in it.
const SEEN_WITHIN: u64 = 2 * MINUTE;

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// What is split into rows.
    pub window: Range,
    /// What is usual.
    pub baseline: Range,
    /// The length of a row, in microseconds.
    pub row: u64,
    /// How often is measured, in microseconds.
    pub interval: u64,
}

impl Frame {
    /// How many rows the window has.
    pub fn rows(&self) -> usize {
        let span = self.window.end.saturating_sub(self.window.start);
        usize::try_from(span.div_ceil(self.row.max(1))).unwrap_or(0)
    }

    /// The row of a bucket that starts at a moment. A store may align buckets to the clock instead of the window:
    /// then the first one starts before it.
    pub fn row_of(&self, time: u64) -> usize {
        let at = time.saturating_sub(self.window.start);
        usize::try_from(at.div_ceil(self.row.max(1)))
            .unwrap_or(usize::MAX)
            .min(self.rows().saturating_sub(1))
    }

    /// Which rows are next to a moment: those that start within two fifths of what is looked at on each side of it, and
    /// not so long before it that a symptom would have been seen in them.
    pub fn near(&self, at: u64) -> Vec<bool> {
        let side = at
            .saturating_sub(self.window.start)
            .max(self.window.end.saturating_sub(at));
        let after = side / 5 * 2;
        let before = after.min(SEEN_WITHIN.max(self.row / 2));
        let rows = (0..self.rows()).map(|row| self.start_of(row));
        rows.map(|start| at.saturating_sub(start) <= before && start.saturating_sub(at) <= after)
            .collect()
    }

    /// When a row starts.
    pub fn start_of(&self, row: usize) -> u64 {
        self.window.start + self.row.saturating_mul(row as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::SECOND;

    #[test]
    fn rows_next_to_a_moment() {
        let near = |window: u64, row: u64, at: u64| {
            let window = Range {
                start: 60 * MINUTE,
                end: 60 * MINUTE + window,
            };
            let frame = Frame {
                window,
                baseline: window,
                row,
                interval: row,
            };
            let near = frame.near(60 * MINUTE + at);
            let first = near.iter().position(|near| *near);
            (first, near.iter().filter(|near| **near).count())
        };
        // Of long rows the one that the moment is in, unless it began long before, and the next.
        let at = 15 * MINUTE;
        assert_eq!(
            near(30 * MINUTE, 5 * MINUTE, at - 20 * SECOND),
            (Some(3), 2)
        );
        assert_eq!(
            near(30 * MINUTE, 5 * MINUTE, at + 10 * SECOND),
            (Some(3), 2)
        );
        assert_eq!(near(30 * MINUTE, 5 * MINUTE, at + 3 * MINUTE), (Some(4), 2));
        // Of short ones, those of a minute on each side.
        assert_eq!(near(6 * MINUTE, 15 * SECOND, 3 * MINUTE), (Some(8), 9));
    }
}
