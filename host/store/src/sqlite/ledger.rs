//! The ledger as rows, and the sums that ceilings are checked against.

use super::SqliteStore;
use super::apply::Refused;
use super::budget::{self, Cause, Warning};
use super::cursor;
use super::sql::{self, Arg, Columns, Sql, corrupt};
use crate::CommitError;
use crate::StoreError;
use crate::ledger::{LedgerEntry, LedgerQuery, LedgerStore, SpendingKind, Spent, SpentQuery};
use crate::task::Page;
use mandate_policy::{is_autonomy, is_budget};
use mandate_types::{Ceiling, ExecutionId, MicroUsd, Scope, Timestamp};
use sqlx::sqlite::{SqliteConnection, SqliteRow};

/// Of what counts for budgets: effects and models alike.
const SUM: &str =
    "SELECT coalesce(sum(amount), 0) AS spent FROM spendings WHERE scope = ? AND at >= ?";
/// Of what counts for autonomy levels.
const SUM_OF_EFFECTS: &str = "SELECT coalesce(sum(amount), 0) AS spent FROM spendings \
    WHERE scope = ? AND at >= ? AND kind = 'effect'";

/// A reservation, ready to be written.
pub(super) struct Reservation {
    id: Arg,
    kind: Arg,
    row: Vec<Arg>,
    scopes: Vec<Arg>,
    amount: MicroUsd,
    ceilings: Vec<Ceiling>,
    cause: Cause,
}

impl Reservation {
    pub(super) fn new(entry: &LedgerEntry, ceilings: Vec<Ceiling>) -> Self {
        let id = Arg::text(&entry.id);
        let kind = Arg::text(entry.kind.as_str());
        let budgets: Vec<_> = ceilings.iter().filter(|c| is_budget(c)).collect();
        Self {
            row: vec![
                id.clone(),
                kind.clone(),
                Arg::text(&entry.tenant),
                Arg::opt_text(entry.plugin.as_ref()),
                Arg::text(&entry.execution),
                Arg::opt_text(entry.task.as_ref()),
                Arg::opt_text(entry.decision.as_ref()),
                entry.reserved.into(),
                entry.at.into(),
                match budgets.is_empty() {
                    true => Arg::Null,
                    false => Arg::json(&budgets),
                },
                Arg::opt_text(entry.provider.as_ref()),
                Arg::opt_text(entry.model.as_ref()),
            ],
            id,
            kind,
            scopes: entry
                .scopes
                .iter()
                .map(|scope| Arg::text(scope.to_string()))
                .collect(),
            amount: MicroUsd(entry.reserved.0.max(0)),
            ceilings,
            cause: Cause {
                tenant: entry.tenant.clone(),
                task: entry.task.clone(),
                at: entry.at,
            },
        }
    }

    /// Writes it, if every ceiling holds with it; returns what people are told of budgets.
    pub(super) async fn write(&self, conn: &mut SqliteConnection) -> Result<Vec<Warning>, Refused> {
        const KNOWN: &str = "SELECT 1 FROM ledger WHERE id = ?";
        const INSERT: &str = "INSERT INTO ledger (id, kind, tenant, plugin, execution, task, decision, reserved, \
            uncertain, at, budgets, provider, model) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)";
        const SPEND: &str =
            "INSERT INTO spendings (scope, at, entry, amount, kind) VALUES (?, ?, ?, ?, ?)";
        if sql::first(conn, KNOWN, std::slice::from_ref(&self.id))
            .await?
            .is_some()
        {
            return Ok(Vec::new());
        }
        let mut warnings = Vec::new();
        for ceiling in &self.ceilings {
            let spent = under(conn, ceiling).await?;
            let with_this = spent.plus(self.amount);
            if with_this > ceiling.most {
                return Err(CommitError::Exceeded {
                    ceiling: Box::new(ceiling.clone()),
                    spent,
                }
                .into());
            }
            if is_budget(ceiling) {
                warnings.extend(budget::reached(conn, ceiling, with_this, &self.cause).await?);
            }
        }
        sql::run(conn, INSERT, &self.row).await?;
        for scope in &self.scopes {
            let args = [
                scope.clone(),
                self.cause.at.into(),
                self.id.clone(),
                self.amount.into(),
                self.kind.clone(),
            ];
            sql::run(conn, SPEND, &args).await?;
        }
        Ok(warnings)
    }
}

