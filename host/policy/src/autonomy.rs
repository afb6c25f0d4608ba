//! Levels: how much is at stake, by the cost and by what went before it.

use crate::facts::{Facts, Thresholds};
use crate::verdict::AUTONOMY;
use mandate_types::{Ceiling, MicroUsd, Scope};
use std::time::Duration;

/// For so long back what went before counts.
pub const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// The highest level: a human, unless policy says otherwise.
pub const HIGHEST: u8 = 3;

/// How much is at stake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// 1–3.
    pub level: u8,
    /// The greatest sum, of what went before and this.
    pub total: MicroUsd,
    /// Whose sum that is, if not that of this decision alone.
    pub of: Option<&'static str>,
}

impl Thresholds {
    /// The level of an amount; exactly at a threshold is above it.
    pub fn level(&self, amount: MicroUsd) -> u8 {
        if amount >= self.level2 {
            HIGHEST
        } else if amount >= self.level1 {
            2
        } else {
            1
        }
    }

    /// The largest amount of a level; none for the highest.
    fn most(&self, level: u8) -> Option<MicroUsd> {
        let end = match level {
            1 => self.level1.min(self.level2),
            2 => self.level2,
            _ => return None,
        };
        Some(MicroUsd(end.0.saturating_sub(1)))
    }
}

/// The sums that count, with their names and scopes.
fn windows(facts: &Facts) -> impl Iterator<Item = (&'static str, Scope, MicroUsd)> {
    let task = facts.root_task.clone().map(Scope::Task);
    let target = facts.target.clone().map(|target| Scope::Target {
        tenant: facts.tenant.clone(),
        target,
    });
    [
        (
            "plugin",
            Some(Scope::Plugin(facts.plugin().clone())),
            facts.windows.plugin,
        ),
        ("task", task, facts.windows.task),
        (
            "tenant",
            Some(Scope::Tenant(facts.tenant.clone())),
            facts.windows.tenant,
        ),
        ("target", target, facts.windows.target),
    ]
    .into_iter()
    .filter_map(|(name, scope, spent)| Some((name, scope?, spent.max(MicroUsd::ZERO))))
}

/// How much is at stake in a decision that costs `cost`: the worst of its windows.
///
/// What costs nothing adds to no window, and so is not held against what others spent.
pub fn standing(facts: &Facts, cost: MicroUsd, thresholds: &Thresholds) -> Standing {
    if cost == MicroUsd::ZERO {
        return Standing {
            level: thresholds.level(cost),
            total: cost,
            of: None,
        };
    }
    let (total, of) = windows(facts)
        .map(|(name, _, spent)| (spent.plus(cost), (spent > MicroUsd::ZERO).then_some(name)))
        .max_by_key(|(total, _)| *total)
        .unwrap_or((cost, None));
    Standing {
        level: thresholds.level(total),
        total,
        of,
    }
}

/// What must hold of each window when the money is reserved, so that the level is not above
/// `level`.
pub fn ceilings(facts: &Facts, level: u8, thresholds: &Thresholds) -> Vec<Ceiling> {
    let Some(most) = thresholds.most(level) else {
        return Vec::new();
    };
    windows(facts)
        .map(|(name, scope, _)| Ceiling {
            name: format!("{AUTONOMY}{name}"),
            scope,
            since: facts.now.minus(WINDOW),
            most,
            resets_at: None,
        })
        .collect()
}
