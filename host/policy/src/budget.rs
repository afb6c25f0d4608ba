//! Budgets: which of a policy's hold for somebody who spends, since when, and until when.

use crate::document::{Budget, BudgetScope, Window};
use crate::facts::Facts;
use crate::grant::matches;
use crate::verdict::BUDGET;
use chrono::{Datelike, Days, Months, NaiveTime};
use mandate_types::{Ceiling, PluginName, Scope, TaskId, TenantId, Timestamp};

/// Who spends money: on an effect or on a model call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spender {
    /// For whom.
    pub tenant: TenantId,
    /// Every plugin of the chain of causes, once each; who asks comes first.
    pub plugins: Vec<PluginName>,
    /// The task at the root of the causes.
    pub root_task: Option<TaskId>,
    /// What it is done to; none for model calls.
    pub target: Option<String>,
}

impl Spender {
    /// Everything over which its money is counted; a reservation names all of these.
    pub fn scopes(&self) -> Vec<Scope> {
        [
            BudgetScope::Host,
            BudgetScope::Tenant,
            BudgetScope::Plugin,
            BudgetScope::Agent,
            BudgetScope::Task,
            BudgetScope::Target,
        ]
        .into_iter()
        .flat_map(|kind| self.of(kind))
        .collect()
    }

    fn of(&self, kind: BudgetScope) -> Vec<Scope> {
        match kind {
            BudgetScope::Host => vec![Scope::Host],
            BudgetScope::Tenant => vec![Scope::Tenant(self.tenant.clone())],
            BudgetScope::Plugin => self.plugins.iter().cloned().map(Scope::Plugin).collect(),
            BudgetScope::Agent => {
                let agent = |plugin: &PluginName| Scope::Agent {
                    tenant: self.tenant.clone(),
                    plugin: plugin.clone(),
                };
                self.plugins.iter().map(agent).collect()
            }
            BudgetScope::Task => self
                .root_task
                .clone()
                .map(Scope::Task)
                .into_iter()
                .collect(),
            BudgetScope::Target => {
                let target = self.target.clone().map(|target| Scope::Target {
                    tenant: self.tenant.clone(),
                    target,
                });
                target.into_iter().collect()
            }
        }
    }
}

/// Each plugin once, where it is first: one that is in a chain twice spends its money once.
pub fn distinct(plugins: impl Iterator<Item = PluginName>) -> Vec<PluginName> {
    let mut once = Vec::new();
    for plugin in plugins {
        if !once.contains(&plugin) {
            once.push(plugin);
        }
    }
    once
}

impl From<&Facts> for Spender {
    fn from(facts: &Facts) -> Self {
        let plugins = [facts.plugin()].into_iter().chain(&facts.chain);
        Self {
            tenant: facts.tenant.clone(),
            plugins: distinct(plugins.cloned()),
            root_task: facts.root_task.clone(),
            target: facts.target.clone(),
        }
    }
}

/// The ceilings that the budgets set for `spender` at `now`.
pub fn ceilings(budgets: &[Budget], spender: &Spender, now: Timestamp) -> Vec<Ceiling> {
    let mut ceilings = Vec::new();
    for budget in budgets {
        let (since, resets_at) = since(budget.window, now);
        for scope in spender.of(budget.scope) {
            if fits(budget, &scope, spender) {
                ceilings.push(Ceiling {
                    name: format!("{BUDGET}{}", budget.name),
                    scope,
                    since,
                    most: budget.limit,
                    resets_at,
                });
            }
        }
    }
    ceilings
}

/// A budget, and since when and until when money counts for it now.
#[derive(Clone, Debug)]
pub struct Period<'a> {
    /// Which.
    pub budget: &'a Budget,
    /// Since when.
    pub since: Timestamp,
    /// When the sum begins anew, if that is at a fixed time.
    pub resets_at: Option<Timestamp>,
}

/// Every budget as it stands at `now`.
pub fn periods(budgets: &[Budget], now: Timestamp) -> impl Iterator<Item = Period<'_>> {
    budgets.iter().map(move |budget| {
        let (since, resets_at) = since(budget.window, now);
        Period {
            budget,
            since,
            resets_at,
        }
    })
}

impl Budget {
    /// How the texts of the scopes begin over which it is kept.
    pub const fn scopes(&self) -> &'static str {
        match self.scope {
            BudgetScope::Host => "host",
            BudgetScope::Tenant => "tenant/",
            BudgetScope::Plugin => "plugin/",
            BudgetScope::Agent => "agent/",
            BudgetScope::Task => "task/",
            BudgetScope::Target => "target/",
        }
    }

    /// Whether it may be for what counts over `scope`, as far as that says for whom and what.
    pub fn covers(&self, scope: &Scope) -> bool {
        let fits = |pattern: &Option<String>, name: Option<&str>| match (pattern, name) {
            (Some(pattern), Some(name)) => matches(std::slice::from_ref(pattern), name),
            _ => true,
        };
        let target = match scope {
            Scope::Target { target, .. } => Some(target.as_str()),
            _ => None,
        };
        fits(&self.tenant, scope.tenant().map(TenantId::as_str))
            && fits(&self.plugin, scope.plugin().map(PluginName::as_str))
            && fits(&self.target, target)
    }
}

fn fits(budget: &Budget, scope: &Scope, spender: &Spender) -> bool {
    let fits = |pattern: &Option<String>, name: &str| {
        pattern
            .as_ref()
            .is_none_or(|pattern| matches(std::slice::from_ref(pattern), name))
    };
    let plugin = match scope {
        Scope::Plugin(plugin) | Scope::Agent { plugin, .. } => Some(plugin),
        _ => None,
    };
    fits(&budget.tenant, spender.tenant.as_str())
        && plugin.is_none_or(|plugin| fits(&budget.plugin, plugin.as_str()))
        && fits(
            &budget.target,
            spender.target.as_deref().unwrap_or_default(),
        )
}

