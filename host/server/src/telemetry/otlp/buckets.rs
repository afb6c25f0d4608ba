//! How often values of which size were measured: histograms of both kinds as one, their quantiles,
//! and what came between two of them.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets as Side;
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, HistogramDataPoint};
use std::collections::BTreeMap;

/// The most buckets of one histogram.
const MOST: usize = 1_024;

/// How the buckets are cut.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    /// At these bounds; the last bucket has none.
    Explicit { bounds: Vec<f64>, counts: Vec<u64> },
    /// At the powers of 2^(2^-scale).
    Exponential {
        scale: i32,
        zero: u64,
        positive: BTreeMap<i32, u64>,
        negative: BTreeMap<i32, u64>,
    },
}

/// A histogram.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Buckets {
    shape: Shape,
    pub(super) sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
}

impl Buckets {
    pub(super) fn explicit(point: &HistogramDataPoint) -> Result<Self, String> {
        let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
        let fits = counts.len() == bounds.len() + 1 || (counts.is_empty() && bounds.is_empty());
        if !fits || counts.len() > MOST {
            return Err(format!(
                "expected at most {MOST} buckets and one bound less, found {} and {}",
                counts.len(),
                bounds.len()
            ));
        }
        if !bounds.is_sorted_by(|a, b| a < b) || bounds.iter().any(|bound| bound.is_nan()) {
            return Err("expected bounds that increase".to_owned());
        }
        let counts = if counts.is_empty() {
            vec![point.count]
        } else {
            counts.clone()
        };
        Ok(Self {
            shape: Shape::Explicit {
                bounds: bounds.clone(),
                counts,
            },
            sum: point.sum,
            min: point.min,
            max: point.max,
        })
    }

    pub(super) fn exponential(point: &ExponentialHistogramDataPoint) -> Result<Self, String> {
        let side = |side: &Option<Side>| -> Result<BTreeMap<i32, u64>, String> {
            let Some(side) = side else {
                return Ok(BTreeMap::new());
            };
            if side.bucket_counts.len() > MOST {
                return Err(format!(
                    "expected at most {MOST} buckets, found {}",
                    side.bucket_counts.len()
                ));
            }
            let indices = (0..).map(|place: i32| side.offset.saturating_add(place));
            let filled = indices.zip(side.bucket_counts.iter().copied());
            Ok(filled.filter(|(_, count)| *count > 0).collect())
        };
        if !(-10..=20).contains(&point.scale) {
            return Err(format!(
                "expected a scale from -10 to 20, found {}",
                point.scale
            ));
        }
        Ok(Self {
            shape: Shape::Exponential {
                scale: point.scale,
                zero: point.zero_count,
                positive: side(&point.positive)?,
                negative: side(&point.negative)?,
            },
            sum: point.sum,
            min: point.min,
            max: point.max,
        })
    }

    /// How much it weighs in memory.
    pub(super) fn weight(&self) -> usize {
        match &self.shape {
            Shape::Explicit { counts, .. } => 8 + 2 * counts.len(),
            Shape::Exponential {
                positive, negative, ..
            } => 8 + 4 * (positive.len() + negative.len()),
        }
    }

    /// How many values were measured.
    pub(super) fn count(&self) -> u64 {
        let sum = |counts: &mut dyn Iterator<Item = &u64>| {
            counts.fold(0_u64, |all, count| all.saturating_add(*count))
        };
        match &self.shape {
            Shape::Explicit { counts, .. } => sum(&mut counts.iter()),
            Shape::Exponential {
                zero,
                positive,
                negative,
                ..
            } => sum(&mut positive.values().chain(negative.values()).chain([zero])),
        }
    }

