//! Which time is looked at: windows that were given are checked, others are derived from how often is measured.

use crate::settings::Settings;
use crate::source::Source;
use incident_contract::{Window, micros, time};
use mandate_sdk::telemetry::{MetricQuery, Range};
use mandate_sdk::{Error, Timestamp};

/// Microseconds.
pub const SECOND: u64 = 1_000_000;
/// Microseconds.
pub const MINUTE: u64 = 60 * SECOND;
/// Microseconds.
pub const HOUR: u64 = 60 * MINUTE;
/// What is looked at on each side of a moment: so many intervals, and at least so long.
const INTERVALS_AROUND: u64 = 3;
const LEAST_AROUND: u64 = 3 * MINUTE;
/// What is compared with, when nothing was said: so many intervals, and at least so long.
const INTERVALS_BEFORE: u64 = 96;
const LEAST_BEFORE: u64 = HOUR;
/// A window is looked at in at most so many rows: more would follow noise, fewer would miss the onset.
const MOST_ROWS: u64 = 24;
/// Longer windows are a mistake.
const LONGEST: u64 = 366 * 24 * HOUR;

/// A window that was given.
///
/// # Errors
/// [`Error::Invalid`] when it ends before it starts, or is too long.
pub fn given(name: &str, window: Window) -> Result<Range, Error> {
    let (start, end) = (micros(window.start), micros(window.end));
    if start >= end {
        return Err(Error::invalid(format!(
            "{name}: expected an end after the start {}, not {}",
            window.start, window.end
        )));
    }
    if end - start > LONGEST {
        return Err(Error::invalid(format!(
            "{name}: expected at most a year, not {} days",
            (end - start) / (24 * HOUR)
        )));
    }
    Ok(Range { start, end })
}

/// A range as people and other plugins read it.
pub fn told(range: Range) -> Window {
    Window {
        start: time(range.start),
        end: time(range.end),
    }
}

/// What is around a moment, up to now.
pub fn around(at: Timestamp, interval: u64, now: Timestamp) -> Range {
    let side = (INTERVALS_AROUND * interval).max(LEAST_AROUND);
    let start = at.saturating_sub(side);
    // A symptom seen in the future (clocks differ) still gets a window.
    let end = at.saturating_add(side).min(now.max(at));
    Range {
        start,
        end: end.max(start + interval.max(SECOND)),
    }
}

/// What comes before a window.
pub fn before(window: Range, interval: u64) -> Range {
    Range::before(
        window.start,
        (INTERVALS_BEFORE * interval).max(LEAST_BEFORE),
    )
}

/// How long a row of the window is: whole intervals, so that each row has the same number of points.
pub fn row(window: Range, interval: u64) -> u64 {
    let interval = interval.max(1);
    let wanted = window.end.saturating_sub(window.start) / MOST_ROWS;
    wanted.div_ceil(interval).max(1) * interval
}

/// How often the component is measured, in microseconds, around a moment: the median distance of its points. None
/// when there are too few to tell.
///
/// # Errors
/// What reading says.
pub fn interval(
    source: &impl Source,
    settings: &Settings,
    service: &str,
    around: Range,
) -> Result<Option<u64>, Error> {
    let signals = [
        (&settings.latency, &settings.average),
        (&settings.requests, &settings.sum),
        (&settings.availability, &settings.average),
    ];
    for (names, statistic) in signals {
        for name in names {
            let mut query = MetricQuery::raw(name, around).label(&settings.service_label, service);
            if !statistic.is_empty() {
                query = query.label(&settings.statistic_label, statistic);
            }
            for series in source.metrics(&query)? {
                let mut times: Vec<u64> = series.points.iter().map(|point| point.time).collect();
                times.sort_unstable();
                if let Some(found) = median_distance(&times) {
                    return Ok(Some(found));
                }
            }
        }
    }
    Ok(None)
}

fn median_distance(times: &[u64]) -> Option<u64> {
    let mut distances: Vec<u64> = times
        .iter()
        .zip(times.iter().skip(1))
        .map(|(one, next)| next - one)
        .filter(|distance| *distance > 0)
        .collect();
    distances.sort_unstable();
    let found = distances.get(distances.len() / 2).copied()?;
    Some(found.clamp(SECOND, HOUR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_the_interval() {
        let now = 100 * HOUR;
        let coarse = around(50 * HOUR, 5 * MINUTE, now);
        assert_eq!(
            (coarse.start, coarse.end),
            (50 * HOUR - 15 * MINUTE, 50 * HOUR + 15 * MINUTE)
        );
        assert_eq!(row(coarse, 5 * MINUTE), 5 * MINUTE);
        let fine = around(now, 5 * SECOND, now);
        assert_eq!((fine.start, fine.end), (now - 3 * MINUTE, now));
        assert_eq!(row(fine, 5 * SECOND), 10 * SECOND);
        assert_eq!(before(fine, 5 * SECOND).start, fine.start - HOUR);
    }

    #[test]
    fn wrong_windows_are_refused() {
        let window = |start, end| Window {
            start: time(start),
            end: time(end),
        };
        assert!(given("window", window(5, 5)).is_err());
        assert!(given("window", window(0, 2 * LONGEST)).is_err());
        assert!(given("window", window(0, HOUR)).is_ok());
    }

    #[test]
    fn distances_ignore_repeated_and_missing_points() {
        let minute = |n: u64| n * MINUTE;
        let times = [
            minute(0),
            minute(5),
            minute(5),
            minute(10),
            minute(40),
            minute(45),
        ];
        assert_eq!(median_distance(&times), Some(minute(5)));
        assert_eq!(median_distance(&[7]), None);
    }
}