/// Since when money counts in a window, and when the sum begins anew, if that is at a fixed time.
fn since(window: Window, now: Timestamp) -> (Timestamp, Option<Timestamp>) {
    let calendar = |month: bool| {
        let today = now.to_utc()?.date_naive();
        let first = if month { today.with_day(1)? } else { today };
        let next = if month {
            first.checked_add_months(Months::new(1))?
        } else {
            first.checked_add_days(Days::new(1))?
        };
        let at = |day: chrono::NaiveDate| {
            Timestamp::from_micros(day.and_time(NaiveTime::MIN).and_utc().timestamp_micros())
        };
        Some((at(first), Some(at(next))))
    };
    // A time outside of the calendar counts everything: that is the tightest.
    let ever = (Timestamp::from_micros(0), None);
    match window {
        Window::Rolling(span) => (now.minus(span.duration()), None),
        Window::Day => calendar(false).unwrap_or(ever),
        Window::Month => calendar(true).unwrap_or(ever),
        Window::Ever => ever,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::MicroUsd;

    fn spender() -> Spender {
        Spender {
            tenant: TenantId::parse("acme").unwrap(),
            plugins: vec![
                PluginName::parse("remediation").unwrap(),
                PluginName::parse("commander").unwrap(),
            ],
            root_task: Some(TaskId::fresh()),
            target: Some("db-1".to_owned()),
        }
    }

    fn budget(scope: BudgetScope, window: &str) -> Budget {
        Budget {
            name: "b".to_owned(),
            scope,
            tenant: None,
            plugin: None,
            target: None,
            window: window.parse().unwrap(),
            limit: MicroUsd::dollars(500),
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn calendar_windows_begin_and_end_in_utc() {
        let now = at("2028-02-29T23:30:00-02:00"); // 1 March, UTC
        let (since_day, resets) = since(Window::Day, now);
        assert_eq!(since_day, at("2028-03-01T00:00:00Z"));
        assert_eq!(resets, Some(at("2028-03-02T00:00:00Z")));
        let (month, resets) = since(Window::Month, at("2026-12-31T23:59:59.999999Z"));
        assert_eq!(month, at("2026-12-01T00:00:00Z"));
        assert_eq!(resets, Some(at("2027-01-01T00:00:00Z")));
        let rolling = "24h".parse().unwrap();
        assert_eq!(since(rolling, now), (at("2028-02-29T01:30:00Z"), None));
        assert_eq!(since(Window::Ever, now).0.micros(), 0);
        let beyond = since(Window::Day, Timestamp::from_micros(i64::MAX));
        assert_eq!(beyond.0.micros(), 0);
    }

    #[test]
    fn the_whole_chain_of_causes_is_held_to_its_budgets() {
        let spender = spender();
        let now = at("2026-11-21T12:00:00Z");
        let names = |budget: Budget| -> Vec<String> {
            ceilings(&[budget], &spender, now)
                .into_iter()
                .map(|ceiling| ceiling.scope.to_string())
                .collect()
        };
        assert_eq!(names(budget(BudgetScope::Host, "day")), ["host"]);
        assert_eq!(names(budget(BudgetScope::Tenant, "day")), ["tenant/acme"]);
        assert_eq!(
            names(budget(BudgetScope::Plugin, "day")),
            ["plugin/remediation", "plugin/commander"]
        );
        let mut of_one = budget(BudgetScope::Agent, "day");
        of_one.plugin = Some("comm*".to_owned());
        assert_eq!(names(of_one), ["agent/acme/commander"]);
        assert_eq!(
            names(budget(BudgetScope::Target, "day")),
            ["target/acme/db-1"]
        );
        assert_eq!(names(budget(BudgetScope::Task, "ever")).len(), 1);
        let mut other = budget(BudgetScope::Tenant, "day");
        other.tenant = Some("umbrella".to_owned());
        assert!(names(other).is_empty());
        assert_eq!(spender.scopes().len(), 8);
    }

    #[test]
    fn a_budget_covers_what_fits_its_names() {
        let mut of_some = budget(BudgetScope::Agent, "day");
        of_some.plugin = Some("comm*".to_owned());
        of_some.tenant = Some("acme".to_owned());
        let agent = |tenant: &str, plugin: &str| Scope::Agent {
            tenant: TenantId::parse(tenant).unwrap(),
            plugin: PluginName::parse(plugin).unwrap(),
        };
        assert!(of_some.covers(&agent("acme", "commander")));
        assert!(!of_some.covers(&agent("acme", "remediation")));
        assert!(!of_some.covers(&agent("umbrella", "commander")));
        for scope in spender().scopes() {
            let text = scope.to_string();
            let kinds = [
                BudgetScope::Host,
                BudgetScope::Tenant,
                BudgetScope::Plugin,
                BudgetScope::Agent,
                BudgetScope::Task,
                BudgetScope::Target,
            ];
            let of = kinds.map(|kind| budget(kind, "day"));
            let begin: Vec<_> = of.iter().filter(|b| text.starts_with(b.scopes())).collect();
            assert_eq!(begin.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_model_call_has_no_target() {
        let spender = Spender {
            target: None,
            ..spender()
        };
        let now = at("2026-11-21T12:00:00Z");
        let budgets = [
            budget(BudgetScope::Target, "day"),
            budget(BudgetScope::Task, "24h"),
        ];
        let held: Vec<_> = ceilings(&budgets, &spender, now);
        assert_eq!(held.len(), 1);
        assert!(matches!(held[0].scope, Scope::Task(_)));
    }
}