    /// What was measured since `before`; none if this began anew, or is cut otherwise.
    pub(super) fn since(&self, before: &Self) -> Option<Self> {
        let shape = match (&self.shape, &before.shape) {
            (
                Shape::Explicit { bounds, counts },
                Shape::Explicit {
                    bounds: old_bounds,
                    counts: old,
                },
            ) if bounds == old_bounds => {
                let less = counts
                    .iter()
                    .zip(old)
                    .map(|(new, old)| new.checked_sub(*old));
                Shape::Explicit {
                    bounds: bounds.clone(),
                    counts: less.collect::<Option<_>>()?,
                }
            }
            (
                Shape::Exponential {
                    scale,
                    zero,
                    positive,
                    negative,
                },
                Shape::Exponential {
                    scale: old_scale,
                    zero: old_zero,
                    positive: old_positive,
                    negative: old_negative,
                },
            ) => {
                // The coarser of the two; halving the resolution halves the index.
                let common = *scale.min(old_scale);
                let less = |new, old| {
                    less(
                        &coarser(new, scale - common),
                        &coarser(old, old_scale - common),
                    )
                };
                Shape::Exponential {
                    scale: common,
                    zero: zero.checked_sub(*old_zero)?,
                    positive: less(positive, old_positive)?,
                    negative: less(negative, old_negative)?,
                }
            }
            _ => return None,
        };
        Some(Self {
            shape,
            sum: self.sum.zip(before.sum).map(|(new, old)| new - old),
            // These are of the whole time.
            min: None,
            max: None,
        })
    }

    /// The mean; none of nothing.
    pub(super) fn average(&self) -> Option<f64> {
        let count = self.count() as f64;
        self.sum
            .map(|sum| sum / count)
            .filter(|mean| count > 0.0 && mean.is_finite())
    }

    /// Lower bound, upper bound and count of each bucket that is not empty, in order.
    fn list(&self) -> Vec<(f64, f64, u64)> {
        let mut list = Vec::new();
        match &self.shape {
            Shape::Explicit { bounds, counts } => {
                for (place, count) in counts.iter().enumerate() {
                    let above = bounds.get(place).copied();
                    let below = place
                        .checked_sub(1)
                        .and_then(|place| bounds.get(place))
                        .copied();
                    // Beyond the outermost bounds nothing is known but least and greatest.
                    let low = below
                        .or(self.min)
                        .or_else(|| above.map(|above| above.min(0.0)))
                        .unwrap_or(f64::NAN);
                    let high = above.or(self.max).or(below).unwrap_or(f64::NAN);
                    list.push((low, high, *count));
                }
            }
            Shape::Exponential {
                scale,
                zero,
                positive,
                negative,
            } => {
                let bound = |index: i32| {
                    let power = f64::from(index) * f64::from(-scale).exp2();
                    power.exp2().min(f64::MAX)
                };
                let next = |index: i32| bound(index.saturating_add(1));
                let below = negative.iter().rev();
                list.extend(below.map(|(index, count)| (-next(*index), -bound(*index), *count)));
                list.push((0.0, 0.0, *zero));
                let above = positive.iter();
                list.extend(above.map(|(index, count)| (bound(*index), next(*index), *count)));
            }
        }
        list.retain(|(_, _, count)| *count > 0);
        list
    }

    /// The quantile `q`, as well as the buckets tell: values are taken to lie evenly in theirs.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let wanted = q * self.count() as f64;
        let mut below = 0.0;
        let list = self.list();
        for (place, (low, high, count)) in list.iter().enumerate() {
            let count = *count as f64;
            if below + count >= wanted || place + 1 == list.len() {
                let part = ((wanted - below) / count).clamp(0.0, 1.0);
                // Least and greatest are known better than the bounds of their buckets.
                let low = self.min.map_or(*low, |min| low.max(min));
                let high = self.max.map_or(*high, |max| high.min(max)).max(low);
                let value = low + (high - low) * part;
                return value.is_finite().then_some(value);
            }
            below += count;
        }
        None
    }
}

/// The same buckets with their indices halved so many times.
fn coarser(buckets: &BTreeMap<i32, u64>, times: i32) -> BTreeMap<i32, u64> {
    let mut all = BTreeMap::new();
    for (index, count) in buckets {
        let sum: &mut u64 = all.entry(index >> times.clamp(0, 31)).or_default();
        *sum = sum.saturating_add(*count);
    }
    all
}

