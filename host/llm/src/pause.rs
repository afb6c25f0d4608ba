//! How long a provider wants to be left alone, in every form in which providers say it.

use serde_json::Value;
use std::time::{Duration, SystemTime};

/// Nobody is believed who wants to be left alone for longer.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// Larger numbers than this are a time since 1970, not a length.
const EPOCH: f64 = 1_000_000_000.0;

/// What the headers of a refusal say; the longest if they say several things. `header` gives a
/// header by its name in lower case.
pub fn of<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Option<Duration> {
    let milliseconds = header("retry-after-ms")
        .and_then(|text| text.trim().parse().ok())
        .and_then(|ms: f64| length(ms / 1_000.0));
    if milliseconds.is_some() {
        return milliseconds;
    }
    if let Some(said) = header("retry-after").and_then(|text| parse(text, now)) {
        return Some(said);
    }
    // What is used up has nothing remaining; of the others the reset says nothing.
    let windows = LIMITS.iter().filter_map(|(remaining, reset)| {
        let used_up = header(remaining).is_none_or(|left| left.trim().parse() == Ok(0_u64));
        let reset = header(reset).filter(|_| used_up)?;
        parse(reset, now)
    });
    windows.max()
}

/// What the body of a refusal says: Google's `RetryInfo`, or words of it.
pub fn in_body(body: &Value) -> Option<Duration> {
    let error = body.get(0).unwrap_or(body).get("error")?;
    let details = error.get("details").and_then(Value::as_array);
    let delay = details
        .into_iter()
        .flatten()
        .find_map(|detail| detail.get("retryDelay")?.as_str());
    if let Some(delay) = delay.and_then(units) {
        return Some(delay);
    }
    let said = error.get("message").and_then(Value::as_str)?;
    let (_, after) = said.split_once("retry in ")?;
    let text = after.split(char::is_whitespace).next()?;
    units(text.trim_end_matches(['.', ',']))
}

/// Headers that say what is left of a limit, and when there is more.
const LIMITS: [(&str, &str); 7] = [
    (
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    (
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    (
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    (
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    (
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
];

/// Seconds, a length such as `6m0s`, a date, or a time since 1970.
fn parse(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        if number < EPOCH {
            return length(number);
        }
        let seconds = if number > EPOCH * 1_000.0 {
            number / 1_000.0
        } else {
            number
        };
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        return Some(until(at, now));
    }
    if let Ok(at) = httpdate::parse_http_date(text) {
        return Some(until(at, now));
    }
    if let Some(at) = mandate_types::Timestamp::parse(text) {
        let micros = u64::try_from(at.micros()).ok()?;
        return Some(until(
            SystemTime::UNIX_EPOCH + Duration::from_micros(micros),
            now,
        ));
    }
    units(text)
}

fn until(at: SystemTime, now: SystemTime) -> Duration {
    at.duration_since(now).unwrap_or_default().min(LONGEST)
}

fn length(seconds: f64) -> Option<Duration> {
    let length = Duration::try_from_secs_f64(seconds).ok()?;
    Some(length.min(LONGEST))
}

/// `1h2m3.5s`, `120ms`.
fn units(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let (unit, tail) = [
            ("ms", 0.001),
            ("s", 1.0),
            ("m", 60.0),
            ("h", 3_600.0),
            ("d", 86_400.0),
        ]
        .iter()
        .find_map(|(name, unit)| tail.strip_prefix(name).map(|tail| (*unit, tail)))?;
        seconds += number * unit;
        rest = tail;
    }
    (!text.is_empty()).then(|| length(seconds)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T12:00:00Z
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400)
    }

    fn said(headers: &[(&str, &str)]) -> Option<u64> {
        let find = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        of(find, now()).map(|pause| u64::try_from(pause.as_millis()).unwrap())
    }

    #[test]
    fn every_form_is_understood() {
        for (text, milliseconds) in [
            ("7", 7_000),
            (" 0.25 ", 250),
            ("Sat, 21 Nov 2026 12:00:09 GMT", 9_000),
            ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
            ("1795262460", 60_000),
            ("1795262460000", 60_000),
            ("2026-11-21T12:01:00Z", 60_000),
            ("6m0s", 360_000),
            ("1h2m3.5s", 3_723_500),
            ("120ms", 120),
            ("99999999", 86_400_000),
        ] {
            assert_eq!(said(&[("retry-after", text)]), Some(milliseconds), "{text}");
        }
        for text in ["", "soon", "-5", "NaN", "5 minutes", "m5"] {
            assert_eq!(said(&[("retry-after", text)]), None, "{text}");
        }
        assert_eq!(
            said(&[("retry-after-ms", "1500"), ("retry-after", "9")]),
            Some(1_500)
        );
    }

    #[test]
    fn of_limits_those_count_that_are_used_up() {
        let limits = [
            ("x-ratelimit-remaining-requests", "14"),
            ("x-ratelimit-reset-requests", "20m"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "7.66s"),
        ];
        assert_eq!(said(&limits), Some(7_660));
        assert_eq!(said(&[("x-ratelimit-reset", "3")]), Some(3_000));
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn bodies_say_it_too() {
        let told = |body: Value| in_body(&body).map(|pause| pause.as_secs());
        let details = serde_json::json!([{"@type": "x"}, {"retryDelay": "46s"}]);
        let error = serde_json::json!({"error": {"message": "x", "details": details}});
        assert_eq!(told(error.clone()), Some(46));
        assert_eq!(told(serde_json::json!([error])), Some(46));
        let words = "Quota exceeded. Please retry in 10h17m5.72s.";
        let said = serde_json::json!({"error": {"message": words}});
        assert_eq!(told(said), Some(37_025));
        for body in [
            r#"{"error":"x"}"#,
            r#"{"error":{"message":"retry in a while"}}"#,
            "[]",
        ] {
            assert_eq!(told(serde_json::from_str(body).unwrap()), None, "{body}");
        }
    }
}
