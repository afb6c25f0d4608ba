//! Warnings of budgets: each threshold is told once per budget, scope and period, in the
//! transaction that reaches it.

use super::sql::{self, Arg};
use crate::audit::NewAct;
use crate::event::NewEvent;
use mandate_types::{Act, Actor, Ceiling, EventKind, MicroUsd, Scope, TaskId, TenantId, Timestamp};
use serde_json::json;
use sqlx::sqlite::SqliteConnection;

/// Percent of a limit at which people are told.
const THRESHOLDS: [u8; 3] = [50, 80, 100];

/// Who spends, as far as a warning tells it.
#[derive(Clone)]
pub(super) struct Cause {
    pub(super) tenant: TenantId,
    pub(super) task: Option<TaskId>,
    pub(super) at: Timestamp,
}

/// A budget that has no room for what was asked.
pub(super) struct Exhausted {
    pub(super) ceiling: Ceiling,
    pub(super) spent: MicroUsd,
    pub(super) cause: Cause,
}

/// A threshold that was reached, and that nobody was told of in this period.
pub(super) struct Warning {
    ceiling: Ceiling,
    percent: u8,
    spent: MicroUsd,
    cause: Cause,
}

/// The thresholds that `spent` reaches.
pub(super) async fn reached(
    conn: &mut SqliteConnection,
    ceiling: &Ceiling,
    spent: MicroUsd,
    cause: &Cause,
) -> Result<Vec<Warning>, sqlx::Error> {
    let mut warnings = Vec::new();
    for percent in THRESHOLDS {
        // Exactly half of it is half of it.
        let is_reached =
            i128::from(spent.0) * 100 >= i128::from(ceiling.most.0) * i128::from(percent);
        if is_reached {
            warnings.extend(note(conn, ceiling, percent, spent, cause).await?);
        }
    }
    Ok(warnings)
}

impl Exhausted {
    /// What has no room for something is used up as far as that is concerned.
    pub(super) async fn note(
        &self,
        conn: &mut SqliteConnection,
    ) -> Result<Option<Warning>, sqlx::Error> {
        note(conn, &self.ceiling, 100, self.spent, &self.cause).await
    }
}

/// A period begins anew at the window's fixed time, one that rolls is over when it has passed
/// since the last warning, and a limit that changed is another budget.
async fn note(
    conn: &mut SqliteConnection,
    ceiling: &Ceiling,
    percent: u8,
    spent: MicroUsd,
    cause: &Cause,
) -> Result<Option<Warning>, sqlx::Error> {
    const NOTE: &str = "INSERT INTO budget_warnings (budget, scope, percent, at, most) VALUES (?1, ?2, ?3, ?4, ?5) \
        ON CONFLICT DO UPDATE SET at = excluded.at, most = excluded.most \
        WHERE budget_warnings.at < ?6 OR budget_warnings.most <> excluded.most";
    let args = [
        Arg::text(&ceiling.name),
        Arg::text(ceiling.scope.to_string()),
        Arg::Int(percent.into()),
        cause.at.into(),
        ceiling.most.into(),
        ceiling.since.into(),
    ];
    let is_new = sql::run(conn, NOTE, &args).await? > 0;
    Ok(is_new.then(|| Warning {
        ceiling: ceiling.clone(),
        percent,
        spent,
        cause: cause.clone(),
    }))
}

impl Warning {
    /// For subscribers. What is spent over all tenants is not one tenant's to know.
    pub(super) fn event(&self) -> NewEvent {
        NewEvent {
            time: self.cause.at,
            kind: EventKind::BUDGET_WARNING.to_owned(),
            subject: None,
            task: match self.is_everybodys() {
                true => None,
                false => self.cause.task.clone(),
            },
            tenant: match self.is_everybodys() {
                true => TenantId::default_tenant(),
                false => self.cause.tenant.clone(),
            },
            data: json!({
                "budget": self.budget(),
                "scope": self.ceiling.scope.to_string(),
                "percent": self.percent,
                "spent": self.spent,
                "limit": self.ceiling.most,
                "resets_at": self.ceiling.resets_at,
            }),
        }
    }

    /// For the audit.
    pub(super) fn act(&self) -> NewAct {
        NewAct {
            at: self.cause.at,
            actor: Actor::host(),
            act: Act::BUDGET_WARNING,
            subject: format!("budget/{}", self.budget()),
            tenant: (!self.is_everybodys()).then(|| self.cause.tenant.clone()),
            data: json!({
                "scope": self.ceiling.scope.to_string(),
                "percent": self.percent,
                "spent_micro_usd": self.spent,
                "limit_micro_usd": self.ceiling.most,
                "resets_at": self.ceiling.resets_at,
            }),
        }
    }

    fn is_everybodys(&self) -> bool {
        matches!(self.ceiling.scope, Scope::Host | Scope::Plugin(_))
    }

    fn budget(&self) -> &str {
        let name = &self.ceiling.name;
        name.strip_prefix("budget:").unwrap_or(name)
    }
}
