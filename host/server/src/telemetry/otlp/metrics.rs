//! Metrics: gauges and sums as they are; of histograms and summaries counts, sums, and the quantiles
//! that people ask for.

use super::attributes::{Label, Sender};
use super::buckets::Buckets;
use super::histogram::Histograms;
use super::{LeftOut, time};
use mandate_store::series::{LabelError, PointBatch};
use mandate_types::{TenantId, Timestamp};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
    NumberDataPoint, SummaryDataPoint,
};
use std::borrow::Cow;

/// The flag of a point that says that there is no value.
const NO_VALUE: u32 = 1;

/// The points of a request.
pub fn points(
    tenant: &TenantId,
    request: &ExportMetricsServiceRequest,
    histograms: &Histograms,
) -> (PointBatch, LeftOut) {
    let mut reading = Reading {
        tenant,
        histograms,
        batch: PointBatch::default(),
        left_out: LeftOut::default(),
    };
    for resource in &request.resource_metrics {
        let sender = Sender::of(resource.resource.as_ref());
        for metric in resource
            .scope_metrics
            .iter()
            .flat_map(|scope| &scope.metrics)
        {
            reading.metric(&sender, metric);
        }
    }
    (reading.batch, reading.left_out)
}

struct Reading<'r> {
    tenant: &'r TenantId,
    histograms: &'r Histograms,
    batch: PointBatch,
    left_out: LeftOut,
}

/// What all kinds of points have.
struct Common<'a> {
    name: &'a str,
    labels: Vec<Label<'a>>,
    time: Timestamp,
}

impl Reading<'_> {
    fn metric(&mut self, sender: &Sender<'_>, metric: &Metric) {
        let name = metric.name.as_str();
        match &metric.data {
            Some(Data::Gauge(gauge)) => self.each(sender, name, &gauge.data_points, number),
            Some(Data::Sum(sum)) => self.each(sender, name, &sum.data_points, number),
            Some(Data::Histogram(found)) => {
                let delta = is_delta(found.aggregation_temporality);
                self.each(
                    sender,
                    name,
                    &found.data_points,
                    |reading, point, common| histogram(reading, point, common, delta),
                );
            }
            Some(Data::ExponentialHistogram(found)) => {
                let delta = is_delta(found.aggregation_temporality);
                self.each(
                    sender,
                    name,
                    &found.data_points,
                    |reading, point, common| exponential(reading, point, common, delta),
                );
            }
            Some(Data::Summary(found)) => self.each(sender, name, &found.data_points, summary),
            None => self.left_out.add(1, || {
                format!("metric `{name}` has no data of a kind that is known")
            }),
        }
    }

    fn each<'a, P: DataPoint>(
        &mut self,
        sender: &'a Sender<'a>,
        name: &'a str,
        points: &'a [P],
        mut read: impl FnMut(&mut Self, &'a P, Common<'a>) -> Result<(), LabelError>,
    ) {
        let service = [("service", Cow::Borrowed(sender.service.as_ref()))];
        for point in points {
            let outcome = time("time_unix_nano", point.time()).and_then(|time| {
                let labels = sender.labels(&service, point.attributes());
                let common = Common { name, labels, time };
                if point.flags() & NO_VALUE != 0 {
                    return self.put(&common, name, None, f64::NAN);
                }
                read(self, point, common)
            });
            if let Err(error) = outcome {
                self.left_out.wrong(&format!("metric `{name}`"), &error);
            }
        }
    }

    /// A point of the series `name` with the labels, and one more if there is one.
    fn put(
        &mut self,
        common: &Common<'_>,
        name: &str,
        more: Option<(&str, &str)>,
        value: f64,
    ) -> Result<(), LabelError> {
        let mut labels: Vec<(&str, &str)> = common
            .labels
            .iter()
            .map(|(name, value)| (*name, value.as_ref()))
            .collect();
        if let Some((name, value)) = more {
            labels.retain(|(known, _)| *known != name);
            labels.truncate(mandate_store::series::MOST_LABELS - 1);
            labels.push((name, value));
        }
        self.batch.series(name, &mut labels)?;
        self.batch.point(common.time.micros(), value);
        Ok(())
    }

    /// `<name>{statistic}` of what was measured in an interval.
    fn statistics(&mut self, common: &Common<'_>, interval: &Buckets) -> Result<(), LabelError> {
        if let Some(average) = interval.average() {
            self.put(common, common.name, Some(("statistic", "Average")), average)?;
        }
        for (statistic, q) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)] {
            if let Some(value) = interval.quantile(q) {
                self.put(common, common.name, Some(("statistic", statistic)), value)?;
            }
        }
        Ok(())
    }

    /// Count, sum, and the statistics of the interval that ends with this point.
    fn measured(
        &mut self,
        common: &Common<'_>,
        start: u64,
        delta: bool,
        buckets: Buckets,
    ) -> Result<(), LabelError> {
        let count = buckets.count() as f64;
        self.put(common, &format!("{}_count", common.name), None, count)?;
        if let Some(sum) = buckets.sum {
            self.put(common, &format!("{}_sum", common.name), None, sum)?;
        }
        let interval = if delta {
            Some(buckets)
        } else {
            let mut labels: Vec<(&str, &str)> = common
                .labels
                .iter()
                .map(|(name, value)| (*name, value.as_ref()))
                .collect();
            let key = mandate_store::series::Key::new(common.name, &mut labels)?;
            let start = i64::try_from(start / 1_000).unwrap_or(0);
            self.histograms
                .interval(self.tenant, key, start, common.time.micros(), buckets)
        };
        interval.map_or(Ok(()), |interval| self.statistics(common, &interval))
    }
}

