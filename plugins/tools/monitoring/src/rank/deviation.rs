//! How far each component is from what is usual in the bad rows: how much slower, how many requests fail more, how
//! its traffic changed; and how surprising that is.

use super::graph::Graph;
use super::rows::Rows;
use crate::golden::{Golden, Measured, Picture};

/// What is told to others is capped: beyond it only says “far”.
pub const MOST_SCORE: f64 = 1_000.0;
/// No latency is known better than to this share of itself.
const LEAST_SPREAD: f64 = 0.03;
/// The spread of what was never measured before, as a share of its value.
const UNKNOWN_SPREAD: f64 = 0.2;
/// How much an old baseline says against the rows just before, where there are such rows.
const BASELINE_SHARE: f64 = 0.25;
/// At a score of so many standard deviations, a rise counts half.
const HALF_AT: f64 = 1.0;
/// Fewer requests than these are too few to miss some.
const LEAST_TRAFFIC: f64 = 5.0;
/// A smaller share of lost requests is fluctuation.
const LEAST_LOST: f64 = 0.05;

/// How a value changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// By how much it rose; negative when it fell.
    pub rise: f64,
    /// The rise in robust standard deviations of itself.
    pub score: f64,
    /// In the bad rows; none when there is nothing.
    pub observed: Option<f64>,
    /// In the baseline, else in the good rows.
    pub usual: Option<f64>,
}

impl Change {
    /// How much of the rise is believed: 0 when it is none or noise, towards 1 when it is clear.
    pub fn belief(&self) -> f64 {
        belief(self.score)
    }
}

/// 0 when a score is noise, 0.5 at [`HALF_AT`], towards 1 when it is clear.
pub fn belief(score: f64) -> f64 {
    if score > 0.0 {
        let square = score * score;
        square / (square + HALF_AT * HALF_AT)
    } else {
        0.0
    }
}

/// What changed at a component.
#[derive(Clone, Debug, Default)]
pub struct Deviation {
    /// Its latency.
    pub latency: Change,
    /// Its slowest answers.
    pub tail: Change,
    /// The percentage of its requests that fail.
    pub failing: Change,
    /// Requests in an interval, in the bad rows.
    pub traffic: f64,
    /// The same in the baseline; 0 when there is none.
    pub usual_traffic: f64,
    /// Time that all requests of an interval take more than usual.
    pub extra_time: f64,
    /// Requests of an interval that fail more than usual.
    pub failures: f64,
    /// Requests of an interval that no longer come in, though the symptom's traffic is there.
    pub lost: f64,
    /// Nobody called it before: its caller behaves differently.
    pub new: bool,
    /// How much its traffic has grown, as a factor, where that is no fluctuation.
    pub growth: Option<f64>,
    /// Whether there is any of its signals in the bad rows.
    pub measured: bool,
}

/// A factor from which on traffic has grown; systems breathe below it.
const GROWN: f64 = 1.3;
/// And so many standard deviations.
const GROWN_SCORE: f64 = 5.0;

/// What changed at each component of the graph.
pub fn of_all(picture: &Picture, graph: &Graph, rows: &Rows) -> Vec<Deviation> {
    let nothing = Golden::default();
    let golden = |name: &str| picture.components.get(name).unwrap_or(&nothing);
    // Where nobody counts requests, one call per request of the symptom is as good as any other guess.
    let reference = traffic(&golden(graph.name(0)).requests, rows).unwrap_or(Traffic {
        bad: 1.0,
        before: 1.0,
        usual: 1.0,
        spread: 1.0,
        counted: false,
    });
    let steady = (reference.bad / reference.before.max(f64::MIN_POSITIVE)).min(1.0);
    graph
        .names
        .iter()
        .map(|name| {
            one(
                golden(name),
                rows,
                picture.points_per_row,
                &reference,
                steady,
            )
        })
        .collect()
}

/// Requests in an interval.
#[derive(Clone, Copy)]
struct Traffic {
    bad: f64,
    /// In the good rows or the baseline, whichever is less.
    before: f64,
    usual: f64,
    spread: f64,
    counted: bool,
}

