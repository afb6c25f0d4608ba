//! What becomes of the points of a bucket: pure arithmetic over points in the order of time.

use super::{Point, Range};
use std::time::Duration;

/// What becomes of the points of a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregation {
    /// The points as they came; there are no buckets.
    Raw,
    /// Their mean.
    Mean,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// Their sum.
    Sum,
    /// How many there are.
    Count,
    /// How fast a counter rose, per second: over the intervals between neighbouring points whose
    /// later one is in the bucket. A fall is a counter that began anew at zero.
    Rate,
    /// 0–1, between points interpolated.
    Quantile(f64),
}

/// Reduces the points of a series that are in `range`, in the order of time, to one per bucket.
pub fn reduce(
    points: Vec<Point>,
    aggregation: Aggregation,
    range: Range,
    step: Duration,
) -> Vec<Point> {
    if aggregation == Aggregation::Raw {
        return points;
    }
    let (start, end) = (range.start.micros(), range.end.micros());
    let whole = end.saturating_sub(start).max(1);
    let step = match i64::try_from(step.as_micros()) {
        Ok(0) | Err(_) => whole,
        Ok(step) => step.min(whole),
    };
    let mut buckets = Vec::new();
    let mut scratch = Vec::new();
    let mut before: Option<Point> = None;
    let mut rest = points.as_slice();
    while let Some(first) = rest.first() {
        let number = first.time.saturating_sub(start).div_euclid(step);
        let time = start.saturating_add(number.saturating_mul(step));
        let next = time.saturating_add(step);
        // The first point is before `next`, but for times at the end of all time.
        let count = rest.partition_point(|point| point.time < next).max(1);
        let (chunk, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        rest = later;
        let value = match aggregation {
            Aggregation::Rate => rate(before, chunk),
            other => summed_up(other, chunk, &mut scratch),
        };
        before = chunk.last().copied();
        if let Some(value) = value {
            buckets.push(Point { time, value });
        }
    }
    buckets
}

fn summed_up(aggregation: Aggregation, points: &[Point], scratch: &mut Vec<f64>) -> Option<f64> {
    let values = points.iter().map(|point| point.value);
    let count = points.len() as f64;
    let value = match aggregation {
        Aggregation::Raw | Aggregation::Rate => return None,
        Aggregation::Mean => values.sum::<f64>() / count,
        Aggregation::Minimum => values.fold(f64::INFINITY, f64::min),
        Aggregation::Maximum => values.fold(f64::NEG_INFINITY, f64::max),
        Aggregation::Sum => values.sum(),
        Aggregation::Count => count,
        Aggregation::Quantile(q) => {
            scratch.clear();
            scratch.extend(values);
            quantile(scratch, q)?
        }
    };
    // A sum of finite values may not be finite.
    value.is_finite().then_some(value)
}

/// The quantile `q` of `values`, which are put into another order; none of none.
fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    let part = place - below as f64;
    if part == 0.0 || !high.is_finite() {
        return Some(low);
    }
    Some(low + (high - low) * part)
}

/// How fast a counter rose in `points`, seen from the point before them.
fn rate(before: Option<Point>, points: &[Point]) -> Option<f64> {
    let mut last = before;
    let (mut rise, mut micros) = (0.0, 0_i64);
    for point in points {
        if let Some(last) = last {
            let step = point.value - last.value;
            rise += if step < 0.0 { point.value } else { step };
            micros = micros.saturating_add(point.time.saturating_sub(last.time));
        }
        last = Some(*point);
    }
    let rate = rise / (micros as f64 / 1e6);
    (micros > 0 && rate.is_finite()).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::Timestamp;

    fn of(aggregation: Aggregation, values: &[(i64, f64)], step_s: u64) -> Vec<(i64, f64)> {
        let points = values
            .iter()
            .map(|(time, value)| Point {
                time: time * 1_000_000,
                value: *value,
            })
            .collect();
        let range = Range {
            start: Timestamp::from_micros(0),
            end: Timestamp::from_micros(100_000_000),
        };
        reduce(points, aggregation, range, Duration::from_secs(step_s))
            .into_iter()
            .map(|point| (point.time / 1_000_000, point.value))
            .collect()
    }

    const SOME: [(i64, f64); 5] = [(1, 4.0), (2, 1.0), (3, 3.0), (31, 7.0), (32, 9.0)];

    #[test]
    fn each_bucket_is_summed_up_and_empty_ones_are_absent() {
        use Aggregation::{Count, Maximum, Mean, Minimum, Quantile, Raw, Sum};
        assert_eq!(of(Sum, &SOME, 10), [(0, 8.0), (30, 16.0)]);
        assert_eq!(of(Mean, &SOME, 50), [(0, 4.8)]);
        assert_eq!(of(Minimum, &SOME, 10), [(0, 1.0), (30, 7.0)]);
        assert_eq!(of(Maximum, &SOME, 10), [(0, 4.0), (30, 9.0)]);
        assert_eq!(of(Count, &SOME, 10), [(0, 3.0), (30, 2.0)]);
        assert_eq!(of(Quantile(0.5), &SOME, 10), [(0, 3.0), (30, 8.0)]);
        assert_eq!(of(Quantile(1.0), &SOME, 10), [(0, 4.0), (30, 9.0)]);
        assert_eq!(of(Raw, &SOME, 10), SOME);
    }

    #[test]
    fn no_step_or_a_long_one_is_one_bucket() {
        assert_eq!(of(Aggregation::Count, &SOME, 0), [(0, 5.0)]);
        assert_eq!(of(Aggregation::Count, &SOME, 100), [(0, 5.0)]);
        assert_eq!(of(Aggregation::Count, &SOME, 1_000_000), [(0, 5.0)]);
        assert!(of(Aggregation::Count, &[], 0).is_empty());
    }

    #[test]
    fn a_counter_that_begins_anew_does_not_fall() {
        let counter = [(0, 100.0), (10, 150.0), (20, 10.0), (30, 30.0)];
        assert_eq!(of(Aggregation::Rate, &counter, 0), [(0, 80.0 / 30.0)]);
        // The first bucket has no interval; the others reach back to the point before.
        assert_eq!(
            of(Aggregation::Rate, &counter, 10),
            [(10, 5.0), (20, 1.0), (30, 2.0)]
        );
        assert!(of(Aggregation::Rate, &counter[..1], 0).is_empty());
    }

    #[test]
    fn quantiles_are_interpolated() {
        let values: Vec<(i64, f64)> = (0..11).map(|n| (n, n as f64)).collect();
        assert_eq!(of(Aggregation::Quantile(0.99), &values, 0), [(0, 9.9)]);
        assert_eq!(of(Aggregation::Quantile(0.0), &values, 0), [(0, 0.0)]);
    }

    #[test]
    fn a_sum_beyond_all_numbers_is_missing() {
        let huge = [(0, f64::MAX), (1, f64::MAX)];
        assert!(of(Aggregation::Sum, &huge, 0).is_empty());
    }
}
