//! Telemetry as lines of JSON, one object each. A bad line refuses them all, and is named: what
//! was sent is written wholly or not at all.

mod line;
mod time;

pub use time::{Time, seconds};

use line::{EdgeLine, LogText, MetricLine, SpanLine};
use mandate_store::series::{Edge, LabelError, LogLine, PointBatch, Span};
use mandate_types::Problem;
use serde::Deserialize;

/// What is wrong with a line.
pub(super) struct Wrong(String);

impl From<LabelError> for Wrong {
    fn from(error: LabelError) -> Self {
        Self(error.to_string())
    }
}

impl From<String> for Wrong {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Reads each line that is not empty.
fn lines<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    mut take: impl FnMut(T) -> Result<(), Wrong>,
) -> Result<(), Problem> {
    for (place, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let read = match line.first() {
            // serde would take a list for the fields in their order, which nobody means.
            Some(b'{') => serde_json::from_slice(line).map_err(|error| {
                // Each line is a document of its own to the parser.
                Wrong(error.to_string().replace("line 1 column", "column"))
            }),
            _ => Err(Wrong("expected a JSON object".to_owned())),
        };
        read.and_then(&mut take).map_err(|Wrong(text)| {
            let field = format!("line {}", place + 1);
            let detail = format!("{field}: {text}; nothing was written");
            let expected = text.split_once("expected ").map(|(_, expected)| expected);
            let expected = expected.unwrap_or(&text).to_owned();
            Problem::invalid(detail).with_field(field, expected)
        })?;
    }
    Ok(())
}

/// Points of `{"metric", "labels", "time", "value"}` and `{"metric", "labels", "points"}`.
///
/// # Errors
/// A problem that names the line.
pub fn points(bytes: &[u8]) -> Result<PointBatch, Problem> {
    let mut batch = PointBatch::default();
    lines(bytes, |line: MetricLine<'_>| line.add_to(&mut batch))?;
    Ok(batch)
}

/// Log lines.
///
/// # Errors
/// As [`points`].
pub fn logs(bytes: &[u8]) -> Result<Vec<LogLine>, Problem> {
    let mut all = Vec::new();
    lines(bytes, |line: LogText| {
        all.push(line.checked()?);
        Ok(())
    })?;
    Ok(all)
}

/// Spans.
///
/// # Errors
/// As [`points`].
pub fn spans(bytes: &[u8]) -> Result<Vec<Span>, Problem> {
    let mut all = Vec::new();
    lines(bytes, |line: SpanLine| {
        all.push(line.checked()?);
        Ok(())
    })?;
    Ok(all)
}

/// Edges of a topology.
///
/// # Errors
/// As [`points`].
pub fn edges(bytes: &[u8]) -> Result<Vec<Edge>, Problem> {
    let mut all = Vec::new();
    lines(bytes, |line: EdgeLine| {
        all.push(line.checked()?);
        Ok(())
    })?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let problem = points(text.as_bytes()).unwrap_err();
        assert_eq!(problem.status, 422, "{text}");
        problem.detail
    }

    #[test]
    fn both_forms_are_points() {
        let batch = points(
            br#"{"metric":"m","labels":{"b":"2","a":"\u0031"},"time":"2026-01-31T12:00:00Z","value":1}

                {"metric":"m","labels":{"a":"1","b":"2"},"points":[[1769860801,2.5],[1769860802.5,null]]}
                {"metric":"m","time":5,"value":null}
                {"metric":"m","time":5}"#,
        )
        .unwrap();
        assert_eq!((batch.points(), batch.missing()), (2, 3));
    }

    #[test]
    fn a_bad_line_is_named_and_refuses_all() {
        let good = r#"{"metric":"m","time":1,"value":1}"#;
        let second = |line: &str| refused(&format!("{good}\n{line}\n{good}"));
        assert!(second("{").starts_with("line 2: EOF"), "{}", second("{"));
        for (line, what) in [
            (r#"{"metric":"m","value":1}"#, "`time`"),
            (r#"{"metric":"m","time":"soon","value":1}"#, "RFC 3339"),
            (r#"{"metric":"m","time":1790000000000,"value":1}"#, "1970"),
            (r#"{"metric":"","time":1,"value":1}"#, "metric"),
            (r#"{"metric":"m","time":1,"value":"1"}"#, "invalid type"),
            (r#"{"metric":"m","time":1,"value":1,"colour":1}"#, "colour"),
            (r#"{"metric":"m","time":1,"points":[]}"#, "`points`"),
            (
                r#"{"metric":"m","labels":{"a":"1","a":"2"},"time":1,"value":1}"#,
                "twice",
            ),
            (r#"["m"]"#, "JSON object"),
            ("7", "JSON object"),
        ] {
            let said = second(line);
            assert!(
                said.starts_with("line 2: ") && said.contains(what),
                "{line}: {said}"
            );
        }
        let deep = format!("{{\"metric\":{}", "[".repeat(100_000));
        assert!(refused(&deep).starts_with("line 1"));
    }

    #[test]
    fn lines_spans_and_edges_read() {
        let lines = logs(br#"{"time":1,"service":"a","severity":"warning","message":"x","labels":{"event":"deployment"}}
{"time":2,"service":"a","message":"y"}"#).unwrap();
        assert_eq!(lines.len(), 2);
        assert!(logs(br#"{"time":1,"service":"a","severity":"loud","message":"x"}"#).is_err());
        let spans = spans(br#"{"trace_id":"t","span_id":"1","parent_id":null,"service":"a","operation":"GET /","start":1,"duration_us":5}"#).unwrap();
        assert!(!spans[0].error);
        let edges = edges(br#"{"caller":"a","callee":"b"}"#).unwrap();
        assert_eq!(edges.len(), 1);
        assert!(super::edges(br#"{"caller":"a","callee":""}"#).is_err());
    }
}