/// What is committed and reserved under a ceiling.
async fn under(conn: &mut SqliteConnection, ceiling: &Ceiling) -> Result<MicroUsd, Refused> {
    let sum = if is_autonomy(ceiling) {
        SUM_OF_EFFECTS
    } else {
        SUM
    };
    let args = [Arg::text(ceiling.scope.to_string()), ceiling.since.into()];
    Ok(match sql::first(conn, sum, &args).await? {
        Some(row) => MicroUsd(row.get_int("spent")?),
        None => MicroUsd::ZERO,
    })
}

/// How an entry ends.
pub(super) struct Settlement {
    pub(super) id: String,
    pub(super) actual: MicroUsd,
    pub(super) uncertain: bool,
    pub(super) at: Timestamp,
}

impl Settlement {
    /// Ends the entry; one that has ended stays. Returns what people are told of budgets, where it
    /// cost more than was reserved.
    pub(super) async fn write(&self, conn: &mut SqliteConnection) -> Result<Vec<Warning>, Refused> {
        const SETTLE: &str = "UPDATE ledger SET settled = ?2, uncertain = ?3, ended_at = ?4 \
            WHERE id = ?1 AND ended_at IS NULL RETURNING reserved, budgets, tenant, task";
        const AMOUNT: &str = "UPDATE spendings SET amount = ?2 WHERE entry = ?1";
        let args = [
            Arg::text(&self.id),
            self.actual.into(),
            Arg::bool(self.uncertain),
            self.at.into(),
        ];
        let Some(row) = sql::first(conn, SETTLE, &args).await? else {
            return Ok(Vec::new());
        };
        // Refunds never lower a window.
        let counted = MicroUsd(self.actual.0.max(0));
        sql::run(conn, AMOUNT, &[Arg::text(&self.id), counted.into()]).await?;
        let mut warnings = Vec::new();
        if self.actual.0 > row.get_int("reserved")? && row.get_opt_text("budgets")?.is_some() {
            let budgets: Vec<Ceiling> = row.get_json("budgets")?;
            let cause = Cause {
                tenant: row.get_id("tenant")?,
                task: row.get_opt_id("task")?,
                at: self.at,
            };
            for ceiling in &budgets {
                let spent = under(conn, ceiling).await?;
                warnings.extend(budget::reached(conn, ceiling, spent, &cause).await?);
            }
        }
        Ok(warnings)
    }
}

/// Model calls of an execution that were under way when it was taken over: nobody knows what they
/// cost, and they are made again under reservations of their own.
pub(super) async fn lose_calls(
    conn: &mut SqliteConnection,
    execution: &ExecutionId,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    const BOOK: &str = "UPDATE ledger SET settled = reserved, uncertain = 1, ended_at = ?2 \
        WHERE execution = ?1 AND kind = 'model' AND ended_at IS NULL";
    sql::run(conn, BOOK, &[Arg::text(execution), at.into()]).await?;
    Ok(())
}

