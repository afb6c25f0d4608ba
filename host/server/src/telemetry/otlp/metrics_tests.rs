//! What becomes of metrics of every kind.

use super::*;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, ResourceMetrics, ScopeMetrics, Sum, Summary,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

const SECOND: u64 = 1_000_000_000;

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Text::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn request(name: &str, data: Data) -> ExportMetricsServiceRequest {
    let metric = Metric {
        name: name.to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", "shop")],
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn read(histograms: &Histograms, name: &str, data: Data) -> (usize, u64, Option<(i64, String)>) {
    let request = request(name, data);
    let (batch, left_out) = points(&TenantId::default_tenant(), &request, histograms);
    (batch.points(), batch.missing(), left_out.told())
}

fn number(time: u64, value: Option<Value>, flags: u32) -> NumberDataPoint {
    NumberDataPoint {
        time_unix_nano: time,
        value,
        flags,
        ..NumberDataPoint::default()
    }
}

#[test]
fn numbers_are_points_and_what_is_no_value_is_missing() {
    let none = Histograms::default();
    let data_points = vec![
        number(SECOND, Some(Value::AsInt(5)), 0),
        number(SECOND, Some(Value::AsDouble(f64::INFINITY)), 0),
        number(SECOND, None, 0),
        number(SECOND, Some(Value::AsInt(1)), NO_VALUE),
        number(0, Some(Value::AsInt(1)), 0),
    ];
    let gauge = Data::Gauge(Gauge {
        data_points: data_points.clone(),
    });
    let (points, missing, told) = read(&none, "m", gauge);
    assert_eq!((points, missing), (1, 3));
    let (count, reason) = told.unwrap();
    assert!(count == 1 && reason.contains("time_unix_nano"), "{reason}");
    let sum = Data::Sum(Sum {
        data_points,
        ..Sum::default()
    });
    assert_eq!(read(&none, "m", sum).0, 1);
    let gauge = Data::Gauge(Gauge {
        data_points: vec![number(SECOND, Some(Value::AsInt(5)), 0); 3],
    });
    assert_eq!(read(&none, &"x".repeat(300), gauge).2.unwrap().0, 3);
}

fn histogram(time: u64, counts: [u64; 3], temporality: AggregationTemporality) -> Data {
    Data::Histogram(Histogram {
        data_points: vec![HistogramDataPoint {
            start_time_unix_nano: SECOND,
            time_unix_nano: time,
            count: counts.iter().sum(),
            sum: Some(1.0),
            explicit_bounds: vec![0.1, 0.5],
            bucket_counts: counts.to_vec(),
            ..HistogramDataPoint::default()
        }],
        aggregation_temporality: temporality as i32,
    })
}

#[test]
fn a_histogram_is_counts_buckets_and_quantiles() {
    let delta = AggregationTemporality::Delta;
    let all = Histograms::default();
    // Count, sum, three buckets, the average and four quantiles.
    assert_eq!(
        read(&all, "h", histogram(2 * SECOND, [1, 2, 3], delta)).0,
        10
    );
    let long_after = 10_000 * SECOND;
    let cumulative = AggregationTemporality::Cumulative;
    let first = histogram(long_after, [1, 2, 3], cumulative);
    assert_eq!(read(&all, "h", first).0, 5, "its interval is not known");
    let next = histogram(long_after + SECOND, [1, 2, 4], cumulative);
    let request = request("h", next);
    let (batch, _) = points(&TenantId::default_tenant(), &request, &all);
    assert_eq!(batch.points(), 10);
}

#[test]
fn the_average_of_an_interval_needs_its_sum() {
    let all = Histograms::default();
    let cumulative = AggregationTemporality::Cumulative;
    let at = |time, counts, sum| {
        let mut data = histogram(time, counts, cumulative);
        if let Data::Histogram(found) = &mut data {
            found.data_points[0].sum = sum;
        }
        data
    };
    assert_eq!(read(&all, "h", at(2 * SECOND, [1, 0, 0], None)).0, 4 + 4);
    assert_eq!(
        read(&all, "h", at(3 * SECOND, [2, 0, 0], Some(0.2))).0,
        5 + 4
    );
    assert_eq!(
        read(&all, "h", at(4 * SECOND, [3, 0, 0], Some(0.3))).0,
        5 + 5
    );
}

#[test]
fn a_broken_histogram_is_left_out_and_told() {
    let mut broken = histogram(SECOND, [1, 2, 3], AggregationTemporality::Delta);
    if let Data::Histogram(found) = &mut broken {
        found.data_points[0].explicit_bounds = vec![1.0];
    }
    let (points, _, told) = read(&Histograms::default(), "h", broken);
    assert!(points == 0 && told.unwrap().1.contains("bound less"));
}

#[test]
fn quantiles_of_a_summary_have_names_that_people_know() {
    let quantile = |quantile| ValueAtQuantile {
        quantile,
        value: 1.0,
    };
    let data = Data::Summary(Summary {
        data_points: vec![SummaryDataPoint {
            time_unix_nano: SECOND,
            quantile_values: vec![quantile(0.5), quantile(0.99), quantile(0.999)],
            ..SummaryDataPoint::default()
        }],
    });
    let request = request("s", data);
    let (batch, _) = points(
        &TenantId::default_tenant(),
        &request,
        &Histograms::default(),
    );
    let text = format!("{batch:?}");
    for wanted in [
        "s_count",
        "s_sum",
        "\"p50\"",
        "\"p99\"",
        "\"p99.9\"",
        "\"shop\"",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}
