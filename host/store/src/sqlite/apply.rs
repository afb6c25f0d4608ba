//! Applies the writes of one commit inside the transaction of a batch.

use super::bulk::{Bulk, Key, Table, Texts};
use super::op::{self, Op, StepKey};
use super::sql::{self, Arg, Columns};
use super::{
    audit, budget, collection, decision, delivery, event, halt, journal, ledger, notification,
    plugin, policy, principal, task, vault, waits,
};
use crate::commit::Lease;
use crate::decision::Woken;
use crate::event::NewEvent;
use crate::record::{Collection, RecordWrite};
use crate::{CommitError, StoreError};
use mandate_policy::Halts;
use mandate_types::{
    DecisionId, DecisionStatus, ExecutionId, Halt, HaltScope, InvocationId, PluginName,
    PrincipalName, TaskId, TenantId, Timestamp,
};
use sqlx::sqlite::SqliteConnection;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Why a write was not applied.
#[derive(Debug)]
pub(super) enum Refused {
    /// The commit may not happen; others of the batch may.
    Commit(CommitError),
    /// The database said so; may be about this commit or about all.
    Database(sqlx::Error),
}

impl From<CommitError> for Refused {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// What the writer knows without asking, as of the last transaction. Cheap to clone: a
/// transaction that fails leaves the old one.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// The number of the last event.
    pub(super) last_event: u64,
    /// The number of the last act of the audit.
    pub(super) last_act: u64,
    pub(super) collections: Arc<HashMap<String, Arc<Collection>>>,
    pub(super) tenants: Arc<HashSet<TenantId>>,
    pub(super) halts: Arc<Halts>,
}

/// What came of a commit that nobody knew before.
#[derive(Default)]
pub(super) struct Came {
    /// Executions that it lets go on.
    pub(super) woken: Vec<Woken>,
    /// Events that the writer found to be due.
    pub(super) raised: Vec<Raised>,
}

/// An event that the writer itself tells of.
pub(super) struct Raised {
    /// After which of the writes its number comes.
    pub(super) after: usize,
    pub(super) event: NewEvent,
}

/// A transaction that is under way.
pub(super) struct Batch<'a, 'c> {
    pub(super) conn: &'c mut SqliteConnection,
    pub(super) texts: &'c mut Texts,
    pub(super) known: Known,
    pub(super) bulk: Bulk<'a>,
    /// Lease epochs, as far as they were read or written in this transaction.
    pub(super) epochs: HashMap<ExecutionId, u64>,
    /// What came of this commit.
    pub(super) came: Came,
    /// The place of the write that is applied, in its commit.
    pub(super) place: usize,
    /// Each row is written at once, so that an error names its write.
    pub(super) careful: bool,
}

