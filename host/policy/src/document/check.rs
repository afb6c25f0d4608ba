//! What cannot be in a document, although it has the right form.

use super::{
    Budget, BudgetScope, Document, Freeze, MAX_ENTRIES, Matcher, Override, PolicyError, Tariff,
};
use crate::freeze::{weekday, zone};
use crate::verdict::Outcome;
use mandate_types::ids::is_kebab;
use std::collections::BTreeSet;

/// The most characters of a pattern or pointer.
const MAX_TEXT: usize = 200;

fn wrong(place: impl Into<String>, problem: impl Into<String>) -> PolicyError {
    PolicyError::Field {
        place: place.into(),
        problem: problem.into(),
    }
}

type Checked = Result<(), PolicyError>;

impl Document {
    /// Whether everything that it says can be.
    ///
    /// # Errors
    /// [`PolicyError::Field`] for the first thing that cannot.
    pub fn check(&self) -> Checked {
        for (list, length) in [
            ("tariff", self.tariffs.len()),
            ("override", self.overrides.len()),
            ("freeze", self.freezes.len()),
            ("budget", self.budgets.len()),
            ("approvals.route", self.approvals.routes.len()),
        ] {
            if length > MAX_ENTRIES {
                return Err(wrong(
                    list,
                    format!("{length} entries; the most is {MAX_ENTRIES}"),
                ));
            }
        }
        if self.thresholds.level1 > self.thresholds.level2 {
            return Err(wrong("thresholds.level1", "is above level2"));
        }
        confidence("thresholds.min_confidence", self.thresholds.min_confidence)?;
        each("tariff", &self.tariffs, tariff)?;
        each("override", &self.overrides, |place, it| {
            overrides(place, it, self)
        })?;
        each("freeze", &self.freezes, freeze)?;
        each("budget", &self.budgets, budget)?;
        names("override", self.overrides.iter().map(|it| &it.name))?;
        names("freeze", self.freezes.iter().map(|it| &it.name))?;
        names("budget", self.budgets.iter().map(|it| &it.name))?;
        self.same_twice()?;
        self.routes()
    }

    /// Two overrides for the very same decisions: nobody could say which one is meant.
    fn same_twice(&self) -> Checked {
        let mut seen = BTreeSet::new();
        for (at, it) in self.overrides.iter().enumerate() {
            if !seen.insert(&it.matcher) {
                let problem = "another override is for the same already: make one of the two";
                return Err(wrong(format!("override[{}].for", at + 1), problem));
            }
        }
        Ok(())
    }

    fn routes(&self) -> Checked {
        let mut seen = BTreeSet::new();
        for (at, route) in self.approvals.routes.iter().enumerate() {
            let place = format!("approvals.route[{}]", at + 1);
            if !seen.insert((&route.tenant, route.from)) {
                return Err(wrong(
                    place,
                    "another route has the same tenant and amount: make one of the two",
                ));
            }
            if route.channels.is_empty() || route.channels.len() > 16 {
                return Err(wrong(
                    format!("{place}.channels"),
                    "expected 1–16 names of notification channels",
                ));
            }
            for channel in &route.channels {
                text(&format!("{place}.channels"), channel)?;
            }
        }
        if self.approvals.expires_after < self.approvals.repeat_after
            && !self.approvals.routes.is_empty()
        {
            return Err(wrong(
                "approvals.repeat_after",
                "is longer than expires_after: nobody would be told again",
            ));
        }
        Ok(())
    }
}

fn each<T>(list: &str, items: &[T], check: impl Fn(&str, &T) -> Checked) -> Checked {
    for (at, item) in items.iter().enumerate() {
        check(&format!("{list}[{}]", at + 1), item)?;
    }
    Ok(())
}

fn names<'a>(list: &str, names: impl Iterator<Item = &'a String>) -> Checked {
    let mut seen = BTreeSet::new();
    for (at, name) in names.enumerate() {
        let place = format!("{list}[{}].name", at + 1);
        if !is_kebab(name) {
            return Err(wrong(
                place,
                format!("`{name}` is not kebab case of at most 64 characters, such as `month-end`"),
            ));
        }
        if !seen.insert(name) {
            return Err(wrong(place, format!("there are two called `{name}`")));
        }
    }
    Ok(())
}

fn text(place: &str, text: &str) -> Checked {
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(wrong(place, format!("expected 1–{MAX_TEXT} bytes")));
    }
    Ok(())
}

fn pattern(place: String, pattern: Option<&String>) -> Checked {
    let Some(pattern) = pattern else {
        return Ok(());
    };
    text(&place, pattern)?;
    let inner = pattern.strip_suffix('*').unwrap_or(pattern);
    if inner.contains('*') {
        return Err(wrong(place, "a `*` can only stand at the end"));
    }
    Ok(())
}

fn matcher(place: &str, matcher: &Matcher) -> Checked {
    pattern(format!("{place}.plugin"), matcher.plugin.as_ref())?;
    pattern(format!("{place}.tool"), matcher.tool.as_ref())?;
    pattern(format!("{place}.target"), matcher.target.as_ref())?;
    pattern(format!("{place}.tenant"), matcher.tenant.as_ref())
}

