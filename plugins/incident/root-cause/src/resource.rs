//! How the resources of a component moved: memory, processor, pools.

use incident_asking::monitoring::Point;
use incident_contract::Time;

/// A resource is outside of its usual range from so many robust standard deviations on. Golden signals of a healthy
/// component stay within 4; resources wander more.
const OUTSIDE: f64 = 6.0;
/// And only if it changed by this share of its usual level: what is very steady deviates by nothing.
const CHANGED: f64 = 0.15;
/// From this level on (0–1), a pool, queue or quota is as good as full.
const FULL: f64 = 0.9;
/// From this level on (0–1), a processor is busy.
const BUSY: f64 = 0.85;
/// From the median to the value that nine of ten are below, in standard deviations of normal noise.
const TENTH: f64 = 1.2816;
/// So many of the latest points tell how it is, if there are not more since the symptom was seen.
const LATEST: usize = 2;

/// A resource that components have, by the name of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// How much memory it uses.
    Memory,
    /// How busy its processor is, 0–1.
    Cpu,
    /// How full its pools, queues and quotas are, 0–1.
    Saturation,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Saturation];

    /// The metric.
    pub fn metric(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Saturation => "saturation",
        }
    }
}

/// How a resource moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Movement {
    /// Median without faults.
    pub usual: f64,
    /// Median since the symptom was seen.
    pub now: f64,
    /// How far outside of the usual, in robust standard deviations.
    pub deviation: f64,
    /// Whether it is outside of its usual range, in the direction that hurts.
    pub outside: bool,
    /// Whether it came to where nothing is left of it.
    pub at_the_limit: bool,
}

/// What is usual for a resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// The median.
    pub median: f64,
    /// What nine of ten measurements are below.
    pub p90: f64,
}

/// How a resource moved, from what is usual and its points around the symptom, oldest first; none without points.
pub fn movement(
    resource: Resource,
    usual: Usual,
    around: &[Point],
    seen: Time,
) -> Option<Movement> {
    let middle = usual.median;
    let spread = ((usual.p90 - middle) / TENTH).max(0.0);
    let since = around.iter().filter(|point| point.time >= seen).count();
    let before = around.len().saturating_sub(since.max(LATEST));
    let values: Vec<f64> = around
        .iter()
        .skip(before)
        .map(|point| point.value)
        .collect();
    let now = median(&values)?;
    // Without any spread, a tenth of what counts as a change stands in for it.
    let scale = spread
        .max(middle.abs() * CHANGED / 10.0)
        .max(f64::MIN_POSITIVE);
    let deviation = ((now - middle) / scale).clamp(-1_000.0, 1_000.0);
    let changed = now - middle > middle.abs() * CHANGED;
    let at_the_limit = match resource {
        // It may be a share or bytes; and full memory is usual for what keeps copies.
        Resource::Memory => false,
        Resource::Cpu => now >= BUSY && middle < BUSY,
        Resource::Saturation => now >= FULL && middle < FULL,
    };
    Some(Movement {
        usual: middle,
        now,
        deviation,
        outside: at_the_limit || (changed && deviation > OUTSIDE),
        at_the_limit,
    })
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get((sorted.len() / 2).checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;
    use incident_contract::time;

    const SEEN: u64 = 100;

    /// A point each second; the symptom was seen at second 100.
    fn points(from: u64, values: &[f64]) -> Vec<Point> {
        let time = |at: usize| time((from + at as u64) * 1_000_000);
        values
            .iter()
            .enumerate()
            .map(|(at, value)| Point {
                time: time(at),
                value: *value,
            })
            .collect()
    }

    fn moved(resource: Resource, from: u64, around: &[f64]) -> Movement {
        let usual = Usual {
            median: 0.5,
            p90: 0.51,
        };
        let seen = time(SEEN * 1_000_000);
        movement(resource, usual, &points(from, around), seen).unwrap()
    }

    #[test]
    fn what_began_a_moment_ago_counts() {
        // Most of the points lie before the symptom.
        let once = moved(Resource::Memory, 96, &[0.5, 0.5, 0.5, 0.5, 0.6]);
        assert_eq!(once.now, 0.55);
        let grown = moved(Resource::Memory, 96, &[0.5, 0.5, 0.5, 0.5, 0.7, 0.74]);
        assert!(grown.outside && grown.now == 0.72);
        let later = moved(Resource::Memory, 98, &[0.5, 0.5, 0.7, 0.7, 0.8, 0.8, 0.5]);
        assert!(later.outside && later.now == 0.7);
    }

    #[test]
    fn small_steps_and_less_are_usual() {
        assert!(!moved(Resource::Cpu, 100, &[0.52, 0.53, 0.52]).outside);
        assert!(!moved(Resource::Memory, 100, &[0.2, 0.1, 0.1]).outside);
        let busy = moved(Resource::Cpu, 100, &[0.9, 0.97, 0.95]);
        assert!(busy.outside && busy.at_the_limit);
        let higher = moved(Resource::Saturation, 100, &[0.7, 0.71, 0.7]);
        assert!(higher.outside && !higher.at_the_limit);
    }

    #[test]
    fn without_data_there_is_no_movement() {
        let usual = Usual {
            median: 0.0,
            p90: 0.0,
        };
        assert_eq!(movement(Resource::Cpu, usual, &[], time(0)), None);
        let steady = movement(Resource::Memory, usual, &points(0, &[0.0; 3]), time(0));
        assert!(!steady.unwrap().outside);
    }
}