fn traffic(requests: &Measured, rows: &Rows) -> Option<Traffic> {
    let bad = mean(&requests.rows, &rows.bad, None);
    let good = mean(&requests.rows, &rows.good, None);
    if bad.is_none() && good.is_none() && requests.usual.is_none() {
        return None;
    }
    let usual = requests.usual.map_or(0.0, |usual| usual.median);
    let spread = requests.usual.map_or(0.0, |usual| usual.spread);
    Some(Traffic {
        bad: bad.unwrap_or(0.0),
        before: good.map_or(usual, |good| good.min(usual)),
        usual: good.map_or(usual, |good| good.max(usual)),
        // Counts fluctuate at least like this.
        spread: spread.max(usual.max(1.0).sqrt()),
        counted: true,
    })
}

fn one(
    golden: &Golden,
    rows: &Rows,
    points_per_row: f64,
    reference: &Traffic,
    steady: f64,
) -> Deviation {
    let own = traffic(&golden.requests, rows).unwrap_or(Traffic {
        counted: false,
        ..*reference
    });
    let weights = own.counted.then_some(&golden.requests.rows);
    let change = |measured: &Measured, floor: f64| {
        change(
            measured,
            rows,
            weights.map(Vec::as_slice),
            floor,
            points_per_row,
        )
    };
    let floor = |measured: &Measured| {
        measured
            .usual
            .map_or(0.0, |usual| usual.median.abs() * LEAST_SPREAD)
    };
    let latency = change(&golden.latency, floor(&golden.latency));
    let tail = change(&golden.tail, floor(&golden.tail));
    // One request more or less that fails is no news.
    let failing = change(&golden.failing, 100.0 / own.bad.max(1.0));
    let lost = {
        let lost = own.before * steady - own.bad;
        let counts = own.counted && own.before >= LEAST_TRAFFIC && lost > LEAST_LOST * own.before;
        if counts {
            lost * belief(lost / own.spread)
        } else {
            0.0
        }
    };
    let growth = (
        own.bad / own.usual.max(1.0),
        (own.bad - own.usual) / own.spread,
    );
    let has_grown =
        own.counted && own.usual >= LEAST_TRAFFIC && growth.0 > GROWN && growth.1 > GROWN_SCORE;
    let all = [&golden.latency, &golden.failing, &golden.requests];
    let in_rows = |measured: &Measured, which: &[bool]| mean(&measured.rows, which, None).is_some();
    Deviation {
        extra_time: latency.rise.max(0.0) * own.bad,
        failures: failing.rise.max(0.0) * own.bad / 100.0,
        latency,
        tail,
        failing,
        traffic: own.bad,
        usual_traffic: own.usual,
        lost,
        new: own.counted && reference.usual >= 1.0 && own.usual < 1.0 && own.bad > 0.0,
        growth: has_grown.then_some(growth.0),
        measured: all.iter().any(|measured| in_rows(measured, &rows.bad)),
    }
}

/// How a value changed from what is usual to the bad rows, each row weighted by its requests.
pub fn change(
    measured: &Measured,
    rows: &Rows,
    requests: Option<&[Option<f64>]>,
    floor: f64,
    points_per_row: f64,
) -> Change {
    let Some(bad) = mean(&measured.rows, &rows.bad, requests) else {
        return Change {
            usual: measured.usual.map(|usual| usual.median),
            ..Change::default()
        };
    };
    let good = mean(&measured.rows, &rows.good, requests);
    let points = |which: &[bool]| {
        let known = measured
            .rows
            .iter()
            .zip(which)
            .filter(|(row, is)| row.is_some() && **is);
        (known.count() as f64 * points_per_row).max(1.0)
    };
    let median = measured.usual.map(|usual| usual.median);
    let usual_spread = measured.usual.map_or(0.0, |usual| usual.spread);
    // The floor is noise of its own kind (rounding, counting), beside what the baseline shows.
    let spread = usual_spread.hypot(floor);
    let spread = if spread > 0.0 {
        spread
    } else {
        (UNKNOWN_SPREAD * good.or(median).unwrap_or(bad).abs()).max(f64::MIN_POSITIVE)
    };
    let (rise, noise) = match (good, median) {
        (Some(good), median) => {
            let rise = bad - good;
            let noise = spread * (1.0 / points(&rows.bad) + 1.0 / points(&rows.good)).sqrt();
            let rise = match median {
                // An old baseline may be off by any amount, but never turns a rise around.
                Some(median) if rise > 0.0 => {
                    let since = (bad - median).clamp(0.0, 2.0 * rise);
                    (1.0 - BASELINE_SHARE) * rise + BASELINE_SHARE * since
                }
                _ => rise,
            };
            (rise, noise)
        }
        (None, Some(median)) => (bad - median, spread / points(&rows.bad).sqrt()),
        (None, None) => (bad, spread),
    };
    Change {
        rise,
        score: (rise / noise.max(f64::MIN_POSITIVE)).clamp(-MOST_SCORE, MOST_SCORE),
        observed: Some(bad),
        usual: median.or(good),
    }
}

