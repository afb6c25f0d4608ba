//! The model as a whole: calm stays calm, every fault shows, the same seed gives the same.

use super::environment::{Environment, TICK};
use super::faults::{Form, possible};
use super::random::Random;
use super::services::Service;
use super::tick::{begin, tick};
use incident_contract::{micros, time};
use std::collections::BTreeMap;

/// Three in the afternoon, the busiest hour.
const AFTERNOON: u64 = 1_767_279_600_000_000;
const HOUR: u64 = 3_600_000_000;

fn run(environment: &mut Environment, ticks: u64) {
    for _ in 0..ticks {
        tick(environment, &mut String::new);
    }
}

#[test]
#[ignore = "prints numbers to calibrate by"]
fn calm_numbers() {
    for hour in [0, 12] {
        let mut environment = Environment::new(7, time(AFTERNOON + hour * HOUR));
        let mut sums: BTreeMap<(&str, &str, &str), Vec<f64>> = BTreeMap::new();
        for _ in 0..300 {
            for measured in tick(&mut environment, &mut String::new).metrics {
                sums.entry((
                    measured.service.name(),
                    measured.metric,
                    measured.statistic.unwrap_or(""),
                ))
                .or_default()
                .push(measured.value);
            }
        }
        for (name, values) in sums {
            let mut sorted = values;
            sorted.sort_by(f64::total_cmp);
            println!(
                "{name:?} median {} max {}",
                sorted[sorted.len() / 2],
                sorted[sorted.len() - 1]
            );
        }
    }
}
