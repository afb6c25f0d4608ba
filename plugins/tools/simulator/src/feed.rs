//! From ticks to the host's telemetry.

use crate::model::measure::Measured;
use crate::model::random::Random;
use crate::model::services::Service;
use crate::model::shop::edges;
use crate::model::tick::{Tick, Trace};
use incident_contract::micros;
use mandate_sdk::prelude::*;
use mandate_sdk::telemetry::{Edge, Label, Point, Series, Span};
use std::collections::BTreeMap;

fn label(name: &str, value: &str) -> Label {
    Label {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// One series per metric, service and statistic, with the points of all ticks.
pub fn series(ticks: &[Tick]) -> Vec<Series> {
    let mut points: BTreeMap<(&str, Service, Option<&str>), Vec<Point>> = BTreeMap::new();
    for tick in ticks {
        let time = micros(tick.at);
        for Measured {
            metric,
            service,
            statistic,
            value,
        } in &tick.metrics
        {
            let point = Point {
                time,
                value: *value,
            };
            points
                .entry((*metric, *service, *statistic))
                .or_default()
                .push(point);
        }
    }
    let series = |((metric, service, statistic), points): ((&str, Service, Option<&str>), _)| {
        let mut labels = vec![label("service", service.name())];
        labels.extend(statistic.map(|statistic| label("statistic", statistic)));
        Series {
            metric: metric.to_owned(),
            labels,
            points,
        }
    };
    points.into_iter().map(series).collect()
}

/// The spans of traces that were kept.
pub fn spans(traces: &[Trace]) -> Vec<Span> {
    let mut all = Vec::new();
    for trace in traces {
        let mut random = Random::new(trace.number, &[40]);
        let trace_id = format!("{:016x}{:016x}", random.bits(), random.bits());
        let ids: Vec<String> = trace
            .spans
            .iter()
            .map(|_| format!("{:016x}", random.bits()))
            .collect();
        for (sample, id) in trace.spans.iter().zip(&ids) {
            all.push(Span {
                trace_id: trace_id.clone(),
                span_id: id.clone(),
                parent_id: sample.parent.and_then(|place| ids.get(place)).cloned(),
                service: sample.service.name().to_owned(),
                operation: sample.service.spec().operation.to_owned(),
                start: micros(trace.start) + (sample.start * 1e6) as u64,
                duration_us: (sample.took * 1e6) as u64,
                error: sample.failed,
                labels: vec![label("simulated", "true")],
            });
        }
    }
    all
}

/// Tells the host who calls whom.
///
/// # Errors
/// What the host says.
pub fn tell_topology(host: &Host) -> Result<(), Error> {
    let edge = |(caller, callee): (Service, Service)| Edge {
        caller: caller.name().to_owned(),
        callee: callee.name().to_owned(),
    };
    let edges: Vec<Edge> = edges().into_iter().map(edge).collect();
    host.telemetry().ingest_topology(&edges)
}

/// Writes everything that was seen in some ticks.
///
/// # Errors
/// What the host says; a part may be written then.
pub fn tell(host: &Host, ticks: &[Tick]) -> Result<(), Error> {
    let telemetry = host.telemetry();
    telemetry.ingest_metrics(&series(ticks))?;
    let lines: Vec<_> = ticks.iter().flat_map(|tick| tick.lines.clone()).collect();
    if !lines.is_empty() {
        telemetry.ingest_logs(&lines)?;
    }
    let spans: Vec<_> = ticks.iter().flat_map(|tick| spans(&tick.traces)).collect();
    if !spans.is_empty() {
        telemetry.ingest_spans(&spans)?;
    }
    Ok(())
}