impl<'a> Batch<'a, '_> {
    /// Applies one commit; waiting rows may remain unless `careful`.
    pub(super) async fn commit(
        &mut self,
        lease: Option<&'a Lease>,
        ops: &'a [Op],
    ) -> Result<(), Refused> {
        if let Some(lease) = lease {
            self.check_lease(lease, ops).await?;
        }
        for (place, op) in ops.iter().enumerate() {
            self.place = place;
            match self.apply_and_flush(op).await {
                Err(Refused::Database(error)) if sql::is_taken(&error) => {
                    return Err(op.taken().into());
                }
                Err(Refused::Database(error)) if sql::is_missing(&error) => {
                    return Err(op.missing().into());
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Writes the waiting rows.
    pub(super) async fn flush(&mut self) -> Result<(), sqlx::Error> {
        self.bulk.flush(self.conn, self.texts).await
    }

    async fn apply_and_flush(&mut self, op: &'a Op) -> Result<(), Refused> {
        self.apply(op).await?;
        if self.careful {
            self.flush().await?;
        }
        Ok(())
    }

    async fn check_lease(&mut self, lease: &Lease, ops: &[Op]) -> Result<(), Refused> {
        let starts =
            |op: &Op| matches!(op, Op::StartExecution { id, .. } if *id == lease.execution);
        if ops.iter().any(starts) {
            // Nobody else can hold the lease of an execution that begins here.
            return Ok(());
        }
        let epoch = match self.epochs.get(&lease.execution) {
            Some(epoch) => Some(*epoch),
            None => self.read_epoch(&lease.execution).await?,
        };
        if epoch == Some(lease.epoch) {
            self.epochs.insert(lease.execution.clone(), lease.epoch);
            Ok(())
        } else {
            Err(CommitError::LeaseLost(lease.execution.clone()).into())
        }
    }

    /// Reads the epochs of all leases of a batch with one question.
    pub(super) async fn read_epochs(
        &mut self,
        leases: impl Iterator<Item = &Lease>,
    ) -> Result<(), Refused> {
        const EPOCHS: &str =
            "SELECT id, lease_epoch FROM executions WHERE id IN (SELECT value FROM json_each(?))";
        let ids: Vec<_> = leases.map(|lease| lease.execution.as_str()).collect();
        if !ids.is_empty() {
            for row in sql::rows(self.conn, EPOCHS, &[Arg::json(&ids)]).await? {
                self.epochs
                    .insert(row.get_id("id")?, row.get_count("lease_epoch")?);
            }
        }
        Ok(())
    }

    async fn read_epoch(&mut self, id: &ExecutionId) -> Result<Option<u64>, Refused> {
        const EPOCH: &str = "SELECT lease_epoch FROM executions WHERE id = ?";
        let row = sql::first(self.conn, EPOCH, &[Arg::text(id)]).await?;
        Ok(row.map(|row| row.get_count("lease_epoch")).transpose()?)
    }

    fn wait(&mut self, table: Table, key: Option<Key<'a>>, row: &'a [Arg]) {
        self.bulk.add(table, key, Cow::Borrowed(row));
    }

    async fn need(&mut self, key: Key<'a>) -> Result<(), sqlx::Error> {
        if self.bulk.waits(&key) {
            self.flush().await
        } else {
            Ok(())
        }
    }

    async fn apply(&mut self, op: &'a Op) -> Result<(), Refused> {
        match op {
            Op::Tenant(tenant) => self.tenant(tenant).await?,
            Op::CreateTask { id, row } => self.wait(Table::Tasks, Some(Key::Task(id)), row),
            Op::ChangeTask { id, row } => {
                self.need(Key::Task(id)).await?;
                if sql::run(self.conn, task::CHANGE, row).await? == 0 {
                    return Err(self.task_state(id).await?.into());
                }
            }
            Op::CreateDecision(row) => {
                sql::run(self.conn, decision::CREATE, row).await?;
            }
            Op::ChangeDecision { id, row } => {
                if sql::run(self.conn, decision::CHANGE, row).await? == 0 {
                    return Err(self.decision_state(id).await?.into());
                }
            }
            Op::Reserve(reservation) => {
                let warnings = reservation.write(self.conn).await?;
                self.warn(warnings);
            }
            Op::Settle(settlement) => {
                let warnings = settlement.write(self.conn).await?;
                self.warn(warnings);
            }
            Op::Exhausted(exhausted) => {
                let warning = exhausted.note(self.conn).await?;
                self.warn(warning);
            }
            Op::AskQuestion(row) => {
                sql::run(self.conn, decision::ASK, row).await?;
            }
            Op::AnswerQuestion { id, row } => {
                if sql::run(self.conn, decision::ANSWER, row).await? == 0 {
                    return Err(
                        CommitError::Conflict(format!("the question {id} is not open")).into(),
                    );
                }
            }
            Op::ActOnAnswer(id) => {
                if sql::run(self.conn, decision::ACT, &[Arg::text(id)]).await? == 0 {
                    let why = format!("the question {id} was acted on already");
                    return Err(CommitError::Conflict(why).into());
                }
            }
            Op::Park {
                execution,
                task,
                waits: all,
                at,
            } => {
                self.need(Key::Execution(execution)).await?;
                waits::park(self.conn, execution, task.as_ref(), all, *at).await?;
            }
            Op::Wake { key, at } => {
                let woken = waits::wake(self.conn, &key.to_string(), *at).await?;
                self.came.woken.extend(woken);
            }
            Op::Withdraw { execution, at } => waits::withdraw(self.conn, execution, *at).await?,
            Op::GrantIs { plugin, generation } => self.grant_is(plugin, *generation).await?,
            Op::DeleteTask(id) => self.delete_task(id).await?,
            Op::StartExecution { id, epoch, row, .. } => {
                self.epochs.insert(id.clone(), *epoch);
                self.wait(Table::Executions, Some(Key::Execution(id)), row);
            }
            Op::TakeExecution { id, epoch, at } => self.take(id, *epoch, *at).await?,
            Op::StartInvocation { id, row, .. } => {
                self.wait(Table::Invocations, Some(Key::Invocation(id)), row);
            }
            Op::EndInvocation { id, row } => self.end_invocation(id, row).await?,
            Op::Step { row, .. } => self.wait(Table::Steps, None, row),
            Op::AnswerStep { key, row } => self.answer(key, row).await?,
            Op::Log(row) => self.wait(Table::Logs, None, row),
            Op::Content(row) => self.wait(Table::Contents, None, row),
            Op::PutKey(row) => {
                sql::run(self.conn, vault::PUT, row).await?;
            }
            Op::EraseJournals(row) => {
                sql::run(self.conn, vault::ERASE, row).await?;
            }
            Op::Record { write, row } => self.record(write, row).await?,
            Op::Event { row, .. } => self.event(row),
            Op::IdempotencyKey { row, .. } => self.idempotency_key(row).await?,
            Op::CreateDelivery(row) => {
                sql::run(self.conn, delivery::CREATE, row).await?;
            }
            Op::ChangeDelivery { id, row } => {
                if sql::run(self.conn, delivery::CHANGE, row).await? == 0 {
                    return Err(CommitError::NotFound(format!(
                        "delivery {id} that is still to be done"
                    ))
                    .into());
                }
            }
            Op::PlanNotifications(rows) => {
                for row in rows {
                    sql::run(self.conn, notification::PLAN, row).await?;
                }
            }
            Op::ChangeNotification(row) => {
                sql::run(self.conn, notification::CHANGE, row).await?;
            }
            Op::DropNotifications(row) => {
                sql::run(self.conn, notification::DROP, row).await?;
            }
            Op::PutPackage(row) => {
                sql::run(self.conn, plugin::PUT_PACKAGE, row).await?;
            }
            Op::PutInstallation { name, row } => self.installation(name, row).await?,
            Op::RemoveInstallation { name, row } => self.remove_installation(name, row).await?,
            Op::SuspendTool(suspension) => {
                if let Some(suspended) = suspension.write(self.conn).await? {
                    self.act(&audit::row(&suspended.act));
                    self.raise(suspended.event);
                }
            }
            Op::PutCollection(declared) => self.collection(declared).await?,
            Op::PutTrigger(row) => {
                sql::run(self.conn, plugin::PUT_TRIGGER, row).await?;
            }
            Op::PutPrincipal { row, .. } => {
                sql::run(self.conn, principal::PUT, row).await?;
            }
            Op::RemovePrincipal(name) => self.remove_principal(name).await?,
            Op::PutPolicy(row) => {
                if sql::run(self.conn, policy::PUT, row).await? == 0 {
                    let changed = "somebody else has put another policy meanwhile";
                    return Err(CommitError::Conflict(changed.to_owned()).into());
                }
            }
            Op::Audit(row) => self.act(row),
            Op::SealActs(row) => {
                self.flush().await?;
                sql::run(self.conn, audit::SEAL, row).await?;
            }
            Op::PutHalt { halt, row } => self.put_halt(halt, row).await?,
            Op::RemoveHalt(scope) => self.remove_halt(scope).await?,
            Op::NotHalted { tenant, plugins } => {
                if let Some(halt) = self.known.halts.covering(tenant, plugins) {
                    return Err(CommitError::Halted(Box::new(halt.clone())).into());
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, row: &[Arg]) {
        self.known.last_event += 1;
        let seq = Arg::count(self.known.last_event);
        let row = std::iter::once(seq).chain(row.iter().cloned()).collect();
        self.bulk.add(Table::Events, None, Cow::Owned(row));
    }

    fn act(&mut self, row: &[Arg]) {
        self.known.last_act += 1;
        let seq = Arg::count(self.known.last_act);
        let row = std::iter::once(seq).chain(row.iter().cloned()).collect();
        self.bulk.add(Table::Audit, None, Cow::Owned(row));
    }

    /// Tells of budgets, in this transaction.
    fn warn(&mut self, warnings: impl IntoIterator<Item = budget::Warning>) {
        for warning in warnings {
            self.act(&audit::row(&warning.act()));
            self.raise(warning.event());
        }
    }

    /// An event that is due by what this transaction finds.
    fn raise(&mut self, event: NewEvent) {
        self.event(&event::row(&event));
        self.came.raised.push(Raised {
            after: self.place,
            event,
        });
    }

    async fn tenant(&mut self, tenant: &TenantId) -> Result<(), Refused> {
        if !self.known.tenants.contains(tenant) {
            const PUT: &str = "INSERT INTO tenants (tenant) VALUES (?) ON CONFLICT DO NOTHING";
            sql::run(self.conn, PUT, &[Arg::text(tenant)]).await?;
            Arc::make_mut(&mut self.known.tenants).insert(tenant.clone());
        }
        Ok(())
    }

    async fn task_state(&mut self, id: &TaskId) -> Result<CommitError, Refused> {
        const STATUS: &str = "SELECT status FROM tasks WHERE id = ?";
        Ok(
            match sql::first(self.conn, STATUS, &[Arg::text(id)]).await? {
                Some(row) => op::task_state(id, &row.get_text("status")?),
                None => CommitError::NotFound(format!("task {id}")),
            },
        )
    }

    async fn delete_task(&mut self, id: &TaskId) -> Result<(), Refused> {
        const LOGS: &str = "DELETE FROM logs WHERE task = ?";
        const TASK: &str =
            "DELETE FROM tasks WHERE id = ? AND status IN ('succeeded', 'failed', 'cancelled')";
        self.flush().await?;
        let id_arg = [Arg::text(id)];
        if sql::run(self.conn, TASK, &id_arg).await? == 0 {
            return Err(self.task_state(id).await?.into());
        }
        sql::run(self.conn, LOGS, &id_arg).await?;
        // The executions below it are gone too.
        self.epochs.clear();
        Ok(())
    }

    /// Why a decision was not changed. Its time may be over although nobody has written that.
    async fn decision_state(&mut self, id: &DecisionId) -> Result<CommitError, Refused> {
        const STATUS: &str = "SELECT status FROM decisions WHERE id = ?";
        let Some(row) = sql::first(self.conn, STATUS, &[Arg::text(id)]).await? else {
            return Ok(CommitError::NotFound(format!("decision {id}")));
        };
        let status = match row.get_id("status")? {
            DecisionStatus::Pending | DecisionStatus::Approved => DecisionStatus::Expired,
            other => other,
        };
        Ok(CommitError::DecisionState {
            id: id.clone(),
            status,
        })
    }

    async fn grant_is(&mut self, plugin: &PluginName, generation: u64) -> Result<(), Refused> {
        const GENERATION: &str = "SELECT grant_generation FROM installations WHERE name = ?";
        let row = sql::first(self.conn, GENERATION, &[Arg::text(plugin)]).await?;
        let now = row
            .map(|row| row.get_count("grant_generation"))
            .transpose()?;
        if now == Some(generation) {
            return Ok(());
        }
        Err(CommitError::GrantChanged(plugin.clone()).into())
    }

    async fn take(
        &mut self,
        id: &'a ExecutionId,
        epoch: u64,
        at: Timestamp,
    ) -> Result<(), Refused> {
        const TAKE: &str =
            "UPDATE executions SET lease_epoch = ?1 WHERE id = ?2 AND lease_epoch = ?1 - 1";
        self.need(Key::Execution(id)).await?;
        if sql::run(self.conn, TAKE, &[Arg::count(epoch), Arg::text(id)]).await? == 0 {
            return Err(match self.read_epoch(id).await? {
                Some(_) => CommitError::LeaseLost(id.clone()),
                None => CommitError::NotFound(format!("execution {id}")),
            }
            .into());
        }
        self.epochs.insert(id.clone(), epoch);
        ledger::lose_calls(self.conn, id, at).await?;
        Ok(())
    }

    async fn end_invocation(&mut self, id: &'a InvocationId, row: &[Arg]) -> Result<(), Refused> {
        self.need(Key::Invocation(id)).await?;
        if sql::run(self.conn, journal::END_INVOCATION, row).await? == 0 {
            return Err(CommitError::NotFound(format!("invocation {id}")).into());
        }
        Ok(())
    }

    async fn answer(&mut self, key: &'a StepKey, row: &'a [Arg]) -> Result<(), Refused> {
        const STATE: &str =
            "SELECT state FROM steps WHERE invocation = ? AND sequence = ? AND idx = ?";
        if !self.careful {
            self.wait(Table::Answers, None, row);
            return Ok(());
        }
        if sql::run(self.conn, journal::ANSWER_STEP, row).await? > 0 {
            return Ok(());
        }
        let StepKey {
            invocation,
            sequence,
            index,
        } = key;
        let args = [
            Arg::text(invocation),
            Arg::count(*sequence),
            Arg::Int((*index).into()),
        ];
        let name = format!("step {sequence}/{index} of {invocation}");
        Err(match sql::first(self.conn, STATE, &args).await? {
            Some(_) => CommitError::Conflict(format!("{name} was answered already")),
            None => CommitError::NotFound(name),
        }
        .into())
    }

    fn declared(&self, name: &str) -> Result<Arc<Collection>, CommitError> {
        let found = self.known.collections.get(name).map(Arc::clone);
        found.ok_or_else(|| CommitError::NotFound(format!("collection {name}")))
    }

    async fn record(&mut self, write: &'a RecordWrite, row: &'a [Arg]) -> Result<(), Refused> {
        match write {
            RecordWrite::Create(record) => {
                let declared = self.declared(&record.collection)?;
                if declared.full_text.is_empty() {
                    let key = Key::Record(&record.collection, &record.tenant, &record.id);
                    self.wait(Table::Records, Some(key), row);
                    return Ok(());
                }
                collection::create(self.conn, &declared, record, row).await
            }
            RecordWrite::Update(record) => {
                let declared = self.declared(&record.collection)?;
                let Some(body) = row.first() else {
                    return Ok(());
                };
                self.need(Key::Record(&record.collection, &record.tenant, &record.id))
                    .await?;
                collection::update(self.conn, &declared, record, body).await
            }
            RecordWrite::Delete {
                collection: name,
                tenant,
                id,
                version,
            } => {
                let declared = self.declared(name)?;
                self.need(Key::Record(name, tenant, id)).await?;
                let key = [name.as_str(), tenant.as_ref(), id.as_str()];
                collection::delete(self.conn, &declared, key, *version).await
            }
        }
    }

    async fn idempotency_key(&mut self, row: &'a [Arg]) -> Result<(), Refused> {
        if !self.careful {
            self.wait(Table::Keys, None, row);
            return Ok(());
        }
        const USED: &str =
            "SELECT task, request FROM idempotency_keys WHERE principal = ? AND key = ?";
        let (key, _) = row.split_at(row.len().min(2));
        if let Some(found) = sql::first(self.conn, USED, key).await? {
            let (task, request) = (found.get_text("task")?, found.get_text("request")?);
            return Err(op::key_used(&task, &request).into());
        }
        self.wait(Table::Keys, None, row);
        Ok(())
    }

    async fn installation(&mut self, name: &PluginName, row: &[Arg]) -> Result<(), Refused> {
        if sql::run(self.conn, plugin::PUT_INSTALLATION, row).await? > 0 {
            return Ok(());
        }
        Err(CommitError::Conflict(format!(
            "the installation of {name} changed since it was read: read it again"
        ))
        .into())
    }

    async fn remove_installation(&mut self, name: &PluginName, row: &[Arg]) -> Result<(), Refused> {
        const REMOVE: &str = "DELETE FROM installations WHERE name = ?";
        if sql::run(self.conn, REMOVE, &[Arg::text(name)]).await? == 0 {
            return Err(CommitError::NotFound(format!("plugin {name}")).into());
        }
        sql::run(self.conn, plugin::PUT_FORMER, row).await?;
        Ok(())
    }

    async fn collection(&mut self, declared: &Arc<Collection>) -> Result<(), Refused> {
        // An index must see the rows that wait.
        self.flush().await?;
        let before = self.known.collections.get(&declared.name).map(Arc::clone);
        collection::declare(self.conn, before.as_deref(), declared).await?;
        Arc::make_mut(&mut self.known.collections)
            .insert(declared.name.clone(), Arc::clone(declared));
        Ok(())
    }

    async fn put_halt(&mut self, halt: &Halt, row: &[Arg]) -> Result<(), Refused> {
        sql::run(self.conn, halt::PUT, row).await?;
        Arc::make_mut(&mut self.known.halts).put(halt.clone());
        Ok(())
    }

    async fn remove_halt(&mut self, scope: &HaltScope) -> Result<(), Refused> {
        let scope_arg = [Arg::text(scope.to_string())];
        if sql::run(self.conn, halt::REMOVE, &scope_arg).await? == 0 {
            return Err(CommitError::NotFound(format!("halt of `{scope}`")).into());
        }
        Arc::make_mut(&mut self.known.halts).remove(scope);
        Ok(())
    }

    async fn remove_principal(&mut self, name: &PrincipalName) -> Result<(), Refused> {
        const REMOVE: &str = "DELETE FROM principals WHERE name = ?";
        if sql::run(self.conn, REMOVE, &[Arg::text(name)]).await? == 0 {
            return Err(CommitError::NotFound(format!("principal {name}")).into());
        }
        Ok(())
    }
}