/// The mean over some rows, weighted by requests where they are counted. A count that is missing is unknown, not none:
/// it counts like those that are known.
fn mean(values: &[Option<f64>], which: &[bool], requests: Option<&[Option<f64>]>) -> Option<f64> {
    let known = || requests.into_iter().flatten().copied().flatten();
    let unknown = match known().count() {
        0 => 1.0,
        count => known().sum::<f64>() / count as f64,
    };
    let (mut sum, mut weight) = (0.0, 0.0);
    for (at, (value, _)) in values
        .iter()
        .zip(which)
        .enumerate()
        .filter(|(_, (_, is))| **is)
    {
        let Some(value) = value else { continue };
        let share = match requests {
            Some(requests) => requests
                .get(at)
                .copied()
                .flatten()
                .unwrap_or(unknown)
                .max(0.0),
            None => 1.0,
        };
        sum += value * share;
        weight += share;
    }
    (weight > 0.0).then(|| sum / weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Usual;

    fn rows() -> Rows {
        Rows {
            bad: vec![false, false, true, true],
            good: vec![true, true, false, false],
            clarity: 5.0,
        }
    }

    fn measured(rows: [f64; 4], median: f64, spread: f64) -> Measured {
        Measured {
            rows: rows
                .iter()
                .map(|row| row.is_finite().then_some(*row))
                .collect(),
            usual: Some(Usual { median, spread }),
        }
    }

    #[test]
    fn an_old_level_does_not_accuse() {
        let drifted = measured([3.0, 3.1, 3.0, 3.1], 1.0, 0.1);
        let change = change(&drifted, &rows(), None, 0.0, 1.0);
        assert!(change.belief() < 0.1, "{change:?}");
        assert_eq!(change.usual, Some(1.0));
        let slow = measured([3.0, 3.0, 5.0, 5.0], 1.0, 0.1);
        let change = super::change(&slow, &rows(), None, 0.0, 1.0);
        assert!(change.rise >= 2.0 && change.belief() > 0.9, "{change:?}");
    }

    #[test]
    fn rows_count_by_their_requests() {
        let slow = measured([1.0, 1.0, 5.0, 1.0], 1.0, 0.1);
        let requests = [Some(10.0), Some(10.0), Some(90.0), Some(10.0)];
        let change = change(&slow, &rows(), Some(&requests), 0.0, 1.0);
        assert!((change.observed.unwrap() - 4.6).abs() < 1e-9);
        // A count that is missing leaves the value; here it counts as (10 + 90) / 2.
        let requests = [None, Some(10.0), Some(90.0), None];
        let change = super::change(&slow, &rows(), Some(&requests), 0.0, 1.0);
        let expected = (5.0 * 90.0 + 50.0) / 140.0;
        assert!((change.observed.unwrap() - expected).abs() < 1e-9);
    }

    #[test]
    fn missing_is_no_change() {
        let gone = measured([1.0, 1.0, f64::NAN, f64::NAN], 1.0, 0.1);
        let change = change(&gone, &rows(), None, 0.0, 1.0);
        assert_eq!(
            (change.rise, change.score, change.observed),
            (0.0, 0.0, None)
        );
    }

    #[test]
    fn calls_that_stay_away_are_lost_only_while_the_symptom_is_called() {
        let golden = |bad: f64| Golden {
            requests: measured([100.0, 100.0, bad, bad], 100.0, 5.0),
            ..Golden::default()
        };
        let reference = |bad: f64| traffic(&golden(bad).requests, &rows()).unwrap();
        let lost = one(&golden(10.0), &rows(), 1.0, &reference(100.0), 1.0).lost;
        assert!((80.0..=90.0).contains(&lost), "{lost}");
        assert_eq!(
            one(&golden(10.0), &rows(), 1.0, &reference(10.0), 0.1).lost,
            0.0
        );
        assert_eq!(
            one(&golden(180.0), &rows(), 1.0, &reference(100.0), 1.0).growth,
            Some(1.8)
        );
    }
}
