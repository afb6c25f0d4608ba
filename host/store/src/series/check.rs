//! What log lines, spans and edges may be: nothing is written that could not be asked for again.

use super::key::{LabelError, check_labels, check_text};
use super::{Edge, LogLine, Span};
use mandate_types::Timestamp;

/// The most bytes of a service's or operation's name.
const MOST_NAME: usize = 512;
/// The most bytes of a log message.
pub const MOST_MESSAGE: usize = 64 << 10;
/// The most bytes of the id of a trace or span.
const MOST_ID: usize = 128;
/// 2200-01-01: later times are mistakes of units.
const LATEST: i64 = 7_258_118_400_000_000;

/// Checks that a time is one between 1970 and 2200.
///
/// # Errors
/// [`LabelError::Time`], naming `what`.
pub fn check_time(what: &'static str, time: Timestamp) -> Result<(), LabelError> {
    if (0..LATEST).contains(&time.micros()) {
        return Ok(());
    }
    Err(LabelError::Time(what, time))
}

/// Sorts labels by name and checks them.
fn sort(labels: &mut [(String, String)]) -> Result<(), LabelError> {
    labels.sort_unstable();
    let mut borrowed: Vec<(&str, &str)> = labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    check_labels(&mut borrowed)
}

impl LogLine {
    /// Sorts the labels, and checks everything.
    ///
    /// # Errors
    /// [`LabelError`]
    pub fn check(&mut self) -> Result<(), LabelError> {
        check_time("time", self.time)?;
        check_text("service", &self.service, 1, MOST_NAME)?;
        check_text("message", &self.message, 0, MOST_MESSAGE)?;
        sort(&mut self.labels)
    }
}

impl Span {
    /// Sorts the labels, and checks everything.
    ///
    /// # Errors
    /// [`LabelError`]
    pub fn check(&mut self) -> Result<(), LabelError> {
        check_time("start", self.start)?;
        check_text("trace_id", &self.trace_id, 1, MOST_ID)?;
        check_text("span_id", &self.span_id, 1, MOST_ID)?;
        if let Some(parent) = &self.parent_id {
            check_text("parent_id", parent, 1, MOST_ID)?;
        }
        check_text("service", &self.service, 1, MOST_NAME)?;
        check_text("operation", &self.operation, 0, MOST_NAME)?;
        sort(&mut self.labels)
    }
}

impl Edge {
    /// Checks both names.
    ///
    /// # Errors
    /// [`LabelError`]
    pub fn check(&self) -> Result<(), LabelError> {
        check_text("caller", &self.caller, 1, MOST_NAME)?;
        check_text("callee", &self.callee, 1, MOST_NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn a_line_is_sorted_or_refused() {
        let mut line = LogLine {
            time: Timestamp::from_micros(1),
            service: "a".into(),
            severity: Severity::Info,
            message: String::new(),
            labels: vec![("b".into(), "1".into()), ("a".into(), "2".into())],
        };
        line.check().unwrap();
        assert_eq!(line.labels[0].0, "a");
        let mut other = line.clone();
        other.service.clear();
        assert!(other.check().unwrap_err().to_string().contains("service"));
        line.time = Timestamp::from_micros(-1);
        assert!(line.check().unwrap_err().to_string().contains("1970"));
    }
}
