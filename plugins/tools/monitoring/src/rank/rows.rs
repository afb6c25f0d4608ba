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
/// So many standard deviations of their mean above the baseline, all rows show the fault.
const ALL_BAD: f64 = 3.0;
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
    /// Divides the window by the symptom's value. `floor` is the least spread that the value can be known to. Where
    /// the value does not tell, `near` does: the rows next to the moment at which the symptom was seen. None when
    /// there is no value.
    pub fn of(symptom: &Measured, floor: f64, points_per_row: f64, near: &[bool]) -> Option<Self> {
        let values = smooth(&symptom.rows);
        let known = || values.iter().copied().flatten();
        let low = known().reduce(f64::min)?;
        // As bad as it is next to the moment: an earlier fault that was worse is none of this one.
        let here = values.iter().zip(near).filter(|(_, near)| **near);
        let here = here.filter_map(|(value, _)| *value).reduce(f64::max);
        let high = here.or_else(|| known().reduce(f64::max))?;
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
        let clarity = range / noise.max(f64::MIN_POSITIVE);
        if divided {
            return Some(Self {
                bad: run_next_to(&is(&|value| share(value) >= BAD_FROM), near),
                good: is(&|value| share(value) < GOOD_BELOW),
                clarity,
            });
        }
        let mean = known().sum::<f64>() / count as f64;
        let since = symptom.usual.map_or(0.0, |usual| mean - usual.median);
        let everywhere = since > ALL_BAD * spread.max(floor) / (count as f64).sqrt();
        let known_and = |wanted: bool| -> Vec<bool> {
            let rows = values.iter().zip(near);
            rows.map(|(value, near)| value.is_some() && *near == wanted)
                .collect()
        };
        let bad = known_and(true);
        Some(if everywhere || !bad.contains(&true) {
            Self {
                bad: is(&|_| true),
                good: vec![false; values.len()],
                clarity,
            }
        } else {
            Self {
                bad,
                good: known_and(false),
                clarity,
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

/// Of several runs of bad rows the one next to the moment at which the symptom was seen; the others are other faults.
/// A single row between two bad ones is part of their run. All of them, when it is not known which rows are near.
fn run_next_to(bad: &[bool], near: &[bool]) -> Vec<bool> {
    let rows: Vec<usize> = (0..near.len())
        .filter(|row| near.get(*row) == Some(&true))
        .collect();
    let Some(moment) = rows.get(rows.len() / 2).copied() else {
        return bad.to_vec();
    };
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for row in (0..bad.len()).filter(|row| bad.get(*row) == Some(&true)) {
        match runs.last_mut() {
            Some((_, last)) if row - *last <= 2 => *last = row,
            _ => runs.push((row, row)),
        }
    }
    let distance = |(first, last): (usize, usize)| {
        if (first..=last).contains(&moment) {
            0
        } else {
            first.abs_diff(moment).min(last.abs_diff(moment))
        }
    };
    let Some((first, last)) = runs.into_iter().rev().min_by_key(|run| distance(*run)) else {
        return bad.to_vec();
    };
    let is = |(row, bad): (usize, &bool)| *bad && (first..=last).contains(&row);
    bad.iter().enumerate().map(is).collect()
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
        let rows = Rows::of(
            &measured(&[1.0, 1.1, 3.0, 2.8, 1.6], 1.0, 0.1),
            0.01,
            1.0,
            &[],
        )
        .unwrap();
        assert_eq!(rows.bad, [false, false, true, true, false]);
        assert_eq!(rows.good, [true, true, false, false, false]);
        assert_eq!(rows.onset(), Some(2));
    }

    #[test]
    fn drift_of_the_level_is_no_fault_of_all_rows() {
        let rows = Rows::of(
            &measured(&[2.0, 2.1, 3.0, 2.9, 2.0], 1.0, 0.1),
            0.01,
            1.0,
            &[],
        )
        .unwrap();
        assert_eq!(rows.good, [true, true, false, false, true]);
    }

    #[test]
    fn a_fault_that_fills_the_window_has_no_good_rows() {
        let rows = Rows::of(
            &measured(&[3.0, 3.2, 3.1, f64::NAN, 3.2], 1.0, 0.1),
            0.01,
            1.0,
            &[],
        )
        .unwrap();
        assert_eq!(rows.bad, [true, true, true, false, true]);
        assert_eq!(rows.good_rows(), 0);
    }

    #[test]
    fn what_the_symptom_does_not_tell_the_moment_does() {
        let near = [false, true, true, true, false];
        let noise = measured(&[1.0, 1.01, 1.02, 1.0, 1.01], 1.0, 0.1);
        let rows = Rows::of(&noise, 0.01, 1.0, &near).unwrap();
        assert_eq!(rows.bad, near);
        assert_eq!(rows.good, [true, false, false, false, true]);
        assert!(rows.clarity < 1.0);
    }

    #[test]
    fn an_earlier_fault_is_another_one() {
        let bad: Vec<bool> = "..bbb.......bb.b........"
            .chars()
            .map(|c| c == 'b')
            .collect();
        let near: Vec<bool> = (0..24).map(|row| row > 12).collect();
        let run = run_next_to(&bad, &near);
        assert_eq!(run.iter().position(|bad| *bad), Some(12));
        assert_eq!(run.iter().filter(|bad| **bad).count(), 3);
        assert_eq!(run_next_to(&bad, &[]), bad);
    }

    #[test]
    fn one_outlier_of_many_rows_is_no_fault() {
        let mut values = vec![1.0; 24];
        values[3] = 9.0;
        values[20] = 5.0;
        values[21] = 5.0;
        let rows = Rows::of(&measured(&values, 1.0, 0.1), 0.01, 1.0, &[]).unwrap();
        assert_eq!(rows.onset(), Some(20));
        assert!(Rows::of(&measured(&[f64::NAN], 1.0, 1.0), 0.01, 1.0, &[]).is_none());
    }
}
