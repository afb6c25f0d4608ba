//! How many messages a body holds, before it is read: two bytes on the wire can become hundreds in
//! memory, so the size of a body bounds nothing.

/// Which request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ExportMetricsServiceRequest`
    Metrics,
    /// `ExportLogsServiceRequest`
    Logs,
    /// `ExportTraceServiceRequest`
    Traces,
}

/// The most messages of one request: some hundred thousand points with their attributes.
const MOST: usize = 2_000_000;
/// As deep as a body is looked into; what is deeper is refused when it is read.
const DEEP: usize = 100;

/// The fields of a message that hold messages, or texts that may be many.
struct Message(&'static [(u64, &'static Message)]);

static LEAF: Message = Message(&[]);
static ANY_VALUE: Message = Message(&[(5, &LIST), (6, &MAP)]);
static LIST: Message = Message(&[(1, &ANY_VALUE)]);
static MAP: Message = Message(&[(1, &KEY_VALUE)]);
static KEY_VALUE: Message = Message(&[(2, &ANY_VALUE)]);
static ENTITY: Message = Message(&[(3, &LEAF), (4, &LEAF)]);
static RESOURCE: Message = Message(&[(1, &KEY_VALUE), (3, &ENTITY)]);
static SCOPE: Message = Message(&[(3, &KEY_VALUE)]);

static METRICS: Message = Message(&[(1, &RESOURCE_METRICS)]);
static RESOURCE_METRICS: Message = Message(&[(1, &RESOURCE), (2, &SCOPE_METRICS)]);
static SCOPE_METRICS: Message = Message(&[(1, &SCOPE), (2, &METRIC)]);
static METRIC: Message = Message(&[
    (5, &NUMBERS),
    (7, &NUMBERS),
    (9, &HISTOGRAMS),
    (10, &EXPONENTIALS),
    (11, &SUMMARIES),
    (12, &KEY_VALUE),
]);
static NUMBERS: Message = Message(&[(1, &NUMBER)]);
static NUMBER: Message = Message(&[(5, &EXEMPLAR), (7, &KEY_VALUE)]);
static HISTOGRAMS: Message = Message(&[(1, &HISTOGRAM)]);
static HISTOGRAM: Message = Message(&[(8, &EXEMPLAR), (9, &KEY_VALUE)]);
static EXPONENTIALS: Message = Message(&[(1, &EXPONENTIAL)]);
static EXPONENTIAL: Message = Message(&[(1, &KEY_VALUE), (11, &EXEMPLAR)]);
static SUMMARIES: Message = Message(&[(1, &SUMMARY)]);
static SUMMARY: Message = Message(&[(6, &LEAF), (7, &KEY_VALUE)]);
static EXEMPLAR: Message = Message(&[(7, &KEY_VALUE)]);

static LOGS: Message = Message(&[(1, &RESOURCE_LOGS)]);
static RESOURCE_LOGS: Message = Message(&[(1, &RESOURCE), (2, &SCOPE_LOGS)]);
static SCOPE_LOGS: Message = Message(&[(1, &SCOPE), (2, &RECORD)]);
static RECORD: Message = Message(&[(5, &ANY_VALUE), (6, &KEY_VALUE)]);

static TRACES: Message = Message(&[(1, &RESOURCE_SPANS)]);
static RESOURCE_SPANS: Message = Message(&[(1, &RESOURCE), (2, &SCOPE_SPANS)]);
static SCOPE_SPANS: Message = Message(&[(1, &SCOPE), (2, &SPAN)]);
static SPAN: Message = Message(&[(9, &KEY_VALUE), (11, &EVENT), (13, &LINK)]);
static EVENT: Message = Message(&[(3, &KEY_VALUE)]);
static LINK: Message = Message(&[(4, &KEY_VALUE)]);

/// Whether a body in protobuf, or in JSON, holds more messages than one request may. What is not
/// well-formed is found by whoever reads it.
pub fn too_many(kind: Kind, bytes: &[u8], json: bool) -> Option<usize> {
    let count = if json {
        bytes.iter().filter(|byte| **byte == b'{').count()
    } else {
        let message = match kind {
            Kind::Metrics => &METRICS,
            Kind::Logs => &LOGS,
            Kind::Traces => &TRACES,
        };
        let mut left = MOST + 1;
        walk(bytes, message, &mut left, 0);
        MOST + 1 - left
    };
    (count > MOST).then_some(MOST)
}

fn walk(mut rest: &[u8], message: &Message, left: &mut usize, depth: usize) {
    while let Some((field, content)) = next(&mut rest) {
        let known = message.0.iter().find(|(number, _)| *number == field);
        let (Some((_, inner)), Some(content)) = (known, content) else {
            continue;
        };
        *left = left.saturating_sub(1);
        if *left == 0 {
            return;
        }
        if depth < DEEP {
            walk(content, inner, left, depth + 1);
        }
    }
}

/// The next field's number, and its content if it has a length.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let tag = varint(rest)?;
    let skipped = match tag & 7 {
        0 => {
            varint(rest)?;
            return Some((tag >> 3, None));
        }
        1 => 8,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            let (content, after) = rest.split_at_checked(length)?;
            *rest = after;
            return Some((tag >> 3, Some(content)));
        }
        5 => 4,
        // Groups are of no version of this protocol.
        _ => return None,
    };
    *rest = rest.get(skipped..)?;
    Some((tag >> 3, None))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::KeyValue;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::{
        Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    };
    use prost::Message as _;

    fn request(points: usize) -> Vec<u8> {
        let point = NumberDataPoint {
            attributes: vec![KeyValue::default()],
            ..NumberDataPoint::default()
        };
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics {
                    metrics: vec![Metric {
                        data: Some(Data::Gauge(Gauge {
                            data_points: vec![point; points],
                        })),
                        ..Metric::default()
                    }],
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        }
        .encode_to_vec()
    }

    #[test]
    fn messages_are_counted_at_every_level() {
        assert!(too_many(Kind::Metrics, &request(10), false).is_none());
        // Two messages each: a point and its attribute. 4 MiB that would be hundreds in memory.
        let bomb = request(MOST / 2);
        assert!(bomb.len() < 8 << 20);
        assert!(too_many(Kind::Metrics, &bomb, false).is_some());
        assert!(too_many(Kind::Logs, &[0x0a, 0x00].repeat(MOST + 1), false).is_some());
        assert!(too_many(Kind::Traces, &vec![b'{'; MOST + 1], true).is_some());
    }

    #[test]
    fn what_is_no_request_ends_the_counting() {
        for bytes in [&[0xff; 40][..], &[0x0a, 0x7f, 1], &[0x0b], &[0x09, 1], &[]] {
            assert!(too_many(Kind::Traces, bytes, false).is_none());
        }
        // A list within a list within a list …
        let mut deep = Vec::new();
        for _ in 0..500 {
            let mut outer = vec![0x2a];
            prost::encoding::encode_varint(deep.len() as u64 + 2, &mut outer);
            outer.push(0x0a);
            prost::encoding::encode_varint(deep.len() as u64, &mut outer);
            outer.extend(deep);
            deep = outer;
        }
        assert!(too_many(Kind::Logs, &deep, false).is_none());
    }
}
