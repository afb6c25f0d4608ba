//! The ledger as rows, and the sums that ceilings are checked against.

use super::SqliteStore;
use super::cursor;
use super::sql::{self, Arg, Columns, Sql, corrupt};
use crate::CommitError;
use crate::StoreError;
use crate::ledger::{LedgerEntry, LedgerQuery, LedgerStore, SpendingKind};
use crate::task::Page;
use mandate_types::{Ceiling, MicroUsd, Scope, Timestamp};
use sqlx::sqlite::{SqliteConnection, SqliteRow};

const SUM: &str =
    "SELECT coalesce(sum(amount), 0) AS spent FROM spendings WHERE scope = ? AND at >= ?";

/// A reservation, ready to be written.
pub(super) struct Reservation {
    id: Arg,
    row: Vec<Arg>,
    scopes: Vec<Arg>,
    amount: MicroUsd,
    at: Timestamp,
    ceilings: Vec<Ceiling>,
}

impl Reservation {
    pub(super) fn new(entry: &LedgerEntry, ceilings: Vec<Ceiling>) -> Self {
        let id = Arg::text(&entry.id);
        Self {
            row: vec![
                id.clone(),
                Arg::text(entry.kind.as_str()),
                Arg::text(&entry.tenant),
                Arg::opt_text(entry.plugin.as_ref()),
                Arg::text(&entry.execution),
                Arg::opt_text(entry.task.as_ref()),
                Arg::opt_text(entry.decision.as_ref()),
                entry.reserved.into(),
                entry.at.into(),
            ],
            id,
            scopes: entry
                .scopes
                .iter()
                .map(|scope| Arg::text(scope.to_string()))
                .collect(),
            amount: MicroUsd(entry.reserved.0.max(0)),
            at: entry.at,
            ceilings,
        }
    }

    /// Writes it, if every ceiling holds with it.
    pub(super) async fn write(
        &self,
        conn: &mut SqliteConnection,
    ) -> Result<(), super::apply::Refused> {
        const KNOWN: &str = "SELECT 1 FROM ledger WHERE id = ?";
        const INSERT: &str = "INSERT INTO ledger (id, kind, tenant, plugin, execution, task, decision, reserved, \
            uncertain, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)";
        const SPEND: &str = "INSERT INTO spendings (scope, at, entry, amount) VALUES (?, ?, ?, ?)";
        if sql::first(conn, KNOWN, std::slice::from_ref(&self.id))
            .await?
            .is_some()
        {
            return Ok(());
        }
        for ceiling in &self.ceilings {
            let args = [Arg::text(ceiling.scope.to_string()), ceiling.since.into()];
            let spent = match sql::first(conn, SUM, &args).await? {
                Some(row) => MicroUsd(row.get_int("spent")?),
                None => MicroUsd::ZERO,
            };
            if spent.plus(self.amount) > ceiling.most {
                return Err(CommitError::Exceeded {
                    ceiling: Box::new(ceiling.clone()),
                    spent,
                }
                .into());
            }
        }
        sql::run(conn, INSERT, &self.row).await?;
        for scope in &self.scopes {
            let args = [
                scope.clone(),
                self.at.into(),
                self.id.clone(),
                self.amount.into(),
            ];
            sql::run(conn, SPEND, &args).await?;
        }
        Ok(())
    }
}

/// Ends an entry; one that has ended stays.
pub(super) async fn settle(
    conn: &mut SqliteConnection,
    id: &str,
    actual: MicroUsd,
    uncertain: bool,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    const SETTLE: &str = "UPDATE ledger SET settled = ?2, uncertain = ?3, ended_at = ?4 \
        WHERE id = ?1 AND ended_at IS NULL";
    const AMOUNT: &str = "UPDATE spendings SET amount = ?2 WHERE entry = ?1";
    let args = [
        Arg::text(id),
        actual.into(),
        Arg::bool(uncertain),
        at.into(),
    ];
    if sql::run(conn, SETTLE, &args).await? > 0 {
        // Refunds never lower a window.
        let counted = MicroUsd(actual.0.max(0));
        sql::run(conn, AMOUNT, &[Arg::text(id), counted.into()]).await?;
    }
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
            let sql = Sql::with(SUM, vec![Arg::text(scope.to_string()), (*since).into()]);
            let row = sql.optional(&self.readers).await?;
            sums.push(MicroUsd(row.map_or(Ok(0), |row| row.get_int("spent"))?));
        }
        Ok(sums)
    }

    async fn ledger(&self, query: &LedgerQuery) -> Result<Page<LedgerEntry>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM ledger WHERE 1");
        if let Some(tenants) = &query.tenants {
            sql.push(" AND tenant IN ")
                .list(tenants.iter().map(Arg::text));
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
