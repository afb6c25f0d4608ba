//! Quiet hours and change freezes: which of a policy's hold at a moment.

use crate::document::{Freeze, TimeOfDay};
use crate::facts::Facts;
use crate::overrides::fits;
use crate::verdict::Outcome;
use jiff::civil::Weekday;
use jiff::tz::{Offset, TimeZone};
use mandate_types::Timestamp;

/// A freeze, ready to be asked.
#[derive(Debug)]
pub struct Frozen {
    freeze: Freeze,
    zone: TimeZone,
    days: Vec<Weekday>,
}

/// The freeze that holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Holding<'a> {
    /// Its name.
    pub name: &'a str,
    /// What happens meanwhile.
    pub outcome: Outcome,
    /// When it is, for people.
    pub when: String,
}

/// A zone by its name or offset, from the data inside of this program: the same everywhere.
pub fn zone(name: &str) -> Option<TimeZone> {
    if let Some(rest) = name.strip_prefix(['+', '-']) {
        let minutes = rest.parse::<TimeOfDay>().ok()?.minutes();
        let seconds = i32::from(minutes) * if name.starts_with('-') { -60 } else { 60 };
        return Offset::from_seconds(seconds).ok().map(TimeZone::fixed);
    }
    TimeZone::get(name).ok()
}

/// A day by its first three letters.
pub fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

impl Frozen {
    /// Prepares a freeze that was checked.
    pub fn new(freeze: &Freeze) -> Self {
        Self {
            zone: match &freeze.zone {
                Some(name) => zone(name).unwrap_or(TimeZone::UTC),
                None => TimeZone::UTC,
            },
            days: freeze.days.iter().filter_map(|day| weekday(day)).collect(),
            freeze: freeze.clone(),
        }
    }

    /// Whether it holds at `now`. A moment outside of every calendar is within it.
    fn holds(&self, now: Timestamp) -> bool {
        if let (Some(starts), Some(ends)) = (self.freeze.starts, self.freeze.ends) {
            return starts <= now && now < ends;
        }
        let (Some(from), Some(until)) = (self.freeze.from, self.freeze.until) else {
            return true;
        };
        let Ok(moment) = jiff::Timestamp::from_microsecond(now.micros()) else {
            return true;
        };
        // What the clock on the wall shows: where it jumps, so do the hours.
        let local = moment.to_zoned(self.zone.clone());
        let minutes = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let (from, until) = (i32::from(from.minutes()), i32::from(until.minutes()));
        let begins_on = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        let today = local.weekday();
        if from < until {
            return begins_on(today) && from <= minutes && minutes < until;
        }
        (minutes >= from && begins_on(today)) || (minutes < until && begins_on(today.previous()))
    }

    fn when(&self) -> String {
        let freeze = &self.freeze;
        match (freeze.from, freeze.until, freeze.ends) {
            (Some(from), Some(until), _) => {
                format!("{from}–{until} {}", freeze.zone.as_deref().unwrap_or("UTC"))
            }
            (_, _, Some(ends)) => format!("until {ends}"),
            _ => String::new(),
        }
    }
}

