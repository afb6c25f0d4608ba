//! Spans as spans.

use super::attributes::{Sender, cut, text};
use super::{LeftOut, time};
use mandate_store::series::{LabelError, Span};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use std::borrow::Cow;

/// The most bytes of an operation's name; what is longer is cut.
const MOST_NAME: usize = 256;

/// The spans of a request.
pub fn spans(request: &ExportTraceServiceRequest) -> (Vec<Span>, LeftOut) {
    let (mut spans, mut left_out) = (Vec::new(), LeftOut::default());
    for resource in &request.resource_spans {
        let sender = Sender::of(resource.resource.as_ref());
        for sent in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
            match span(&sender, sent) {
                Ok(span) => spans.push(span),
                Err(error) => left_out.wrong("span", &error),
            }
        }
    }
    (spans, left_out)
}

fn id(bytes: &[u8]) -> String {
    // An id has 8 or 16 bytes; a longer one is refused by its length in digits.
    hex::encode(bytes.get(..bytes.len().min(128)).unwrap_or_default())
}

fn span(sender: &Sender<'_>, sent: &Sent) -> Result<Span, LabelError> {
    let kind = match SpanKind::try_from(sent.kind) {
        Ok(SpanKind::Server) => "server",
        Ok(SpanKind::Client) => "client",
        Ok(SpanKind::Producer) => "producer",
        Ok(SpanKind::Consumer) => "consumer",
        _ => "internal",
    };
    let mut more = vec![("kind", Cow::Borrowed(kind))];
    let mut error = false;
    if let Some(status) = &sent.status {
        error = status.code == StatusCode::Error as i32;
        if !status.message.is_empty() {
            more.push(("status.message", Cow::Borrowed(cut(&status.message, 512))));
        }
    }
    // Why it failed is mostly in an event.
    let exception = sent.events.iter().find(|event| event.name == "exception");
    for attribute in exception.map_or(&[][..], |event| &event.attributes) {
        if matches!(
            attribute.key.as_str(),
            "exception.type" | "exception.message"
        ) {
            more.push((attribute.key.as_str(), text(attribute.value.as_ref(), 512)));
        }
    }
    let mut span = Span {
        trace_id: id(&sent.trace_id),
        span_id: id(&sent.span_id),
        parent_id: (!sent.parent_span_id.is_empty()).then(|| id(&sent.parent_span_id)),
        service: sender.service.clone().into_owned(),
        operation: cut(&sent.name, MOST_NAME).to_owned(),
        start: time("start_time_unix_nano", sent.start_time_unix_nano)?,
        duration_us: sent
            .end_time_unix_nano
            .saturating_sub(sent.start_time_unix_nano)
            / 1_000,
        error,
        labels: sender.owned(&more, &sent.attributes),
    };
    span.check()?;
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::trace::v1::Status;

    #[test]
    fn a_span_keeps_what_tells() {
        let mut sent = Sent {
            trace_id: vec![0xab; 16],
            span_id: vec![1; 8],
            name: "GET /".into(),
            kind: SpanKind::Server as i32,
            start_time_unix_nano: 1_000_000_000,
            end_time_unix_nano: 1_250_000_000,
            status: Some(Status {
                message: "no".into(),
                code: StatusCode::Error as i32,
            }),
            ..Sent::default()
        };
        let read = span(&Sender::of(None), &sent).unwrap();
        assert_eq!((read.duration_us, read.error), (250_000, true));
        assert_eq!(
            (read.trace_id.as_str(), read.parent_id),
            (&*"ab".repeat(16), None)
        );
        let kind = ("kind".to_owned(), "server".to_owned());
        assert!(read.labels.contains(&kind), "{:?}", read.labels);
        sent.span_id.clear();
        assert!(span(&Sender::of(None), &sent).is_err());
        sent.span_id = vec![1; 1_000];
        assert!(span(&Sender::of(None), &sent).is_err());
    }
}