fn less(new: &BTreeMap<i32, u64>, old: &BTreeMap<i32, u64>) -> Option<BTreeMap<i32, u64>> {
    if old.keys().any(|index| !new.contains_key(index)) {
        return None;
    }
    new.iter()
        .map(|(index, count)| {
            let old = old.get(index).copied().unwrap_or_default();
            Some((*index, count.checked_sub(old)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explicit(bounds: &[f64], counts: &[u64], sum: f64) -> Buckets {
        Buckets::explicit(&HistogramDataPoint {
            explicit_bounds: bounds.to_vec(),
            bucket_counts: counts.to_vec(),
            count: counts.iter().sum(),
            sum: Some(sum),
            ..HistogramDataPoint::default()
        })
        .unwrap()
    }

    fn exponential(scale: i32, offset: i32, counts: &[u64]) -> Buckets {
        Buckets::exponential(&ExponentialHistogramDataPoint {
            scale,
            positive: Some(Side {
                offset,
                bucket_counts: counts.to_vec(),
            }),
            ..ExponentialHistogramDataPoint::default()
        })
        .unwrap()
    }

    #[test]
    fn quantiles_lie_in_their_bucket() {
        let buckets = explicit(&[0.1, 0.2, 0.4], &[50, 40, 10, 0], 15.0);
        assert_eq!(buckets.quantile(0.5), Some(0.1));
        assert!((buckets.quantile(0.7).unwrap() - 0.15).abs() < 1e-9);
        assert_eq!(buckets.quantile(1.0), Some(0.4));
        assert_eq!(buckets.average(), Some(0.15));
        // What is beyond the last bound is at least that.
        assert_eq!(explicit(&[0.1], &[0, 5], 1.0).quantile(0.9), Some(0.1));
        assert_eq!(explicit(&[0.1], &[0, 0], 0.0).quantile(0.9), None);
        assert_eq!(explicit(&[0.1], &[0, 0], 0.0).average(), None);
    }

    #[test]
    fn least_and_greatest_narrow_their_buckets() {
        let mut buckets = explicit(&[0.0, 5.0], &[0, 100, 0], 5.0);
        (buckets.min, buckets.max) = (Some(0.01), Some(0.11));
        assert!((buckets.quantile(0.5).unwrap() - 0.06).abs() < 1e-9);
        assert_eq!(buckets.quantile(1.0), Some(0.11));
        (buckets.min, buckets.max) = (Some(f64::NAN), Some(-7.0));
        assert!(buckets.quantile(0.5).is_none_or(f64::is_finite));
    }

    #[test]
    fn what_came_between_two_is_their_difference() {
        let old = explicit(&[1.0, 2.0], &[10, 0, 0], 5.0);
        let new = explicit(&[1.0, 2.0], &[10, 4, 0], 11.0);
        let interval = new.since(&old).unwrap();
        assert_eq!((interval.count(), interval.average()), (4, Some(1.5)));
        assert_eq!(interval.quantile(0.5), Some(1.5));
        assert_eq!(old.since(&new), None, "it began anew");
        assert_eq!(new.since(&explicit(&[1.0], &[1, 1], 1.0)), None);
    }

    #[test]
    fn exponential_buckets_are_powers() {
        // Scale 0: (1, 2], (2, 4], (4, 8].
        let buckets = exponential(0, 0, &[1, 2, 1]);
        assert_eq!(buckets.quantile(0.5), Some(3.0));
        assert_eq!(buckets.quantile(1.0), Some(8.0));
        // The coarser of two scales counts: scale 1 cuts each of them in two.
        let finer = exponential(1, 0, &[1, 0, 1, 1, 1, 0]);
        let coarse = exponential(0, 0, &[1, 1, 1]);
        let interval = finer.since(&coarse).unwrap();
        assert_eq!(interval.count(), 1);
        assert!(
            interval
                .quantile(0.5)
                .is_some_and(|value| (2.0..=4.0).contains(&value))
        );
        let huge = exponential(-10, i32::MAX - 1, &[1, 1, 1]);
        assert!(huge.quantile(0.5).is_none_or(f64::is_finite));
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        let bad = |bounds: &[f64], counts: usize| {
            Buckets::explicit(&HistogramDataPoint {
                explicit_bounds: bounds.to_vec(),
                bucket_counts: vec![1; counts],
                ..HistogramDataPoint::default()
            })
            .is_err()
        };
        assert!(bad(&[1.0], 1) && bad(&[2.0, 1.0], 3) && bad(&[f64::NAN], 2));
        assert!(bad(&(0..2000).map(f64::from).collect::<Vec<_>>(), 2001));
    }
}
