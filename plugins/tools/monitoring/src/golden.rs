//! The golden signals of all components in one window, row by row, and what is usual for them. Usual is asked as
//! quantiles over the whole baseline: three numbers per series instead of thousands of points, since each answer is
//! kept in a journal.

use crate::frame::Frame;
use crate::settings::Settings;
use crate::source::Source;
use mandate_sdk::Error;
use mandate_sdk::telemetry::{Aggregation, MetricQuery, Point, Series};
use std::collections::BTreeMap;

/// The interquartile range of a normal distribution, in standard deviations.
const QUARTILES_IN_DEVIATIONS: f64 = 1.349;
/// A label that says that a series was derived from spans; what a component says of itself counts more.
const DERIVED: (&str, &str) = ("source", "spans");

/// Greater numbers are no measurements; sums of them would overflow.
const GREATEST: f64 = 1e18;

/// What a value is without faults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// Its median.
    pub median: f64,
    /// Its robust standard deviation, from the quartiles.
    pub spread: f64,
}

/// A value of a component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// In the rows of the window. Missing is missing.
    pub rows: Vec<Option<f64>>,
    /// In the baseline; none when there was nothing.
    pub usual: Option<Usual>,
}

impl Measured {
    /// Whether the window has any of it.
    pub fn is_known(&self) -> bool {
        self.rows.iter().any(Option::is_some)
    }
}

/// What is measured of a component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Golden {
    /// The mean time of its answers, in the metric's unit.
    pub latency: Measured,
    /// The time of its slowest answers.
    pub tail: Measured,
    /// The percentage of requests that fail.
    pub failing: Measured,
    /// Requests in an interval.
    pub requests: Measured,
}

/// Everything that was measured in a window.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// By component.
    pub components: BTreeMap<String, Golden>,
    /// How many measurements make one row.
    pub points_per_row: f64,
}

/// How several series of one component become one.
#[derive(Clone, Copy, PartialEq)]
pub enum Merge {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
}

/// Which value, wherever it is measured.
#[derive(Clone, Copy)]
pub struct Signal<'s> {
    /// Metrics; for each component the first one that it has counts.
    pub names: &'s [String],
    /// The statistic; none when empty.
    pub statistic: &'s str,
    /// How several series of one component become one.
    pub merge: Merge,
}

/// Whose signals are read.
#[derive(Clone, Debug, PartialEq)]
pub enum Scope {
    /// Those of all components, in one question.
    All,
    /// Those of a few, one by one: where there are so many components that an answer about all would be too long.
    Only(Vec<String>),
}

/// Reads the golden signals of components.
///
/// # Errors
/// What reading says.
pub fn read(
    source: &impl Source,
    settings: &Settings,
    frame: &Frame,
    scope: &Scope,
) -> Result<Picture, Error> {
    let mean = |names, statistic| Signal {
        names,
        statistic,
        merge: Merge::Mean,
    };
    let latency = mean(&settings.latency, &settings.average);
    let tail = mean(&settings.latency, &settings.tail);
    let availability = mean(&settings.availability, &settings.average);
    let requests = Signal {
        names: &settings.requests,
        statistic: &settings.sum,
        merge: Merge::Sum,
    };
    let mut picture = Picture {
        components: BTreeMap::new(),
        points_per_row: (frame.row as f64 / frame.interval.max(1) as f64).max(1.0),
    };
    let mut put = |found: BTreeMap<String, Measured>, place: fn(&mut Golden) -> &mut Measured| {
        for (service, measured) in found {
            *place(picture.components.entry(service).or_default()) = measured;
        }
    };
    put(signal(source, settings, frame, scope, latency)?, |golden| {
        &mut golden.latency
    });
    if !settings.tail.is_empty() {
        put(signal(source, settings, frame, scope, tail)?, |golden| {
            &mut golden.tail
        });
    }
    put(
        signal(source, settings, frame, scope, requests)?,
        |golden| &mut golden.requests,
    );
    let mut failing = signal(source, settings, frame, scope, availability)?;
    for measured in failing.values_mut() {
        for row in measured.rows.iter_mut().flatten() {
            *row = (100.0 - *row).clamp(0.0, 100.0);
        }
        if let Some(usual) = &mut measured.usual {
            usual.median = (100.0 - usual.median).clamp(0.0, 100.0);
        }
    }
    put(failing, |golden| &mut golden.failing);
    Ok(picture)
}

/// Reads one value of components.
///
/// # Errors
/// What reading says.
pub fn signal(
    source: &impl Source,
    settings: &Settings,
    frame: &Frame,
    scope: &Scope,
    signal: Signal<'_>,
) -> Result<BTreeMap<String, Measured>, Error> {
    let mut found: BTreeMap<String, Measured> = BTreeMap::new();
    for name in signal.names {
        let ask = |range,
                   aggregation,
                   step: u64|
         -> Result<BTreeMap<String, BTreeMap<u64, f64>>, Error> {
            let mut query = MetricQuery::raw(name, range).aggregated(aggregation, step / 1_000);
            if !signal.statistic.is_empty() {
                query = query.label(&settings.statistic_label, signal.statistic);
            }
            let series = match scope {
                Scope::All => source.metrics(&query)?,
                Scope::Only(services) => {
                    let mut series = Vec::new();
                    for service in services {
                        let query = query.clone().label(&settings.service_label, service);
                        series.extend(source.metrics(&query)?);
                    }
                    series
                }
            };
            Ok(by_service(series, &settings.service_label, signal.merge))
        };
        let mut here: BTreeMap<String, Measured> = BTreeMap::new();
        for (service, points) in ask(frame.window, Aggregation::Mean, frame.row)? {
            let mut rows = vec![None; frame.rows()];
            for (time, value) in points {
                if let Some(row) = rows.get_mut(frame.row_of(time)) {
                    *row = Some(value);
                }
            }
            here.entry(service).or_default().rows = rows;
        }
        let quantile = |q| ask(frame.baseline, Aggregation::Quantile(q), 0);
        let (low, high) = (quantile(0.25)?, quantile(0.75)?);
        for (service, middle) in quantile(0.5)? {
            let at = |quantiles: &BTreeMap<String, BTreeMap<u64, f64>>| {
                quantiles.get(&service).and_then(centre)
            };
            let Some(median) = centre(&middle) else {
                continue;
            };
            let spread = at(&high)
                .zip(at(&low))
                .map_or(0.0, |(high, low)| high - low);
            let measured = here.entry(service).or_default();
            measured.usual = Some(Usual {
                median,
                spread: (spread / QUARTILES_IN_DEVIATIONS).max(0.0),
            });
        }
        for (service, mut measured) in here {
            measured.rows.resize(frame.rows(), None);
            // A name that is used now counts more than one that was used once.
            let better = found
                .get(&service)
                .is_none_or(|before| !before.is_known() && measured.is_known());
            if better {
                found.insert(service, measured);
            }
        }
    }
    Ok(found)
}

