//! Log records as log lines.

use super::attributes::{Sender, cut, text};
use super::{LeftOut, time};
use mandate_store::series::{LogLine, MOST_MESSAGE, Severity};
use mandate_types::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use std::borrow::Cow;

/// The lines of a request.
pub fn lines(request: &ExportLogsServiceRequest) -> (Vec<LogLine>, LeftOut) {
    let (mut lines, mut left_out) = (Vec::new(), LeftOut::default());
    for resource in &request.resource_logs {
        let sender = Sender::of(resource.resource.as_ref());
        for record in resource
            .scope_logs
            .iter()
            .flat_map(|scope| &scope.log_records)
        {
            let mut line = line(&sender, record);
            match line.check() {
                Ok(()) => lines.push(line),
                Err(error) => left_out.wrong("log record", &error),
            }
        }
    }
    (lines, left_out)
}

fn line(sender: &Sender<'_>, record: &LogRecord) -> LogLine {
    // Both may be unknown; then it is about now.
    let nanos = match record.time_unix_nano {
        0 => record.observed_time_unix_nano,
        nanos => nanos,
    };
    let mut more = Vec::new();
    for (name, id) in [("trace_id", &record.trace_id), ("span_id", &record.span_id)] {
        if !id.is_empty() && id.len() <= 16 {
            more.push((name, Cow::Owned(hex::encode(id))));
        }
    }
    if !record.event_name.is_empty() {
        more.push(("event.name", Cow::Borrowed(cut(&record.event_name, 512))));
    }
    LogLine {
        time: match nanos {
            0 => Timestamp::now(),
            nanos => time("time_unix_nano", nanos).unwrap_or(Timestamp::from_micros(-1)),
        },
        service: sender.service.clone().into_owned(),
        severity: severity(record.severity_number, &record.severity_text),
        message: text(record.body.as_ref(), MOST_MESSAGE).into_owned(),
        labels: sender.owned(&more, &record.attributes),
    }
}

fn severity(number: i32, text: &str) -> Severity {
    match number {
        1..=8 => Severity::Debug,
        9..=12 => Severity::Info,
        13..=16 => Severity::Warning,
        17..=20 => Severity::Error,
        21..=24 => Severity::Fatal,
        _ => match text.to_ascii_lowercase().as_str() {
            "trace" | "debug" => Severity::Debug,
            "warn" | "warning" => Severity::Warning,
            "error" | "err" => Severity::Error,
            "fatal" | "critical" | "emergency" => Severity::Fatal,
            _ => Severity::Info,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_ours() {
        assert_eq!(severity(17, ""), Severity::Error);
        assert_eq!(severity(4, ""), Severity::Debug);
        assert_eq!(severity(0, "WARN"), Severity::Warning);
        assert_eq!(severity(99, "?"), Severity::Info);
    }

    #[test]
    fn a_record_keeps_its_time_and_trace() {
        let record = LogRecord {
            observed_time_unix_nano: 5_000_001_000,
            trace_id: vec![1; 16],
            ..LogRecord::default()
        };
        let mut line = line(&Sender::of(None), &record);
        line.check().unwrap();
        assert_eq!(line.time.micros(), 5_000_001);
        assert_eq!(line.labels, [("trace_id".to_owned(), "01".repeat(16))]);
        let far = LogRecord {
            time_unix_nano: u64::MAX,
            ..LogRecord::default()
        };
        assert!(super::line(&Sender::of(None), &far).check().is_err());
    }
}
