//! Times and durations in the query of a reading.

use crate::api::input::Params;
use crate::telemetry::seconds;
use mandate_store::series::Range;
use mandate_types::{Problem, Timestamp};
use std::time::Duration;

/// What is shown when no `start` is named.
const USUAL: Duration = Duration::from_secs(3_600);

fn time(params: &mut Params, name: &'static str) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = params.text(name)? else {
        return Ok(None);
    };
    // A `+` in a query is a space: the offset of a time loses its sign that way.
    let time = Timestamp::parse(&text)
        .or_else(|| Timestamp::parse(&text.replace(' ', "+")))
        .or_else(|| seconds(text.parse().ok()?));
    time.map(Some).ok_or_else(|| {
        Problem::invalid_field(
            name,
            "an RFC 3339 time such as 2026-01-31T12:00:00Z, or seconds since 1970",
        )
    })
}

/// `start` and `end`: the last hour until now when absent.
///
/// # Errors
/// When they are no times, or in the wrong order.
pub fn range(params: &mut Params) -> Result<Range, Problem> {
    let (start, end) = (time(params, "start")?, time(params, "end")?);
    let end = end.unwrap_or_else(Timestamp::now);
    let start = start.unwrap_or_else(|| end.minus(USUAL));
    if end <= start {
        return Err(Problem::invalid_field("end", "a time after `start`"));
    }
    Ok(Range { start, end })
}

/// `step`: seconds, or a number with `ms`, `s`, `m`, `h`, `d`; zero when absent.
///
/// # Errors
/// When it is something else.
pub fn step(params: &mut Params) -> Result<Duration, Problem> {
    let Some(text) = params.text("step")? else {
        return Ok(Duration::ZERO);
    };
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => Some(0.001),
        "" | "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3_600.0),
        "d" => Some(86_400.0),
        _ => None,
    };
    let seconds = unit.and_then(|unit| Some(unit * digits.parse::<f64>().ok()?));
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| {
            Problem::invalid_field("step", "a duration such as 60, 500ms, 30s, 5m, 1h or 1d")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Params::new(pairs.iter().map(own).collect())
    }

    #[test]
    fn ranges_and_steps_read() {
        let of = |text: &str| step(&mut params(&[("step", text)]));
        assert_eq!(of("90").unwrap(), Duration::from_secs(90));
        assert_eq!(of("1.5m").unwrap(), Duration::from_secs(90));
        assert_eq!(of("250ms").unwrap(), Duration::from_millis(250));
        for bad in ["", "m", "-1s", "5w", "1e400"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        let found = range(&mut params(&[
            ("start", "100"),
            ("end", "1970-01-01T00:03:20Z"),
        ]));
        let found = found.unwrap();
        assert_eq!(
            (found.start.micros(), found.end.micros()),
            (100_000_000, 200_000_000)
        );
        assert!(range(&mut params(&[("start", "5"), ("end", "5")])).is_err());
        assert!(range(&mut params(&[("end", "NaN")])).is_err());
    }
}
