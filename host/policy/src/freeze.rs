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
