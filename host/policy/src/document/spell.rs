//! How times and durations are spelled in a policy.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const DAY_MINUTES: u16 = 24 * 60;

/// A text that has not the form that was wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct Misspelled {
    text: String,
    wanted: &'static str,
}

fn misspelled(text: &str, wanted: &'static str) -> Misspelled {
    Misspelled {
        text: text.chars().take(40).collect(),
        wanted,
    }
}

/// A time on the wall: minutes after midnight. `24:00` is the end of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Minutes after midnight, 0–1440.
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = Misspelled;

    fn from_str(text: &str) -> Result<Self, Misspelled> {
        let wrong = || misspelled(text, "a time of day such as 22:00");
        let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
        let two = |part: &str| match part.len() {
            2 if part.bytes().all(|b| b.is_ascii_digit()) => part.parse::<u16>().ok(),
            _ => None,
        };
        let (hours, minutes) = two(hours).zip(two(minutes)).ok_or_else(wrong)?;
        let whole = hours * 60 + minutes;
        if minutes > 59 || whole > DAY_MINUTES {
            return Err(wrong());
        }
        Ok(Self(whole))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// A length of time: a whole number and `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

impl Span {
    /// A span of whole minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }

    /// How long.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = Misspelled;

    fn from_str(text: &str) -> Result<Self, Misspelled> {
        let wrong = || {
            misspelled(
                text,
                "a length of time of at most 366 days, such as 30m, 24h or 7d",
            )
        };
        let unit = text.chars().next_back().ok_or_else(wrong)?;
        let seconds: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let count: u64 = text
            .strip_suffix(unit)
            .filter(|count| count.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|count| count.parse().ok())
            .ok_or_else(wrong)?;
        let whole = count.checked_mul(seconds).ok_or_else(wrong)?;
        if whole == 0 || whole > 366 * 86_400 {
            return Err(wrong());
        }
        Ok(Self(Duration::from_secs(whole)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            s if s.is_multiple_of(86_400) && s > 86_400 => write!(f, "{}d", s / 86_400),
            s if s.is_multiple_of(3_600) => write!(f, "{}h", s / 3_600),
            s if s.is_multiple_of(60) => write!(f, "{}m", s / 60),
            s => write!(f, "{s}s"),
        }
    }
}

/// Since when money is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Window {
    /// For so long back from now.
    Rolling(Span),
    /// Since midnight, UTC.
    Day,
    /// Since the first of the month, UTC.
    Month,
    /// Always.
    Ever,
}

impl FromStr for Window {
    type Err = Misspelled;

    fn from_str(text: &str) -> Result<Self, Misspelled> {
        match text {
            "day" => Ok(Self::Day),
            "month" => Ok(Self::Month),
            "ever" => Ok(Self::Ever),
            span => span.parse().map(Self::Rolling).map_err(|_| {
                misspelled(
                    text,
                    "a window: `day`, `month`, `ever`, or a length of time such as 24h",
                )
            }),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rolling(span) => span.fmt(f),
            Self::Day => f.write_str("day"),
            Self::Month => f.write_str("month"),
            Self::Ever => f.write_str("ever"),
        }
    }
}

macro_rules! spelled {
    ($($name:ident),+) => { $(
        impl TryFrom<String> for $name {
            type Error = Misspelled;
            fn try_from(text: String) -> Result<Self, Misspelled> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    )+ };
}

spelled!(TimeOfDay, Span, Window);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_reads_back() {
        for text in ["00:00", "06:30", "24:00"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        for text in ["90s", "30m", "24h", "7d", "366d"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["day", "month", "ever", "24h"] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_misspelled_says_what_was_expected() {
        for text in [
            "",
            "24:01",
            "6:00",
            "22:60",
            "22",
            "22:00:00",
            "-1:00",
            "２２:00",
        ] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
        for text in [
            "",
            "m",
            "0m",
            "-5m",
            "1.5h",
            "10",
            "367d",
            "99999999999999999999d",
            "5 m",
            "5é",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        let error = "week".parse::<Window>().unwrap_err().to_string();
        assert!(
            error.contains("`week`") && error.contains("month"),
            "{error}"
        );
    }
}