fn confidence(place: &str, value: f64) -> Checked {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(wrong(place, format!("{value} is not from 0 to 1")))
    }
}

fn tariff(place: &str, it: &Tariff) -> Checked {
    pattern(format!("{place}.tool"), Some(&it.tool))?;
    if it.fixed.is_none() && it.per_unit.is_none() && !it.trust_estimates {
        let problem = "says nothing: expected fixed, per_unit with units, or trust_estimates";
        return Err(wrong(place, problem));
    }
    if it.per_unit.is_some() != it.units.is_some() {
        return Err(wrong(place, "per_unit and units go together"));
    }
    if let Some(units) = &it.units {
        let place = format!("{place}.units");
        text(&place, units)?;
        if !units.starts_with('/') {
            return Err(wrong(
                place,
                format!("`{units}` is no JSON Pointer such as /replicas"),
            ));
        }
    }
    Ok(())
}

fn overrides(place: &str, it: &Override, document: &Document) -> Checked {
    matcher(&format!("{place}.for"), &it.matcher)?;
    if it.matcher.is_empty() {
        let problem = "names nothing: what is for all decisions belongs into [thresholds]";
        return Err(wrong(format!("{place}.for"), problem));
    }
    let level1 = it.level1.unwrap_or(document.thresholds.level1);
    let level2 = it.level2.unwrap_or(document.thresholds.level2);
    if level1 > level2 {
        return Err(wrong(
            format!("{place}.level1"),
            format!("level 1 would end at {level1}, above level 2, which ends at {level2}"),
        ));
    }
    if let Some(sure) = it.min_confidence {
        confidence(&format!("{place}.min_confidence"), sure)?;
    }
    let says_nothing = it.level1.is_none()
        && it.level2.is_none()
        && it.min_confidence.is_none()
        && it.max_risk.is_none()
        && it.outcome.is_none();
    if says_nothing {
        let problem = "says nothing: expected level1, level2, min_confidence, max_risk or outcome";
        return Err(wrong(place, problem));
    }
    Ok(())
}

fn freeze(place: &str, it: &Freeze) -> Checked {
    matcher(&format!("{place}.for"), &it.matcher)?;
    if let Some(name) = &it.zone
        && zone(name).is_none()
    {
        let name: String = name.chars().take(64).collect();
        return Err(wrong(
            format!("{place}.zone"),
            format!("`{name}` is no time zone such as Europe/Berlin, UTC or +02:00"),
        ));
    }
    for day in &it.days {
        if weekday(day).is_none() {
            let day: String = day.chars().take(20).collect();
            return Err(wrong(
                format!("{place}.days"),
                format!("`{day}` is none of mon, tue, wed, thu, fri, sat, sun"),
            ));
        }
    }
    if it.outcome == Outcome::Approve {
        let problem = "expected `escalate` or `deny`: a freeze loosens nothing";
        return Err(wrong(format!("{place}.outcome"), problem));
    }
    let quiet = it.from.is_some() || it.until.is_some() || !it.days.is_empty();
    let once = it.starts.is_some() || it.ends.is_some();
    match (it.from, it.until, it.starts, it.ends) {
        (Some(from), Some(until), None, None) if from == until => {
            let problem =
                "is as `from`, so they would last no time; for a whole day: 00:00 to 24:00";
            Err(wrong(format!("{place}.until"), problem))
        }
        (Some(from), Some(_), None, None) if from.minutes() >= 24 * 60 => Err(wrong(
            format!("{place}.from"),
            "is the end of a day: expected 00:00",
        )),
        (Some(_), Some(_), None, None) => Ok(()),
        (None, None, Some(starts), Some(ends)) if !quiet => {
            if starts >= ends {
                return Err(wrong(format!("{place}.ends"), "is not after `starts`"));
            }
            if it.zone.is_some() {
                let problem = "is not for a change freeze: its times name their offset";
                return Err(wrong(format!("{place}.zone"), problem));
            }
            Ok(())
        }
        _ if quiet && once => Err(wrong(
            place,
            "is both: expected from and until for quiet hours, or starts and ends for a change freeze",
        )),
        _ => Err(wrong(
            place,
            "expected from and until for quiet hours, or starts and ends for a change freeze",
        )),
    }
}

fn budget(place: &str, it: &Budget) -> Checked {
    pattern(format!("{place}.tenant"), it.tenant.as_ref())?;
    pattern(format!("{place}.plugin"), it.plugin.as_ref())?;
    pattern(format!("{place}.target"), it.target.as_ref())?;
    let summed_over = |wanted: &[BudgetScope]| wanted.contains(&it.scope);
    use BudgetScope::{Agent, Plugin, Target, Task, Tenant};
    for (field, given, scopes) in [
        (
            "tenant",
            it.tenant.is_some(),
            &[Tenant, Agent, Task, Target][..],
        ),
        ("plugin", it.plugin.is_some(), &[Plugin, Agent][..]),
        ("target", it.target.is_some(), &[Target][..]),
    ] {
        if given && !summed_over(scopes) {
            return Err(wrong(
                format!("{place}.{field}"),
                format!("is not for this scope: its sum is not kept by {field}"),
            ));
        }
    }
    Ok(())
}
