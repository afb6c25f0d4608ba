//! When a schedule ticks: an interval or a cron expression, never more often than each second.

use super::ScheduleTrigger;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use std::time::Duration;

/// The longest interval.
const MAX_EVERY: Duration = Duration::from_secs(366 * 86_400);

/// When a schedule ticks.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// After each interval; at least one second.
    Every(Duration),
    /// By the calendar, in UTC.
    Cron(Box<Cron>),
}

/// Why a schedule cannot be used. `key` is `every` or `cron`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScheduleError {
    /// Which key is wrong.
    pub key: &'static str,
    /// What is wrong and what was expected.
    pub message: String,
}

impl ScheduleTrigger {
    /// When it ticks.
    ///
    /// # Errors
    /// [`ScheduleError`] when it has neither `every` nor `cron`, both, or one that is wrong.
    pub fn schedule(&self) -> Result<Schedule, ScheduleError> {
        let error = |key, message: String| ScheduleError { key, message };
        match (&self.every, &self.cron) {
            (Some(every), None) => parse_every(every)
                .map(Schedule::Every)
                .map_err(|message| error("every", message)),
            (None, Some(cron)) => parse_cron(cron)
                .map(|cron| Schedule::Cron(Box::new(cron)))
                .map_err(|message| error("cron", message)),
            (Some(_), Some(_)) => Err(error(
                "cron",
                "a schedule has `every` or `cron`, not both".to_owned(),
            )),
            (None, None) => Err(error(
                "every",
                "a schedule needs `every` (such as \"5m\") or `cron` (such as \"0 6 * * *\")"
                    .to_owned(),
            )),
        }
    }
}

fn parse_every(text: &str) -> Result<Duration, String> {
    let expected = || {
        format!(
            "`{text}` is not an interval; expected a whole number and s, m, h or d, such as \"30s\" or \"5m\""
        )
    };
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| expected())?;
    let seconds = match text.strip_prefix(digits) {
        Some("s") => Some(1),
        Some("m") => Some(60),
        Some("h") => Some(3_600),
        Some("d") => Some(86_400),
        _ => None,
    };
    let seconds: u64 = seconds.ok_or_else(expected)?;
    let every = Duration::from_secs(number.saturating_mul(seconds));
    if every.is_zero() {
        Err(format!("`{text}` is too often; expected at least 1s"))
    } else if every > MAX_EVERY {
        Err(format!("`{text}` is too seldom; expected at most 366d"))
    } else {
        Ok(every)
    }
}

fn parse_cron(text: &str) -> Result<Cron, String> {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build()
        .parse(text)
        .map_err(|error| {
            format!("`{text}` is not a cron expression of five or six fields (UTC): {error}")
        })
}
