//! Money as whole micro-dollars, never floating point: sums are exact.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A text or number that is no amount of dollars.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no amount of dollars; expected 0 or more with at most six decimals, such as 1999.99"
)]
pub struct NotDollars(String);

/// Millionths of a US dollar.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct MicroUsd(pub i64);

impl MicroUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Whole dollars.
    pub const fn dollars(dollars: i64) -> Self {
        Self(dollars.saturating_mul(1_000_000))
    }

    /// Reads dollars as people write them in files: `2500`, `1999.99`, `$0.000001`. Nothing is
    /// rounded, and nothing is below zero.
    ///
    /// # Errors
    /// [`NotDollars`] when `text` has another form, more than six decimals, or is too much.
    pub fn parse_dollars(text: &str) -> Result<Self, NotDollars> {
        let wrong = || NotDollars(text.chars().take(80).collect());
        let digits = text.strip_prefix('$').unwrap_or(text);
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(decimals) || decimals.len() > 6 {
            return Err(wrong());
        }
        let dollars: i64 = whole.parse().map_err(|_| wrong())?;
        let micros: i64 = format!("{decimals:0<6}").parse().map_err(|_| wrong())?;
        dollars
            .checked_mul(1_000_000)
            .and_then(|sum| sum.checked_add(micros))
            .map(Self)
            .ok_or_else(wrong)
    }

    /// The form that [`MicroUsd::parse_dollars`] reads, as short as it gets: `2500`, `1999.99`.
    pub fn as_dollars(self) -> String {
        let text = self.to_string().replace([',', '$'], "");
        text.strip_suffix(".00").unwrap_or(&text).to_owned()
    }

    /// The sum, held at the type's ends.
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for MicroUsd {
    /// Dollars with at least two and at most six decimals: `$1,999.99`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let dollars = (micros / 1_000_000).to_string();
        let mut grouped = String::new();
        for (position, digit) in dollars.chars().enumerate() {
            if position > 0 && (dollars.len() - position).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let decimals = format!("{:06}", micros % 1_000_000);
        let mut shown = decimals.trim_end_matches('0').to_owned();
        while shown.len() < 2 {
            shown.push('0');
        }
        write!(f, "{sign}${grouped}.{shown}")
    }
}

/// Dollars in files that people write, for `#[serde(with = …)]`: a number or a text, as
/// [`MicroUsd::parse_dollars`] reads them. What a float does not show is not there: `1999.99` is
/// $1,999.99.
pub mod dollars {
    use super::MicroUsd;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};
    use std::fmt;

    struct Dollars;

    impl Visitor<'_> for Dollars {
        type Value = MicroUsd;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("dollars, such as 2500 or \"1999.99\"")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<MicroUsd, E> {
            MicroUsd::parse_dollars(text).map_err(E::custom)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<MicroUsd, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<MicroUsd, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<MicroUsd, E> {
            self.visit_str(&number.to_string())
        }
    }

    /// Reads dollars.
    ///
    /// # Errors
    /// When the value is no amount of dollars, with what was expected.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<MicroUsd, D::Error> {
        from.deserialize_any(Dollars)
    }

    /// Writes dollars as a text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(money: &MicroUsd, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&money.as_dollars())
    }

    /// The same for what may be absent.
    pub mod option {
        use super::MicroUsd;
        use serde::{Deserialize, Deserializer, Serializer};

        /// Reads dollars, if there are some.
        ///
        /// # Errors
        /// When the value is no amount of dollars, with what was expected.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<MicroUsd>, D::Error> {
            #[derive(Deserialize)]
            struct Given(#[serde(with = "super")] MicroUsd);
            Ok(Option::<Given>::deserialize(from)?.map(|Given(money)| money))
        }

        /// Writes dollars as a text.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(
            money: &Option<MicroUsd>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match money {
                Some(money) => super::serialize(money, to),
                None => to.serialize_none(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_to_the_last_micro_dollar() {
        for (text, micros) in [
            ("2500", 2_500_000_000),
            ("1999.99", 1_999_990_000),
            ("$0.000001", 1),
            ("0", 0),
            ("9223372036854.775807", i64::MAX),
        ] {
            assert_eq!(
                MicroUsd::parse_dollars(text),
                Ok(MicroUsd(micros)),
                "{text}"
            );
            let back = MicroUsd(micros).as_dollars();
            assert_eq!(MicroUsd::parse_dollars(&back), Ok(MicroUsd(micros)));
        }
        assert_eq!(MicroUsd(1_999_990_000).as_dollars(), "1999.99");
        assert_eq!(MicroUsd::dollars(2_500).as_dollars(), "2500");
    }

    #[test]
    fn what_is_no_amount_of_dollars_is_refused() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "-0.01",
            "+1",
            "1e3",
            "NaN",
            "inf",
            "0.0000001",
            "1,000",
            "9223372036854.775808",
            "99999999999999999999",
            "$",
            "$$1",
            "1.2.3",
            "１",
        ] {
            assert!(MicroUsd::parse_dollars(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_in_files_are_dollars_as_written() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct File {
            #[serde(with = "dollars")]
            cost: MicroUsd,
            #[serde(
                default,
                with = "dollars::option",
                skip_serializing_if = "Option::is_none"
            )]
            most: Option<MicroUsd>,
        }
        let read = |text: &str| serde_json::from_str::<File>(text);
        let file = read(r#"{"cost": 1999.99, "most": "0.1"}"#).unwrap();
        assert_eq!(file.cost, MicroUsd(1_999_990_000));
        assert_eq!(file.most, Some(MicroUsd(100_000)));
        let json = serde_json::to_string(&file).unwrap();
        assert_eq!(json, r#"{"cost":"1999.99","most":"0.10"}"#);
        assert_eq!(read(&json).unwrap(), file);
        assert_eq!(read(r#"{"cost": 7, "most": null}"#).unwrap().most, None);
        for wrong in ["-1", "-0.5", "1e300", "0.0000001", "true", "[]"] {
            assert!(read(&format!("{{\"cost\": {wrong}}}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shown_as_people_write_it() {
        assert_eq!(MicroUsd(1_999_990_000).to_string(), "$1,999.99");
        assert_eq!(MicroUsd(12).to_string(), "$0.000012");
        assert_eq!(MicroUsd::dollars(-1_234_567).to_string(), "-$1,234,567.00");
    }
}
