//! Telemetry: how many points a host takes in, and how quickly a quantile over many is told.

use crate::host::{Host, on_one_thread};
use crate::http::Connection;
use crate::report::{Measure, Unit, median};
use anyhow::{Context, ensure};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Points of one request, as a collector sends them.
const BATCH: usize = 10_000;
/// Requests that are measured.
const BATCHES: usize = 100;
/// Clients that each wait for their answer before they send more.
const CLIENTS: usize = 2;
const SERVICES: usize = 50;
/// Points of each service that are asked for: one per second of a day.
const DAY: usize = 86_400;
/// Seconds of a bucket.
const STEP: usize = 300;
const ROUNDS: usize = 9;

fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// Something like a measurement, the same in each run.
fn value(number: usize) -> f64 {
    let spread = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    0.05 + spread as f64 / 1e8
}

/// A request's bytes.
fn request(host: &Host, path: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\n\
         content-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        host.token,
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// One point per line, of some hundred series.
fn lines(batch: usize, start: u64) -> String {
    let mut text = String::new();
    for number in 0..BATCH {
        let (service, second) = (
            number % SERVICES,
            batch * BATCH / SERVICES + number / SERVICES,
        );
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            r#"{{"metric":"latency","labels":{{"service":"service-{service}","statistic":"p99","region":"eu-west-1"}},"time":{},"value":{}}}"#,
            start + second as u64,
            value(number + batch)
        );
    }
    text
}

/// The same as an exporter of OpenTelemetry sends it.
fn otlp(batch: usize, start: u64) -> Vec<u8> {
    let attribute = |key: &str, value: String| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Text::StringValue(value)),
        }),
        ..KeyValue::default()
    };
    let resource = |service: usize| {
        let points = (0..BATCH / SERVICES).map(|number| {
            let second = start + (batch * BATCH / SERVICES + number) as u64;
            NumberDataPoint {
                attributes: vec![
                    attribute("statistic", "p99".to_owned()),
                    attribute("region", "eu-west-1".to_owned()),
                ],
                time_unix_nano: second * 1_000_000_000,
                value: Some(Number::AsDouble(value(number + batch))),
                ..NumberDataPoint::default()
            }
        });
        ResourceMetrics {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", format!("service-{service}"))],
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![Metric {
                    name: "latency".to_owned(),
                    data: Some(Data::Gauge(Gauge {
                        data_points: points.collect(),
                    })),
                    ..Metric::default()
                }],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }
    };
    ExportMetricsServiceRequest {
        resource_metrics: (0..SERVICES).map(resource).collect(),
    }
    .encode_to_vec()
}

/// Points per second that are read, parsed and on disk, by `parse` and a plain file.
fn floor(
    dir: &TempDir,
    bodies: &[Vec<u8>],
    parse: impl Fn(&[u8]) -> anyhow::Result<usize>,
) -> anyhow::Result<f64> {
    let mut file = File::create(dir.path().join("floor"))?;
    let (began, mut points) = (Instant::now(), 0);
    for body in bodies {
        points += parse(body)?;
        file.write_all(body)?;
        file.sync_data()?;
    }
    ensure!(
        points == BATCH * bodies.len(),
        "the floor read {points} points"
    );
    Ok(points as f64 / began.elapsed().as_secs_f64())
}

/// Points per second that a host acknowledges.
async fn ingest(host: &Host, requests: Vec<Vec<u8>>) -> anyhow::Result<f64> {
    let count = requests.len();
    let mut parts: Vec<Vec<Vec<u8>>> = (0..CLIENTS).map(|_| Vec::new()).collect();
    for (place, request) in requests.into_iter().enumerate() {
        parts
            .get_mut(place % CLIENTS)
            .context("no such client")?
            .push(request);
    }
    let began = Instant::now();
    let clients = parts.iter().map(async |requests| {
        let mut connection = host.connect().await?;
        for request in requests {
            let answer = connection.send(request).await?;
            ensure!(
                answer.status == 200,
                "points were refused: {} {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
        }
        Ok(())
    });
    futures::future::try_join_all(clients).await?;
    Ok((count * BATCH) as f64 / began.elapsed().as_secs_f64())
}

/// How many points there are.
async fn stored(host: &Host, metric: &str) -> anyhow::Result<f64> {
    let mut connection = host.connect().await?;
    let path = format!("/api/v1/telemetry/metrics?metric={metric}&aggregation=count&start=0");
    let answer = connection.send(&host.request("GET", &path, "", "")).await?;
    let answer: Value = serde_json::from_slice(&answer.body)?;
    let series = answer.get("items").and_then(Value::as_array);
    let counts = series
        .with_context(|| format!("no series: {answer}"))?
        .iter()
        .filter_map(|series| series.pointer("/points/0/1")?.as_f64());
    Ok(counts.sum())
}

async fn measured(
    dir: &TempDir,
    path: &str,
    kind: &str,
    bodies: Vec<Vec<u8>>,
    parse: impl Fn(&[u8]) -> anyhow::Result<usize>,
) -> anyhow::Result<Measure> {
    let host = Host::start(dir, None).await?;
    let floor = floor(dir, &bodies, parse)?;
    let requests = bodies
        .iter()
        .map(|body| request(&host, path, kind, body))
        .collect();
    let value = ingest(&host, requests).await?;
    let there = stored(&host, "latency").await?;
    let wanted = (BATCH * bodies.len()) as f64;
    ensure!(there == wanted, "{there} points are there, not {wanted}");
    Ok(Measure {
        unit: Unit::PerSecond,
        value,
        floor: Some(floor),
    })
}

/// Points per second as lines of JSON, one point each, until they are acknowledged, which means on
/// disk. The floor parses each line and appends the bytes to a file that it flushes per request.
///
/// # Errors
/// When points are refused or lost.
pub fn ingest_lines() -> anyhow::Result<Measure> {
    let dir = tempfile::tempdir()?;
    let start = now()?.saturating_sub((BATCHES * BATCH / SERVICES) as u64);
    let bodies = (0..BATCHES)
        .map(|batch| lines(batch, start).into_bytes())
        .collect();
    let parse = |body: &[u8]| {
        let lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let mut points = 0;
        for line in lines {
            let read: Value = serde_json::from_slice(line)?;
            points += usize::from(read.get("value").is_some());
        }
        Ok(points)
    };
    let (path, kind) = ("/api/v1/telemetry/metrics", "application/x-ndjson");
    on_one_thread(measured(&dir, path, kind, bodies, parse))
}

/// As [`ingest_lines`], in protobuf as a collector sends it.
///
/// # Errors
/// As [`ingest_lines`].
pub fn ingest_otlp() -> anyhow::Result<Measure> {
    let dir = tempfile::tempdir()?;
    let start = now()?.saturating_sub((BATCHES * BATCH / SERVICES) as u64);
    let bodies = (0..BATCHES).map(|batch| otlp(batch, start)).collect();
    let parse = |body: &[u8]| {
        let request = ExportMetricsServiceRequest::decode(body)?;
        let metrics = request
            .resource_metrics
            .iter()
            .flat_map(|resource| &resource.scope_metrics)
            .flat_map(|scope| &scope.metrics);
        let points = metrics.map(|metric| match &metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.len(),
            _ => 0,
        });
        Ok(points.sum())
    };
    let (path, kind) = ("/v1/metrics", "application/x-protobuf");
    on_one_thread(measured(&dir, path, kind, bodies, parse))
}

