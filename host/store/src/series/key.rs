//! Which series: metric and sorted labels in one piece of memory, because there are very many.

use mandate_types::Timestamp;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The most labels of one series, line or span.
pub const MOST_LABELS: usize = 32;
/// The most bytes of a metric's name.
const MOST_METRIC: usize = 256;
/// The most bytes of a label's name.
const MOST_NAME: usize = 128;
/// The most bytes of a label's value.
const MOST_VALUE: usize = 1024;

/// What is wrong with names or labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// A text is empty where it may not be, or too long.
    #[error("{what}: expected {least}–{most} bytes of text, found {found}")]
    Length {
        /// `metric`, or which part of which label.
        what: String,
        /// At least.
        least: usize,
        /// At most.
        most: usize,
        /// As it was.
        found: usize,
    },
    /// More labels than [`MOST_LABELS`].
    #[error("labels: expected at most {MOST_LABELS}, found {0}")]
    Many(usize),
    /// The same name twice.
    #[error("labels: `{0}` is there twice")]
    Twice(String),
    /// A time that is no time of anything.
    #[error("{0}: expected a time between 1970 and 2200, found {1}")]
    Time(&'static str, Timestamp),
}

/// Checks a text's length.
///
/// # Errors
/// [`LabelError::Length`], naming `what`.
pub fn check_text(what: &str, text: &str, least: usize, most: usize) -> Result<(), LabelError> {
    if (least..=most).contains(&text.len()) {
        return Ok(());
    }
    Err(LabelError::Length {
        what: what.to_owned(),
        least,
        most,
        found: text.len(),
    })
}

/// A metric with its labels, these sorted by name: length and bytes of each, one after the other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<[u8]>);

impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        // By what the texts say, not by how long they are.
        self.texts().cmp(other.texts())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Key {
    /// The series of `metric` with these labels, in whatever order.
    ///
    /// # Errors
    /// [`LabelError`]
    pub fn new(metric: &str, labels: &mut [(&str, &str)]) -> Result<Self, LabelError> {
        let mut bytes = Vec::new();
        Self::write(metric, labels, &mut bytes)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Writes the bytes of a key into `into`, which is emptied first; sorts the labels.
    ///
    /// # Errors
    /// [`LabelError`]
    pub(super) fn write(
        metric: &str,
        labels: &mut [(&str, &str)],
        into: &mut Vec<u8>,
    ) -> Result<(), LabelError> {
        check_text("metric", metric, 1, MOST_METRIC)?;
        check_labels(labels)?;
        into.clear();
        put(into, metric);
        for (name, value) in labels {
            put(into, name);
            put(into, value);
        }
        Ok(())
    }

    /// Of bytes that [`Key::as_bytes`] gave out.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    /// To be kept.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn texts(&self) -> Texts<'_> {
        Texts(&self.0)
    }

    /// The metric's name.
    pub fn metric(&self) -> &str {
        self.texts().next().unwrap_or_default()
    }

    /// The labels, by name.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut texts = self.texts();
        texts.next();
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels()
            .find_map(|(own, value)| (own == name).then_some(value))
    }

    /// Whether all these labels are there with these values.
    pub fn has(&self, labels: &[(String, String)]) -> bool {
        labels
            .iter()
            .all(|(name, value)| self.label(name) == Some(value))
    }
}

/// Sorts labels and checks them.
pub(super) fn check_labels(labels: &mut [(&str, &str)]) -> Result<(), LabelError> {
    if labels.len() > MOST_LABELS {
        return Err(LabelError::Many(labels.len()));
    }
    labels.sort_unstable();
    let mut before: Option<&str> = None;
    for (name, value) in labels.iter() {
        if !(1..=MOST_NAME).contains(&name.len()) {
            let shown: String = name.chars().take(40).collect();
            check_text(&format!("name of the label `{shown}`"), name, 1, MOST_NAME)?;
        }
        if value.len() > MOST_VALUE {
            check_text(
                &format!("value of the label `{name}`"),
                value,
                0,
                MOST_VALUE,
            )?;
        }
        if before == Some(name) {
            return Err(LabelError::Twice((*name).to_owned()));
        }
        before = Some(name);
    }
    Ok(())
}

fn put(into: &mut Vec<u8>, text: &str) {
    // Lengths were checked; a `u16` holds them all.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(text.as_bytes());
}

struct Texts<'a>(&'a [u8]);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (text, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric())?;
        for (position, (name, value)) in self.labels().enumerate() {
            let before = if position == 0 { "{" } else { ", " };
            write!(f, "{before}{name}={value:?}")?;
        }
        if self.labels().next().is_some() {
            f.write_str("}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_labels_does_not_matter() {
        let one = Key::new("m", &mut [("b", "2"), ("a", "1")]).unwrap();
        let two = Key::new("m", &mut [("a", "1"), ("b", "2")]).unwrap();
        assert_eq!(one, two);
        assert_eq!(one.metric(), "m");
        assert_eq!(one.labels().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!((one.label("b"), one.label("c")), (Some("2"), None));
        assert_eq!(one.to_string(), r#"m{a="1", b="2"}"#);
        assert_eq!(Key::new("m", &mut []).unwrap().to_string(), "m");
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let one = Key::new("m", &mut [("ab", "c")]).unwrap();
        assert_ne!(one, Key::new("m", &mut [("a", "bc")]).unwrap());
        assert_ne!(one, Key::new("ma", &mut [("b", "c")]).unwrap());
        let of = |value| Key::new("m", &mut [("a", value)]).unwrap();
        assert!(of("Average") < of("p50") && of("") < of("Average"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |metric: &str, labels: &mut [(&str, &str)]| {
            Key::new(metric, labels).unwrap_err().to_string()
        };
        assert!(said("", &mut []).contains("metric"));
        assert!(said(&"x".repeat(300), &mut []).contains("256"));
        assert!(said("m", &mut [("a", "1"), ("a", "2")]).contains("`a` is there twice"));
        assert!(said("m", &mut [("", "1")]).contains("name of the label"));
        let long = "v".repeat(1025);
        assert!(said("m", &mut [("a", &long)]).contains("value of the label `a`"));
        let mut many = vec![("x", "y"); 33];
        assert!(said("m", &mut many).contains("at most 32"));
    }
}
