//! From what was seen to metrics: golden signals and resources, under the names that everybody here uses.

use super::environment::Running;
use super::random::Random;
use super::services::{PerService, Service};
use super::traffic::{Condition, Seen};

/// A number of one metric at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// `latency`, `requests`, …
    pub metric: &'static str,
    /// Of what.
    pub service: Service,
    /// The label `statistic`, where there is one.
    pub statistic: Option<&'static str>,
    /// In the metric's unit: seconds, requests in a tick, percent, or a share of 1.
    pub value: f64,
}

/// Four significant digits: more would be noise, and cost room.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    let scale = 10_f64.powi(digits);
    if digits > 0 {
        (value * scale).round() / scale
    } else {
        value.round()
    }
}

/// The value below which a share of sorted times lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or_default();
    let (low, high) = (at(place.floor()), at(place.ceil()));
    low + (high - low) * place.fract()
}

/// The metrics of one tick. `slowly` adds those that hardly ever change.
pub fn measure(
    seen: &PerService<Seen>,
    conditions: &PerService<Condition>,
    running: &[Running],
    seconds: f64,
    random: &mut Random,
    slowly: bool,
) -> Vec<Measured> {
    let mut all = Vec::new();
    for running in running {
        let service = running.name;
        let (seen, condition) = (&seen[service], &conditions[service]);
        let mut add = |metric, statistic, value: f64| {
            all.push(Measured {
                metric,
                service,
                statistic,
                value: rounded(value),
            });
        };
        let mut sorted = seen.times.clone();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / count.max(1.0);
        add("requests", Some("Sum"), count);
        if !sorted.is_empty() {
            add("latency", Some("Average"), mean);
            for (statistic, share) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)] {
                add("latency", Some(statistic), quantile(&sorted, share));
            }
            let available = 100.0 * (1.0 - f64::from(seen.failed) / count);
            add("availability", Some("Average"), available);
        }
        let spec = service.spec();
        let replicas = f64::from(running.replicas.max(1));
        let rate = count / seconds;
        let busy = (rate / (spec.capacity * replicas)).min(1.0);
        let strain = &condition.strain;
        let noise = |random: &mut Random, size: f64| size * random.normal();
        let cpu = (spec.cpu + 0.6 * busy).max(strain.cpu) + noise(random, 0.012);
        add("cpu", None, cpu.clamp(0.01, 1.0));
        let memory = spec.memory.max(strain.memory) + 0.05 * busy + noise(random, 0.004);
        add("memory", None, memory.clamp(0.01, 0.999));
        // Work under way against what there is room for.
        let under_way = rate * mean / (replicas * 128.0);
        let full = (0.04 + 0.5 * busy + 0.5 * under_way.min(1.0)).max(strain.saturation);
        add(
            "saturation",
            None,
            (full + noise(random, 0.008)).clamp(0.01, 1.0),
        );
        if slowly {
            add("replicas", None, f64::from(running.replicas));
            add("restarts", None, f64::from(running.restarts));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits() {
        assert_eq!(rounded(0.0123456), 0.01235);
        assert_eq!(rounded(99.98765), 99.99);
        assert_eq!(rounded(123_456.7), 123_457.0);
        assert_eq!(rounded(0.0), 0.0);
        assert_eq!(rounded(f64::NAN), 0.0);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile(&sorted, 0.5), 2.5);
        assert_eq!(quantile(&sorted, 1.0), 4.0);
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