/// Calls of clients that were under way when the host stopped: nobody goes on with them.
pub(super) async fn lose_calls_of_clients(
    conn: &mut SqliteConnection,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    const BOOK: &str = "UPDATE ledger SET settled = reserved, uncertain = 1, ended_at = ?1 \
        WHERE kind = 'model' AND plugin IS NULL AND ended_at IS NULL";
    sql::run(conn, BOOK, &[at.into()]).await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Result<LedgerEntry, StoreError> {
    let kind = row.get_text("kind")?;
    Ok(LedgerEntry {
        id: row.get_text("id")?,
        kind: SpendingKind::parse(&kind).ok_or_else(|| corrupt("kind", format!("`{kind}`")))?,
        tenant: row.get_id("tenant")?,
        plugin: row.get_opt_id("plugin")?,
        execution: row.get_id("execution")?,
        task: row.get_opt_id("task")?,
        decision: row.get_opt_id("decision")?,
        provider: row.get_opt_text("provider")?,
        model: row.get_opt_text("model")?,
        reserved: MicroUsd(row.get_int("reserved")?),
        settled: row.get_opt_int("settled")?.map(MicroUsd),
        uncertain: row.get_bool("uncertain")?,
        at: row.get_time("at")?,
        ended_at: row.get_opt_time("ended_at")?,
        scopes: Vec::new(),
    })
}

const LISTING: &str = "ledger";

#[async_trait::async_trait]
impl LedgerStore for SqliteStore {
    async fn spent(&self, over: &[(Scope, Timestamp)]) -> Result<Vec<MicroUsd>, StoreError> {
        let mut sums = Vec::with_capacity(over.len());
        for (scope, since) in over {
            let sql = Sql::with(
                SUM_OF_EFFECTS,
                vec![Arg::text(scope.to_string()), (*since).into()],
            );
            let row = sql.optional(&self.readers).await?;
            sums.push(MicroUsd(row.map_or(Ok(0), |row| row.get_int("spent"))?));
        }
        Ok(sums)
    }

    async fn spent_by_scope(&self, query: &SpentQuery) -> Result<Vec<Spent>, StoreError> {
        let mut sql = Sql::with(
            "SELECT scope, sum(amount) AS spent, sum(iif(ended_at IS NULL, amount, 0)) AS reserved \
             FROM spendings JOIN ledger ON ledger.id = spendings.entry WHERE scope >= ?",
            vec![Arg::text(query.scopes)],
        );
        // All that begin so: the kinds of scopes are ASCII.
        sql.clause(
            " AND scope < ?",
            Arg::text(format!("{}\u{7f}", query.scopes)),
        )
        .clause(" AND spendings.at >= ?", query.since.into());
        if let Some(tenants) = &query.tenants {
            sql.push(" AND ledger.tenant IN ")
                .list(tenants.iter().map(Arg::text));
        }
        sql.push(" GROUP BY scope ORDER BY spent DESC, scope LIMIT ")
            .bind(Arg::Int(query.limit.into()));
        let rows = sql.all(&self.readers).await?;
        let read = |row: &SqliteRow| {
            let (text, reserved) = (row.get_text("scope")?, row.get_int("reserved")?);
            Ok(Spent {
                scope: Scope::parse(&text).ok_or_else(|| corrupt("scope", format!("`{text}`")))?,
                settled: MicroUsd(row.get_int("spent")?.saturating_sub(reserved)),
                reserved: MicroUsd(reserved),
            })
        };
        rows.iter().map(read).collect()
    }

    async fn ledger(&self, query: &LedgerQuery) -> Result<Page<LedgerEntry>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM ledger WHERE 1");
        if let Some(tenants) = &query.tenants {
            sql.push(" AND tenant IN ")
                .list(tenants.iter().map(Arg::text));
        }
        if let Some(kind) = query.kind {
            sql.clause(" AND kind = ?", Arg::text(kind.as_str()));
        }
        if let Some(execution) = &query.execution {
            sql.clause(" AND execution = ?", Arg::text(execution));
        }
        if let Some(task) = &query.task {
            sql.clause(" AND task = ?", Arg::text(task));
        }
        if let Some(text) = &query.cursor {
            let [at, id] = cursor::decode(LISTING, text)?;
            sql.clause(" AND (at, id) < (?", at).clause(", ?)", id);
        }
        sql.push(" ORDER BY at DESC, id DESC LIMIT ")
            .bind(Arg::Int(i64::from(super::page_size(query.limit)) + 1));
        let rows = sql.all(&self.readers).await?;
        super::page(&rows, query.limit, read, |entry| {
            cursor::encode(LISTING, &[entry.at.into(), Arg::text(&entry.id)])
        })
    }
}
