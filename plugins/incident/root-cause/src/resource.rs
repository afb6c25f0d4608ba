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
/// The median absolute deviation of normal noise, times this, is its standard deviation.
const MAD: f64 = 1.4826;
/// So many of the latest points tell how it is, if there are not more since the symptom was seen.
const LATEST: usize = 3;

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

/// How a resource moved, from its points without faults and those around the symptom, oldest first; none without
/// any of both.
pub fn movement(
    resource: Resource,
    usual: &[Point],
    window: &[Point],
    seen: Time,
) -> Option<Movement> {
    let finite = |point: &&Point| point.value.is_finite();
    let before: Vec<f64> = usual
        .iter()
        .filter(finite)
        .map(|point| point.value)
        .collect();
    let middle = median(&before)?;
    let deviations: Vec<f64> = before.iter().map(|value| (value - middle).abs()).collect();
    let spread = MAD * median(&deviations)?;
    let around: Vec<&Point> = window.iter().filter(finite).collect();
    let since = around.iter().filter(|point| point.time >= seen).count();
    let latest = around.len().saturating_sub(since.max(LATEST));
    let values: Vec<f64> = around
        .iter()
        .skip(latest)
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

    fn moved(resource: Resource, from: u64, window: &[f64]) -> Movement {
        let usual = points(0, &[0.50, 0.51, 0.50, 0.49, 0.50, 0.51]);
        movement(
            resource,
            &usual,
            &points(from, window),
            time(SEEN * 1_000_000),
        )
        .unwrap()
    }

    #[test]
    fn what_began_a_moment_ago_counts() {
        // Most of the window lies before the symptom.
        let grown = moved(Resource::Memory, 95, &[0.5, 0.5, 0.5, 0.5, 0.5, 0.7]);
        assert!(!grown.outside, "two of the latest three points are needed");
        let grown = moved(
            Resource::Memory,
            95,
            &[0.5, 0.5, 0.5, 0.5, 0.5, 0.7, 0.72, 0.75],
        );
        assert!(grown.outside && grown.now == 0.72);
        let later = moved(Resource::Memory, 98, &[0.5, 0.5, 0.7, 0.7, 0.8, 0.8, 0.5]);
        assert!(later.outside);
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
        let some = points(0, &[1.0]);
        let at = time(0);
        assert_eq!(movement(Resource::Cpu, &[], &some, at), None);
        assert_eq!(
            movement(Resource::Cpu, &some, &points(0, &[f64::NAN]), at),
            None
        );
        let steady = movement(
            Resource::Memory,
            &points(0, &[0.0; 5]),
            &points(0, &[0.0; 3]),
            at,
        )
        .unwrap();
        assert!(!steady.outside);
    }
}
