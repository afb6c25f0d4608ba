//! Times as clients write them: RFC 3339, or a number of seconds since 1970.

use mandate_types::Timestamp;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A time, however it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Timestamp);

/// The time of so many seconds since 1970, fractions allowed; none if it is none.
pub fn seconds(seconds: f64) -> Option<Timestamp> {
    seconds
        .is_finite()
        .then(|| Timestamp::from_micros((seconds * 1e6).round() as i64))
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 time such as 2026-01-31T12:00:00Z, or seconds since 1970")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
        let time = Timestamp::parse(text).map(Time);
        time.ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            E::custom(format!(
                "`{shown}` is not an RFC 3339 time such as 2026-01-31T12:00:00Z"
            ))
        })
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Time, E> {
        Ok(Time(Timestamp::from_micros(
            number.saturating_mul(1_000_000),
        )))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Time, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Time, E> {
        seconds(number)
            .map(Time)
            .ok_or_else(|| E::custom("a time is a finite number"))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_the_same_time() {
        let read = |text: &str| serde_json::from_str::<Time>(text).unwrap().0.micros();
        assert_eq!(read("\"2026-01-31T12:00:00.25Z\""), 1_769_860_800_250_000);
        assert_eq!(read("1769860800.25"), 1_769_860_800_250_000);
        assert_eq!(read("1769860800"), 1_769_860_800_000_000);
        assert!(serde_json::from_str::<Time>("\"1769860800\"").is_err());
        assert!(serde_json::from_str::<Time>("null").is_err());
    }
}
