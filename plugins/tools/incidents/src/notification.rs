//! What a source says of one alert, in one form for all sources, and bounded: whoever sends it is a stranger.

use crate::alert::{AlertSeverity, Reported};
use incident_contract::{Signal, Time};
use std::collections::BTreeMap;

/// Labels and annotations that are kept of one alert.
const MOST_LABELS: usize = 64;
/// Characters of a name of a label.
const LONGEST_KEY: usize = 100;
/// Characters of the value of a label.
const LONGEST_LABEL: usize = 500;
/// Characters of an annotation.
const LONGEST_ANNOTATION: usize = 2_000;
/// Characters of a name, a service or a fingerprint.
pub const LONGEST_NAME: usize = 200;
/// Characters of a summary.
const LONGEST_SUMMARY: usize = 500;
/// Characters of an address.
const LONGEST_URL: usize = 2_000;

/// What a source says of one alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The id of the alert's record.
    pub id: String,
    /// What the source tells its alerts apart by.
    pub fingerprint: String,
    /// What it is called.
    pub name: String,
    /// Whether it goes on.
    pub reported: Reported,
    /// How bad the source thinks it is.
    pub severity: AlertSeverity,
    /// The component that it is about.
    pub service: Option<String>,
    /// What is wrong with it.
    pub signal: Option<Signal>,
    /// One line for people.
    pub summary: String,
    /// Where it is.
    pub labels: BTreeMap<String, String>,
    /// For people.
    pub annotations: BTreeMap<String, String>,
    /// When it began, if that is said.
    pub starts_at: Option<Time>,
    /// When it ended, if that is said.
    pub ends_at: Option<Time>,
    /// Where the source shows it.
    pub url: Option<String>,
}

/// The first characters of a text.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text.to_owned(),
    }
}

/// One line of a text, without what would break it.
pub fn line(text: &str, most: usize) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    cut(first.unwrap_or_default(), most)
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

/// Labels as they are kept; empty values say nothing.
pub fn labels<'t>(given: impl Iterator<Item = (&'t str, &'t str)>) -> BTreeMap<String, String> {
    bounded(given, LONGEST_LABEL)
}

/// Annotations as they are kept.
pub fn annotations<'t>(
    given: impl Iterator<Item = (&'t str, &'t str)>,
) -> BTreeMap<String, String> {
    bounded(given, LONGEST_ANNOTATION)
}

fn bounded<'t>(
    given: impl Iterator<Item = (&'t str, &'t str)>,
    longest: usize,
) -> BTreeMap<String, String> {
    given
        .filter(|(_, value)| !value.is_empty())
        .take(MOST_LABELS)
        .map(|(key, value)| (cut(key, LONGEST_KEY), cut(value, longest)))
        .collect()
}

/// A summary, from the first text that says something.
pub fn summary<'t>(texts: impl IntoIterator<Item = Option<&'t str>>) -> String {
    texts
        .into_iter()
        .flatten()
        .map(|text| line(text, LONGEST_SUMMARY))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

/// An address that a person may follow.
pub fn url(text: &str) -> Option<String> {
    let web = text.starts_with("https://") || text.starts_with("http://");
    (web && text.len() <= LONGEST_URL && !text.chars().any(|c| c.is_control() || c == ' '))
        .then(|| text.to_owned())
}

/// What is wrong, from the words of a name: `HighErrorRate`, `p99_latency_seconds`, `5XXError`.
pub fn signal_of(name: &str) -> Option<Signal> {
    let words = words(name);
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    let starts = |known: &[&str]| {
        words
            .iter()
            .any(|word| known.iter().any(|start| word.starts_with(start)))
    };
    // `UnHealthyHostCount` is how it is written.
    let unhealthy = words.concat().contains("unhealth");
    // A timeout is an error to its caller, whatever else it is.
    if unhealthy
        || has(&[
            "up", "down", "absent", "timeout", "timeouts", "5xx", "500", "502", "503", "504",
            "faults",
        ])
        || starts(&[
            "error",
            "availab",
            "unavailab",
            "fail",
            "unreachab",
            "unhealth",
            "crash",
            "fault",
            "outage",
            "5xx",
        ])
    {
        return Some(Signal::Availability);
    }
    let slow = has(&[
        "slow", "slower", "slowness", "duration", "p50", "p90", "p95", "p99", "rtt",
    ]) || starts(&["latenc"])
        || (has(&["response"]) && has(&["time"]));
    slow.then_some(Signal::Latency)
}

/// The words of a name in any of the usual spellings, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars().take(LONGEST_NAME) {
        let begins = c.is_uppercase() && before.is_lowercase();
        if begins || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_is_in_the_words() {
        let latency = [
            "HighLatency",
            "p99_latency_seconds",
            "TargetResponseTime",
            "Duration",
            "SlowRequests",
        ];
        let availability = [
            "HighErrorRate",
            "TargetDown",
            "5XXError",
            "HTTPCode_Target_5XX_Count",
            "Availability",
            "StatusCheckFailed",
            "UnHealthyHostCount",
            "PodCrashLooping",
            "up == 0",
        ];
        for name in latency {
            assert_eq!(signal_of(name), Some(Signal::Latency), "{name}");
        }
        for name in availability {
            assert_eq!(signal_of(name), Some(Signal::Availability), "{name}");
        }
        for name in ["CPUUtilization", "DiskSpace", "", "Backup", "Supply"] {
            assert_eq!(signal_of(name), None, "{name}");
        }
    }

    #[test]
    fn what_strangers_send_is_cut() {
        let long = "ü".repeat(5_000);
        assert_eq!(cut(&long, 3), "üüü");
        assert_eq!(cut("ab", 3), "ab");
        assert_eq!(line("\n  a\u{7}b  \nc", 10), "ab");
        let many: Vec<(String, String)> = (0..1_000)
            .map(|n| (format!("k{n}"), long.clone()))
            .collect();
        let kept = labels(many.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        assert_eq!(kept.len(), MOST_LABELS);
        assert!(
            kept.values()
                .all(|value| value.chars().count() == LONGEST_LABEL)
        );
        assert_eq!(url("javascript:alert(1)"), None);
        assert_eq!(url("http://a b"), None);
        assert!(url("https://prometheus.example.org/graph?g0.expr=up").is_some());
    }
}