/// The 99th percentile in buckets of five minutes over a day of a point per second of fifty
/// services, over HTTP. The floor does that over plain lists in memory.
///
/// # Errors
/// When an answer is not that of the floor.
pub fn query() -> anyhow::Result<Measure> {
    let dir = tempfile::tempdir()?;
    let start = now()?.saturating_sub(DAY as u64) / STEP as u64 * STEP as u64;
    on_one_thread(async {
        let host = Host::start(&dir, None).await?;
        let mut connection = host.connect().await?;
        let mut plain = Vec::new();
        for service in 0..SERVICES {
            let values: Vec<f64> = (0..DAY).map(|n| value(n * SERVICES + service)).collect();
            load(&host, &mut connection, service, start, &values).await?;
            plain.push(values);
        }
        let path = format!(
            "/api/v1/telemetry/metrics?metric=latency&aggregation=p99&step={STEP}&start={start}&end={}",
            start + DAY as u64
        );
        let question = host.request("GET", &path, "", "");
        let (mut values, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let wanted: Vec<Vec<f64>> = plain.iter().map(|values| quantiles(values)).collect();
            floors.push(began.elapsed().as_secs_f64() * 1e6);
            let began = Instant::now();
            let answer = connection.send(&question).await?;
            values.push(began.elapsed().as_secs_f64() * 1e6);
            check(&answer.body, &wanted)?;
        }
        Ok(Measure {
            unit: Unit::Microseconds,
            value: median(values)?,
            floor: Some(median(floors)?),
        })
    })
}

async fn load(
    host: &Host,
    connection: &mut Connection,
    service: usize,
    start: u64,
    values: &[f64],
) -> anyhow::Result<()> {
    let mut points = String::new();
    for (second, value) in values.iter().enumerate() {
        let comma = if second == 0 { "" } else { "," };
        write!(points, "{comma}[{},{value}]", start + second as u64)?;
    }
    // Two digits, so that the order of names is that of numbers.
    let body = format!(
        r#"{{"metric":"latency","labels":{{"service":"service-{service:02}"}},"points":[{points}]}}"#
    );
    let bytes = request(
        host,
        "/api/v1/telemetry/metrics",
        "application/x-ndjson",
        body.as_bytes(),
    );
    let answer = connection.send(&bytes).await?;
    ensure!(
        answer.status == 200,
        "points were refused: {}",
        String::from_utf8_lossy(&answer.body)
    );
    Ok(())
}

/// The 99th percentile of each bucket.
fn quantiles(values: &[f64]) -> Vec<f64> {
    let mut scratch = Vec::with_capacity(STEP);
    let buckets = values.chunks(STEP).map(|bucket| {
        scratch.clear();
        scratch.extend_from_slice(bucket);
        let place = 0.99 * (bucket.len() - 1) as f64;
        let below = place.floor() as usize;
        let (_, low, above) = scratch.select_nth_unstable_by(below, f64::total_cmp);
        let low = *low;
        let high = above.iter().copied().fold(f64::INFINITY, f64::min);
        low + (high - low) * (place - below as f64)
    });
    buckets.collect()
}

fn check(body: &[u8], wanted: &[Vec<f64>]) -> anyhow::Result<()> {
    let answer: Value = serde_json::from_slice(body)?;
    let series = answer.get("items").and_then(Value::as_array);
    let series = series.with_context(|| format!("no series: {answer}"))?;
    ensure!(series.len() == wanted.len(), "{} series", series.len());
    for (series, wanted) in series.iter().zip(wanted) {
        let points = series.get("points").and_then(Value::as_array);
        let points = points.context("a series without points")?;
        let same = points.len() == wanted.len()
            && points.iter().zip(wanted).all(|(point, wanted)| {
                let value = point.get(1).and_then(Value::as_f64);
                value.is_some_and(|value| (value - wanted).abs() < 1e-12)
            });
        ensure!(same, "the host tells other quantiles than the floor");
    }
    Ok(())
}
