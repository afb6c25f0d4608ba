//! Times as the host reads them in queries: RFC 3339, where records hold microseconds.

use crate::Timestamp;
use serde_json::Value;
use toml::value::{Datetime, Offset};

/// The condition's value with its times as microseconds; none if it holds something else.
pub fn in_micros(wanted: &Value) -> Option<Value> {
    match wanted {
        Value::Null => Some(Value::Null),
        Value::String(text) => micros(text).map(Value::from),
        Value::Array(all) => all.iter().map(in_micros).collect(),
        _ => None,
    }
}

/// Microseconds since 1970.
fn micros(text: &str) -> Option<Timestamp> {
    let time: Datetime = text.parse().ok()?;
    let (date, clock) = (time.date?, time.time?);
    let offset = match time.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let minutes = days(date.year.into(), date.month.into(), date.day.into()) * 1_440
        + i64::from(clock.hour) * 60
        + i64::from(clock.minute)
        - offset;
    let seconds = minutes * 60 + i64::from(clock.second.unwrap_or(0));
    let fraction = i64::from(clock.nanosecond.unwrap_or(0) / 1_000);
    u64::try_from(seconds * 1_000_000 + fraction).ok()
}

/// Days since 1970-01-01 in the Gregorian calendar, whose years are counted from March here.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + year * 365 + year / 4 - year / 100 + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_microseconds() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-01-31T13:00:00+01:00", 1_769_860_800),
        ] {
            assert_eq!(
                in_micros(&json!(text)),
                Some(json!(seconds * 1_000_000_u64)),
                "{text}"
            );
        }
        let parts = in_micros(&json!(["1970-01-01T00:00:00.000007Z"]));
        assert_eq!(parts, Some(json!([7])));
        for wrong in [
            json!(7),
            json!("tomorrow"),
            json!("2026-01-31"),
            json!(["x"]),
        ] {
            assert_eq!(in_micros(&wrong), None, "{wrong}");
        }
    }
}
