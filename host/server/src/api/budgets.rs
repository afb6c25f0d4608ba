//! `/budgets`: how much of each budget of the policy is spent, over what.

use super::auth::Viewer;
use super::doc::Reads;
use super::error::ApiResult;
use super::input::Params;
use super::{Api, Listing};
use axum::Json;
use axum::extract::State;
use mandate_policy::Period;
use mandate_store::{Spent, SpentQuery};
use mandate_types::{MicroUsd, PluginName, Scope, Timestamp};
use serde::Serialize;

/// The most scopes of one budget that are looked at: those over which most is spent.
const MOST_SCOPES: u32 = 10_000;

/// A budget over one scope, in its present period. Money is in micro-dollars.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BudgetUsage {
    /// Its name in the policy.
    pub budget: String,
    /// Over what is summed: `host`, `tenant/acme`, `plugin/remediation`, `agent/acme/remediation`,
    /// `task/task-…`, `target/acme/db-1`.
    pub scope: String,
    /// `day`, `month`, `ever`, or how long money counts.
    pub window: String,
    /// The most.
    pub limit: MicroUsd,
    /// What was spent.
    pub spent: MicroUsd,
    /// What is under way and may still be spent.
    pub reserved: MicroUsd,
    /// How much more may be reserved.
    pub left: MicroUsd,
    /// How much of the limit is spent or reserved, rounded down; more than 100 where people let
    /// more happen.
    pub percent: i64,
    /// Since when money counts.
    pub since: Timestamp,
    /// When the sum begins anew; none where the window rolls or never ends.
    pub resets_at: Option<Timestamp>,
}

impl BudgetUsage {
    fn new(period: &Period<'_>, spent: &Spent) -> Self {
        let budget = period.budget;
        let used = spent.settled.plus(spent.reserved);
        Self {
            budget: budget.name.clone(),
            scope: spent.scope.to_string(),
            window: budget.window.to_string(),
            limit: budget.limit,
            spent: spent.settled,
            reserved: spent.reserved,
            left: MicroUsd(budget.limit.0.saturating_sub(used.0).max(0)),
            percent: percent(used, budget.limit),
            since: period.since,
            resets_at: period.resets_at,
        }
    }
}

/// Nothing of nothing is all of it.
fn percent(used: MicroUsd, limit: MicroUsd) -> i64 {
    let percent = (i128::from(used.0) * 100).checked_div(i128::from(limit.0));
    percent.map_or(100, |percent| percent.try_into().unwrap_or(i64::MAX))
}

/// Lists the budgets with what is spent of them, the most used first.
///
/// Each budget is there once for every scope over which something was spent in its present period.
/// Who is bound to tenants, or names one, sees what is spent for those, and no sums over all.
#[utoipa::path(
    get, path = "/api/v1/budgets", tag = "ledger",
    params(
        ("budget" = Option<String>, Query, description = "Only the one of this name"),
        ("tenant" = Option<String>, Query),
        ("plugin" = Option<String>, Query, description = "Only what is counted for this plugin"),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
    ),
    responses((status = 200, body = Listing<BudgetUsage>), Reads),
)]
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Listing<BudgetUsage>>> {
    let name = params.text("budget")?;
    let tenants = viewer.scope(params.parsed("tenant")?)?;
    let plugin: Option<PluginName> = params.parsed("plugin")?;
    let limit = params.limit()?;
    params.finish()?;
    let policy = api.tasks.kernel().policy();
    let mut all = Vec::new();
    for period in policy.periods(Timestamp::now()) {
        let budget = period.budget;
        if name.as_ref().is_some_and(|name| *name != budget.name) {
            continue;
        }
        let query = SpentQuery {
            scopes: budget.scopes(),
            since: period.since,
            tenants: tenants.clone(),
            limit: MOST_SCOPES,
        };
        let spent = api.store().spent_by_scope(&query).await?;
        let shown = spent.iter().filter(|spent| {
            let is_everybodys = matches!(spent.scope, Scope::Host | Scope::Plugin(_));
            !(is_everybodys && tenants.is_some())
                && budget.covers(&spent.scope)
                && plugin
                    .as_ref()
                    .is_none_or(|plugin| spent.scope.plugin() == Some(plugin))
        });
        all.extend(shown.map(|spent| BudgetUsage::new(&period, spent)));
    }
    all.sort_by(|a, b| {
        let key = |usage: &BudgetUsage| (-usage.percent, usage.budget.clone(), usage.scope.clone());
        key(a).cmp(&key(b))
    });
    all.truncate(limit as usize);
    Ok(Json(all.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_rounded_down_and_bounded() {
        let percent = |used, limit| percent(MicroUsd(used), MicroUsd(limit));
        assert_eq!(percent(1_999_999, 2_000_000), 99);
        assert_eq!(percent(2_000_000, 2_000_000), 100);
        assert_eq!(percent(3_000_000, 2_000_000), 150);
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(i64::MAX, 1), i64::MAX);
    }
}
