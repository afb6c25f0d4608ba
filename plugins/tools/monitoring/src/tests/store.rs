//! A store in memory that plays ranges, labels and aggregation as the host does.

use crate::source::Source;
use mandate_sdk::Error;
use mandate_sdk::telemetry::{
    Aggregation, Edge, Label, LogLine, LogQuery, MetricQuery, Point, Series, Severity, Span,
    SpanQuery,
};
use std::cell::Cell;
use std::collections::BTreeMap;

type Labels = Vec<(String, String)>;

/// What is stored.
#[derive(Clone, Default)]
pub struct Store {
    series: BTreeMap<String, BTreeMap<Labels, Vec<(u64, f64)>>>,
    edges: Vec<(String, String)>,
    lines: Vec<LogLine>,
    /// Bytes that the journal would keep of all answers.
    pub journal: Cell<usize>,
    /// More series in one answer are refused; 0: any number.
    pub most_series: Cell<usize>,
    /// How often was asked.
    pub steps: Cell<usize>,
}

impl Store {
    /// Adds a point of a service and statistic.
    pub fn point(&mut self, metric: &str, service: &str, statistic: &str, time: u64, value: f64) {
        self.labelled(
            metric,
            &[("service", service), ("statistic", statistic)],
            time,
            value,
        );
    }

    /// Adds a point.
    pub fn labelled(&mut self, metric: &str, labels: &[(&str, &str)], time: u64, value: f64) {
        let mut labels: Labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        labels.sort();
        let series = self.series.entry(metric.to_owned()).or_default();
        series.entry(labels).or_default().push((time, value));
    }

    /// Changes a point that is there.
    pub fn replace(&mut self, metric: &str, service: &str, statistic: &str, time: u64, value: f64) {
        let labels: Labels = [("service", service), ("statistic", statistic)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let series = self
            .series
            .get_mut(metric)
            .unwrap()
            .get_mut(&labels)
            .unwrap();
        series.iter_mut().find(|(at, _)| *at == time).unwrap().1 = value;
    }

    /// Forgets who calls whom.
    pub fn hang_up(&mut self) {
        self.edges.clear();
    }

    /// Adds an edge.
    pub fn call(&mut self, caller: &str, callee: &str) {
        self.edges.push((caller.to_owned(), callee.to_owned()));
    }

    /// Adds a log line.
    pub fn line(
        &mut self,
        service: &str,
        time: u64,
        severity: Severity,
        message: &str,
        labels: &[(&str, &str)],
    ) {
        let labels = labels
            .iter()
            .map(|(name, value)| Label {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect();
        self.lines.push(LogLine {
            time,
            service: service.to_owned(),
            severity,
            message: message.to_owned(),
            labels,
        });
    }

    /// Renames every component and turns the order of the edges around.
    pub fn rename(&mut self, name: impl Fn(&str) -> String) {
        for all in self.series.values_mut() {
            let old = std::mem::take(all);
            for (mut labels, points) in old {
                for (label, value) in &mut labels {
                    if label == "service" {
                        *value = name(value);
                    }
                }
                all.insert(labels, points);
            }
        }
        for (caller, callee) in &mut self.edges {
            (*caller, *callee) = (name(caller), name(callee));
        }
        self.edges.reverse();
        for line in &mut self.lines {
            line.service = name(&line.service);
        }
    }

    /// Drops all data of a service.
    pub fn forget(&mut self, service: &str, from: u64) {
        for (labels, points) in self.series.values_mut().flatten() {
            if labels
                .iter()
                .any(|(name, value)| name == "service" && value == service)
            {
                points.retain(|(time, _)| *time < from);
            }
        }
    }

    fn answered(&self, bytes: usize) {
        self.steps.set(self.steps.get() + 1);
        self.journal.set(self.journal.get() + bytes);
    }
}

fn aggregate(aggregation: Aggregation, values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let count = values.len() as f64;
    match aggregation {
        Aggregation::Mean => values.iter().sum::<f64>() / count,
        Aggregation::Sum => values.iter().sum(),
        Aggregation::Count => count,
        Aggregation::Minimum => values[0],
        Aggregation::Maximum => values[values.len() - 1],
        Aggregation::Quantile(q) => {
            let at = q * (count - 1.0);
            let (low, high) = (values[at.floor() as usize], values[at.ceil() as usize]);
            low + (high - low) * at.fract()
        }
        Aggregation::Raw | Aggregation::Rate => unreachable!("not asked for"),
    }
}

impl Source for Store {
    fn metrics(&self, query: &MetricQuery) -> Result<Vec<Series>, Error> {
        let mut found = Vec::new();
        for (labels, points) in self.series.get(&query.metric).into_iter().flatten() {
            let has =
                |wanted: &Label| labels.contains(&(wanted.name.clone(), wanted.value.clone()));
            if !query.labels.iter().all(has) {
                continue;
            }
            let inside = |time: u64| (query.range.start..query.range.end).contains(&time);
            let points = points
                .iter()
                .copied()
                .filter(|(time, value)| inside(*time) && value.is_finite());
            let points: Vec<Point> = if matches!(query.aggregation, Aggregation::Raw) {
                points.map(|(time, value)| Point { time, value }).collect()
            } else {
                let span = query.range.end - query.range.start;
                let step = if query.step_ms == 0 {
                    span
                } else {
                    query.step_ms * 1_000
                };
                let mut buckets: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
                for (time, value) in points {
                    let start = query.range.start + (time - query.range.start) / step * step;
                    buckets.entry(start).or_default().push(value);
                }
                buckets
                    .into_iter()
                    .map(|(time, mut values)| Point {
                        time,
                        value: aggregate(query.aggregation, &mut values),
                    })
                    .collect()
            };
            if !points.is_empty() {
                let labels = labels
                    .iter()
                    .map(|(name, value)| Label {
                        name: name.clone(),
                        value: value.clone(),
                    })
                    .collect();
                found.push(Series {
                    metric: query.metric.clone(),
                    labels,
                    points,
                });
            }
        }
        let most = self.most_series.get();
        if most > 0 && found.len() > most {
            return Err(Error::invalid(
                "metric: more series than one answer may have",
            ));
        }
        self.answered(
            found
                .iter()
                .map(|series| 150 + 40 * series.points.len())
                .sum(),
        );
        Ok(found)
    }

    fn logs(&self, query: &LogQuery) -> Result<Vec<LogLine>, Error> {
        let lines: Vec<LogLine> = self
            .lines
            .iter()
            .filter(|line| {
                query
                    .service
                    .as_ref()
                    .is_none_or(|service| *service == line.service)
            })
            .filter(|line| {
                query
                    .at_least
                    .is_none_or(|least| line.severity as u8 >= least as u8)
            })
            .filter(|line| (query.range.start..query.range.end).contains(&line.time))
            .take(query.limit as usize)
            .cloned()
            .collect();
        self.answered(lines.len() * 200);
        Ok(lines)
    }

    fn spans(&self, _: &SpanQuery) -> Result<Vec<Span>, Error> {
        Ok(Vec::new())
    }

    fn topology(&self) -> Result<Vec<Edge>, Error> {
        self.answered(self.edges.len() * 80);
        let edge = |(caller, callee): &(String, String)| Edge {
            caller: caller.clone(),
            callee: callee.clone(),
        };
        Ok(self.edges.iter().map(edge).collect())
    }
}
