//! What holds for one decision, out of the thresholds of a policy and the overrides that fit it.

use crate::document::{Limits, Matcher, Override};
use crate::facts::{Facts, Thresholds};
use crate::grant::matches;
use crate::verdict::Outcome;
use mandate_types::Risk;

/// What holds for one decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms<'a> {
    /// Where the levels end.
    pub thresholds: Thresholds,
    /// How sure who asks must be at level 2.
    pub min_confidence: f64,
    /// The most risk at level 2.
    pub max_risk: Risk,
    /// What always happens, and the name of the override that says so.
    pub outcome: Option<(Outcome, &'a str)>,
}

/// Whether everything that `matcher` names fits.
pub fn fits(matcher: &Matcher, facts: &Facts) -> bool {
    let fits = |pattern: &Option<String>, name: Option<&str>| match pattern {
        None => true,
        Some(pattern) => name.is_some_and(|name| matches(std::slice::from_ref(pattern), name)),
    };
    fits(&matcher.plugin, Some(facts.plugin().as_str()))
        && fits(&matcher.tool, Some(&facts.tool))
        && fits(&matcher.target, facts.target.as_deref())
        && fits(&matcher.tenant, Some(facts.tenant.as_str()))
}

/// How much a matcher names; a whole name is more than the beginning of one.
fn narrowness(matcher: &Matcher) -> (usize, usize) {
    let named = [
        &matcher.plugin,
        &matcher.tool,
        &matcher.target,
        &matcher.tenant,
    ];
    let named: Vec<&String> = named.into_iter().flatten().collect();
    let whole = named.iter().filter(|name| !name.ends_with('*')).count();
    (named.len(), whole)
}

/// What holds for `facts`, and what the plugin asks for itself if that is tighter.
pub fn terms<'a>(limits: &Limits, overrides: &'a [Override], facts: &Facts) -> Terms<'a> {
    let fitting: Vec<&Override> = overrides
        .iter()
        .filter(|it| fits(&it.matcher, facts))
        .collect();
    let level1 = tightest(&fitting, |it| it.level1, |a, b| a < b);
    let level2 = tightest(&fitting, |it| it.level2, |a, b| a < b);
    let thresholds = Thresholds {
        level1: level1.unwrap_or(limits.level1),
        level2: level2.unwrap_or(limits.level2),
    };
    Terms {
        thresholds: match facts.thresholds {
            Some(asked) => thresholds.tightest(asked),
            None => thresholds,
        },
        min_confidence: tightest(&fitting, |it| it.min_confidence, |a, b| a > b)
            .unwrap_or(limits.min_confidence),
        max_risk: tightest(&fitting, |it| it.max_risk, |a, b| a < b).unwrap_or(limits.max_risk),
        outcome: tightest(
            &fitting,
            |it| Some((it.outcome?, it.name.as_str())),
            |a, b| (a.0, b.1) > (b.0, a.1),
        ),
    }
}

/// What the narrowest say of one field; among equals the tightest.
fn tightest<'a, T: Copy>(
    fitting: &[&'a Override],
    field: impl Fn(&'a Override) -> Option<T>,
    is_tighter: impl Fn(&T, &T) -> bool,
) -> Option<T> {
    let said = fitting
        .iter()
        .filter_map(|it| Some((narrowness(&it.matcher), field(it)?)));
    let best = said.reduce(|best, next| {
        let wins = next.0 > best.0 || (next.0 == best.0 && is_tighter(&next.1, &best.1));
        if wins { next } else { best }
    });
    best.map(|(_, value)| value)
}
