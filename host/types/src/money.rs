//! Money as whole micro-dollars, never floating point: sums are exact.

use serde::{Deserialize, Serialize};
use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_people_write_it() {
        assert_eq!(MicroUsd(1_999_990_000).to_string(), "$1,999.99");
        assert_eq!(MicroUsd(12).to_string(), "$0.000012");
        assert_eq!(MicroUsd::dollars(-1_234_567).to_string(), "-$1,234,567.00");
    }
}