/// The only value; the mean when a store splits the range.
fn centre(values: &BTreeMap<u64, f64>) -> Option<f64> {
    (!values.is_empty()).then(|| values.values().sum::<f64>() / values.len() as f64)
}

/// Series by component and time, several series of a component as one. Values that are no numbers are missing.
fn by_service(
    series: Vec<Series>,
    service_label: &str,
    merge: Merge,
) -> BTreeMap<String, BTreeMap<u64, f64>> {
    let label = |series: &Series, name: &str| {
        series
            .labels
            .iter()
            .find(|label| label.name == name)
            .map(|label| label.value.clone())
    };
    let mut groups: BTreeMap<String, [Vec<Vec<Point>>; 2]> = BTreeMap::new();
    for one in series {
        let Some(service) = label(&one, service_label) else {
            continue;
        };
        let derived = label(&one, DERIVED.0).as_deref() == Some(DERIVED.1);
        let [own, spans] = groups.entry(service).or_default();
        if derived { spans } else { own }.push(one.points);
    }
    groups
        .into_iter()
        .map(|(service, [own, spans])| {
            let mut sums: BTreeMap<u64, (f64, u32)> = BTreeMap::new();
            for point in if own.is_empty() { spans } else { own }
                .into_iter()
                .flatten()
            {
                if point.value.abs() <= GREATEST {
                    let (sum, count) = sums.entry(point.time).or_default();
                    *sum += point.value;
                    *count += 1;
                }
            }
            let merged = sums.into_iter().map(|(time, (sum, count))| match merge {
                Merge::Sum => (time, sum),
                Merge::Mean => (time, sum / f64::from(count)),
            });
            (service, merged.collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::store::Store;
    use crate::window::{MINUTE, SECOND};
    use mandate_sdk::telemetry::Range;

    fn frame() -> Frame {
        Frame {
            window: Range {
                start: 10 * MINUTE,
                end: 11 * MINUTE,
            },
            baseline: Range {
                start: 0,
                end: 10 * MINUTE,
            },
            row: 15 * SECOND,
            interval: 5 * SECOND,
        }
    }

    #[test]
    fn rows_and_the_usual() {
        let mut store = Store::default();
        for tick in 0..132 {
            let value = if tick % 2 == 0 { 1.0 } else { 3.0 };
            store.point("latency", "a", "Average", tick * 5 * SECOND, value);
        }
        let picture = read(&store, &Settings::default(), &frame(), &Scope::All).unwrap();
        let latency = &picture.components["a"].latency;
        assert_eq!((latency.rows.len(), picture.points_per_row), (4, 3.0));
        assert!(
            latency
                .rows
                .iter()
                .all(|row| row.is_some_and(|row| (1.0..3.0).contains(&row)))
        );
        let usual = latency.usual.unwrap();
        assert!((1.0..=3.0).contains(&usual.median) && (usual.spread - 2.0 / 1.349).abs() < 1e-9);
        assert!(!picture.components["a"].failing.is_known());
    }

    #[test]
    fn what_is_derived_from_spans_counts_only_alone() {
        let mut store = Store::default();
        store.point("requests", "a", "Sum", 10 * MINUTE, 5.0);
        for service in ["a", "b"] {
            store.labelled(
                "requests",
                &[
                    ("service", service),
                    ("statistic", "Sum"),
                    ("source", "spans"),
                ],
                10 * MINUTE,
                9.0,
            );
        }
        for pod in ["1", "2"] {
            store.labelled(
                "requests",
                &[("service", "c"), ("statistic", "Sum"), ("pod", pod)],
                10 * MINUTE,
                4.0,
            );
        }
        let picture = read(&store, &Settings::default(), &frame(), &Scope::All).unwrap();
        let first = |service: &str| picture.components[service].requests.rows[0];
        assert_eq!(
            (first("a"), first("b"), first("c")),
            (Some(5.0), Some(9.0), Some(8.0))
        );
    }

    #[test]
    fn what_is_no_number_is_missing() {
        let mut store = Store::default();
        store.point("availability", "a", "Average", 10 * MINUTE, f64::NAN);
        store.point(
            "availability",
            "a",
            "Average",
            10 * MINUTE + 15 * SECOND,
            90.0,
        );
        let picture = read(&store, &Settings::default(), &frame(), &Scope::All).unwrap();
        assert_eq!(
            picture.components["a"].failing.rows,
            [None, Some(10.0), None, None]
        );
    }
}
