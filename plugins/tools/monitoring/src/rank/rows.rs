//! Which rows of a window show the fault. The symptom alone decides: where it is bad, and where it is not.
//!
//! The good rows of the same window are the better comparison: systems drift within weeks, and a baseline may be
//! older than that.

use crate::golden::Measured;

/// From this share of the symptom's range on, a row is bad.
const BAD_FROM: f64 = 0.5;
/// Below this share, it is good. What lies between is neither: a fault that began within the row.
const GOOD_BELOW: f64 = 0.25;
/// A range below this share of what the symptom has risen since the baseline is noise on top of a fault that fills
/// the whole window.
const RANGE_OF_RISE: f64 = 0.33;
/// Noise alone has a range of this many standard deviations in few rows.
const NOISE: f64 = 2.0;
/// From so many rows on a single row is smoothed, so that one outlier is no fault.
const SMOOTHED_FROM: usize = 12;

/// Which rows are which.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Show the fault.
    pub bad: Vec<bool>,
    /// Do not show it.
    pub good: Vec<bool>,
    /// How clearly the symptom divides the window: its range over that of noise. Below 1, it does not.
    pub clarity: f64,
}

impl Rows {
    /// Divides the window by the symptom's value. `floor` is the least spread that the value can be known to. None
    /// when there is no value.
    pub fn of(symptom: &Measured, floor: f64, points_per_row: f64) -> Option<Self> {
        let values = smooth(&symptom.rows);
        let known = || values.iter().copied().flatten();
        let low = known().reduce(f64::min)?;
        let high = known().reduce(f64::max)?;
        let count = known().count();
        let spread =
            symptom.usual.map_or(0.0, |usual| usual.spread) / points_per_row.max(1.0).sqrt();
        // The range of noise grows with the logarithm of the number of rows.
        let noise = (NOISE + (count as f64 / 5.0).max(1.0).ln()) * spread.max(floor);
        let rise = symptom.usual.map_or(0.0, |usual| high - usual.median);
        let range = high - low;
        let needed = noise.max(RANGE_OF_RISE * rise);
        let divided = range >= needed && range > 0.0;
        let share = |value: f64| (value - low) / range;
        let is = |test: &dyn Fn(f64) -> bool| -> Vec<bool> {
            values.iter().map(|value| value.is_some_and(test)).collect()
        };
        Some(if divided {
            Self {
                bad: is(&|value| share(value) >= BAD_FROM),
                good: is(&|value| share(value) < GOOD_BELOW),
                clarity: range / noise.max(f64::MIN_POSITIVE),
            }
        } else {
            Self {
                bad: is(&|_| true),
                good: vec![false; values.len()],
                clarity: range / noise.max(f64::MIN_POSITIVE),
            }
        })
    }

    /// The first row that shows the fault.
    pub fn onset(&self) -> Option<usize> {
        self.bad.iter().position(|bad| *bad)
    }

    /// How many rows show no fault.
    pub fn good_rows(&self) -> usize {
        self.good.iter().filter(|good| **good).count()
    }
}

/// The median of each three, where there are enough rows.
fn smooth(rows: &[Option<f64>]) -> Vec<Option<f64>> {
    if rows.len() < SMOOTHED_FROM {
        return rows.to_vec();
    }
    (0..rows.len())
        .map(|at| {
            let value = rows.get(at).copied().flatten()?;
            let mut three = vec![value];
            for beside in [at.checked_sub(1), at.checked_add(1)].into_iter().flatten() {
                three.extend(rows.get(beside).copied().flatten());
            }
            three.sort_by(f64::total_cmp);
            // At the edges and beside gaps there is no middle; the value stands.
            if three.len() == 3 {
                three.get(1).copied()
            } else {
                Some(value)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Usual;

    fn measured(rows: &[f64], median: f64, spread: f64) -> Measured {
        Measured {
            rows: rows
                .iter()
                .map(|row| row.is_finite().then_some(*row))
                .collect(),
            usual: Some(Usual { median, spread }),
        }
    }

    #[test]
    fn bad_and_good_rows() {
        let rows = Rows::of(&measured(&[1.0, 1.1, 3.0, 2.8, 1.6], 1.0, 0.1), 0.01, 1.0).unwrap();
        assert_eq!(rows.bad, [false, false, true, true, false]);
        assert_eq!(rows.good, [true, true, false, false, false]);
        assert_eq!(rows.onset(), Some(2));
    }

    #[test]
    fn drift_of_the_level_is_no_fault_of_all_rows() {
        let rows = Rows::of(&measured(&[2.0, 2.1, 3.0, 2.9, 2.0], 1.0, 0.1), 0.01, 1.0).unwrap();
        assert_eq!(rows.good, [true, true, false, false, true]);
    }

    #[test]
    fn a_fault_that_fills_the_window_has_no_good_rows() {
        let rows = Rows::of(
            &measured(&[3.0, 3.2, 3.1, f64::NAN, 3.2], 1.0, 0.1),
            0.01,
            1.0,
        )
        .unwrap();
        assert_eq!(rows.bad, [true, true, true, false, true]);
        assert_eq!(rows.good_rows(), 0);
    }

    #[test]
    fn one_outlier_of_many_rows_is_no_fault() {
        let mut values = vec![1.0; 24];
        values[3] = 9.0;
        values[20] = 5.0;
        values[21] = 5.0;
        let rows = Rows::of(&measured(&values, 1.0, 0.1), 0.01, 1.0).unwrap();
        assert_eq!(rows.onset(), Some(20));
        assert!(Rows::of(&measured(&[f64::NAN], 1.0, 1.0), 0.01, 1.0).is_none());
    }
}