/// The tightest freeze that holds for `facts`; among equals the first by name.
pub fn holding<'a>(freezes: &'a [Frozen], facts: &Facts) -> Option<Holding<'a>> {
    freezes
        .iter()
        .filter(|it| fits(&it.freeze.matcher, facts) && it.holds(facts.now))
        .min_by_key(|it| (std::cmp::Reverse(it.freeze.outcome), &it.freeze.name))
        .map(|it| Holding {
            name: &it.freeze.name,
            outcome: it.freeze.outcome,
            when: it.when(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;
    use crate::policy::tests::facts;

    /// Whether the quiet hours of `text` hold at each time.
    fn holds(text: &str, times: &[(&str, bool)]) {
        let policy = Policy::read(&format!("[[freeze]]\nname = \"quiet\"\n{text}")).unwrap();
        for (time, expected) in times {
            let mut facts = facts(1);
            facts.now = Timestamp::parse(time).unwrap();
            let verdict = policy.judge(&facts);
            let frozen = verdict.rule == "freeze:quiet";
            assert_eq!(frozen, *expected, "{time}: {verdict:?}");
        }
    }

    #[test]
    fn quiet_hours_go_over_midnight() {
        holds(
            "from = \"22:00\"\nuntil = \"06:00\"",
            &[
                ("2026-11-21T21:59:59Z", false),
                ("2026-11-21T22:00:00Z", true),
                ("2026-11-22T05:59:59.999999Z", true),
                ("2026-11-22T06:00:00Z", false),
                ("2026-11-21T23:30:00+02:00", false),
            ],
        );
        holds(
            "from = \"09:00\"\nuntil = \"17:00\"\nzone = \"-05:30\"",
            &[
                ("2026-11-21T14:29:59Z", false),
                ("2026-11-21T14:30:00Z", true),
                ("2026-11-21T22:30:00Z", false),
            ],
        );
    }

    #[test]
    fn days_are_those_on_which_they_begin() {
        // 2026-11-20 is a Friday.
        holds(
            "days = [\"fri\"]\nfrom = \"22:00\"\nuntil = \"06:00\"",
            &[
                ("2026-11-19T23:00:00Z", false),
                ("2026-11-20T05:00:00Z", false),
                ("2026-11-20T23:00:00Z", true),
                ("2026-11-21T05:00:00Z", true),
                ("2026-11-21T23:00:00Z", false),
            ],
        );
        holds(
            "days = [\"sat\", \"sun\"]\nfrom = \"00:00\"\nuntil = \"24:00\"",
            &[
                ("2026-11-20T23:59:59Z", false),
                ("2026-11-21T00:00:00Z", true),
                ("2026-11-22T23:59:59Z", true),
                ("2026-11-23T00:00:00Z", false),
            ],
        );
    }

    #[test]
    fn where_the_clock_jumps_so_do_quiet_hours() {
        // Berlin: on 29 March 2026, 02:00 became 03:00; on 25 October, 03:00 became 02:00.
        holds(
            "zone = \"Europe/Berlin\"\nfrom = \"02:00\"\nuntil = \"03:00\"",
            &[
                ("2026-03-28T01:30:00Z", true),
                ("2026-03-29T00:59:59Z", false),
                ("2026-03-29T01:00:00Z", false),
                ("2026-03-30T00:30:00Z", true),
                ("2026-10-25T00:30:00Z", true),
                ("2026-10-25T01:30:00Z", true),
                ("2026-10-25T02:00:00Z", false),
            ],
        );
        holds(
            "zone = \"Europe/Berlin\"\nfrom = \"22:00\"\nuntil = \"06:00\"",
            &[
                ("2026-01-15T21:30:00Z", true),
                ("2026-07-15T20:30:00Z", true),
                ("2026-01-15T20:30:00Z", false),
                ("2026-07-15T04:30:00Z", false),
            ],
        );
    }

    #[test]
    fn a_change_freeze_begins_and_ends_once() {
        holds(
            "starts = \"2026-12-20T00:00:00+01:00\"\nends = \"2027-01-02T00:00:00+01:00\"",
            &[
                ("2026-12-19T22:59:59Z", false),
                ("2026-12-19T23:00:00Z", true),
                ("2027-01-01T22:59:59Z", true),
                ("2027-01-01T23:00:00Z", false),
            ],
        );
    }

    #[test]
    fn the_tightest_of_those_that_hold_counts() {
        let mut freezes = [
            "name = \"asks\"\nfrom = \"00:00\"\nuntil = \"24:00\"",
            "name = \"denies\"\nfrom = \"00:00\"\nuntil = \"24:00\"\noutcome = \"deny\"\nfor = { tool = \"actions.*\" }",
            "name = \"elsewhere\"\nfrom = \"00:00\"\nuntil = \"24:00\"\noutcome = \"deny\"\nfor = { tenant = \"acme\" }",
        ];
        for _ in 0..freezes.len() {
            freezes.rotate_left(1);
            let text: String = freezes
                .iter()
                .map(|it| format!("[[freeze]]\n{it}\n"))
                .collect();
            let policy = Policy::read(&text).unwrap();
            let mut facts = facts(1);
            let verdict = policy.judge(&facts);
            assert_eq!(
                (verdict.outcome, verdict.rule.as_str()),
                (Outcome::Deny, "freeze:denies")
            );
            assert!(
                verdict.reason.contains("00:00–24:00 UTC"),
                "{}",
                verdict.reason
            );
            facts.tool = "other.tool".to_owned();
            let verdict = policy.judge(&facts);
            assert_eq!(
                (verdict.outcome, verdict.rule.as_str()),
                (Outcome::Escalate, "freeze:asks")
            );
        }
    }

    #[test]
    fn a_moment_outside_of_every_calendar_is_within() {
        let text = "[[freeze]]\nname = \"quiet\"\nfrom = \"22:00\"\nuntil = \"06:00\"";
        let policy = Policy::read(text).unwrap();
        let mut facts = facts(1);
        for micros in [i64::MAX, i64::MIN] {
            facts.now = Timestamp::from_micros(micros);
            assert_eq!(policy.judge(&facts).rule, "freeze:quiet");
        }
    }
}