fn is_delta(temporality: i32) -> bool {
    temporality == AggregationTemporality::Delta as i32
}

fn number<'a>(
    reading: &mut Reading<'_>,
    point: &'a NumberDataPoint,
    common: Common<'a>,
) -> Result<(), LabelError> {
    let value = match point.value {
        Some(Value::AsDouble(value)) => value,
        Some(Value::AsInt(value)) => value as f64,
        None => f64::NAN,
    };
    reading.put(&common, common.name, None, value)
}

fn histogram<'a>(
    reading: &mut Reading<'_>,
    point: &'a HistogramDataPoint,
    common: Common<'a>,
    delta: bool,
) -> Result<(), LabelError> {
    let buckets = match Buckets::explicit(point) {
        Ok(buckets) => buckets,
        Err(reason) => {
            let name = common.name;
            reading
                .left_out
                .add(1, || format!("metric `{name}`: {reason}"));
            return Ok(());
        }
    };
    let name = format!("{}_bucket", common.name);
    let mut below = 0_u64;
    for (place, count) in point.bucket_counts.iter().enumerate() {
        below = below.saturating_add(*count);
        let bound = point.explicit_bounds.get(place);
        let bound = bound.map_or_else(|| "+Inf".to_owned(), f64::to_string);
        let value = below as f64;
        reading.put(&common, &name, Some(("le", &bound)), value)?;
    }
    reading.measured(&common, point.start_time_unix_nano, delta, buckets)
}

fn exponential<'a>(
    reading: &mut Reading<'_>,
    point: &'a ExponentialHistogramDataPoint,
    common: Common<'a>,
    delta: bool,
) -> Result<(), LabelError> {
    match Buckets::exponential(point) {
        Ok(buckets) => reading.measured(&common, point.start_time_unix_nano, delta, buckets),
        Err(reason) => {
            let name = common.name;
            reading
                .left_out
                .add(1, || format!("metric `{name}`: {reason}"));
            Ok(())
        }
    }
}

fn summary<'a>(
    reading: &mut Reading<'_>,
    point: &'a SummaryDataPoint,
    common: Common<'a>,
) -> Result<(), LabelError> {
    let count = point.count as f64;
    reading.put(&common, &format!("{}_count", common.name), None, count)?;
    reading.put(&common, &format!("{}_sum", common.name), None, point.sum)?;
    for quantile in &point.quantile_values {
        // A quantile such as 0.99 is not exactly that in binary.
        let percent = (quantile.quantile * 1e6).round() / 1e4;
        let statistic = format!("p{percent}");
        reading.put(
            &common,
            common.name,
            Some(("statistic", &statistic)),
            quantile.value,
        )?;
    }
    Ok(())
}

/// What all kinds of points have.
trait DataPoint {
    fn time(&self) -> u64;
    fn flags(&self) -> u32;
    fn attributes(&self) -> &[KeyValue];
}

macro_rules! data_points {
    ($($name:ident),+) => {$(
        impl DataPoint for $name {
            fn time(&self) -> u64 {
                self.time_unix_nano
            }
            fn flags(&self) -> u32 {
                self.flags
            }
            fn attributes(&self) -> &[KeyValue] {
                &self.attributes
            }
        }
    )+};
}

data_points!(
    NumberDataPoint,
    HistogramDataPoint,
    ExponentialHistogramDataPoint,
    SummaryDataPoint
);

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
