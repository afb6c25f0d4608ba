//! Money for model calls: what an attempt may cost is reserved before it is made, and settled
//! when it ends; the last one together with the answer.

use crate::capability::{At, Scope};
use crate::decision::{Lifted, ended};
use crate::kernel::Kernel;
use crate::tree::{Halted, Tree};
use mandate_llm::{Caller, Meter, Planned, Unpaid};
use mandate_policy::{Spender, distinct};
use mandate_store::{CommitError, LedgerEntry, SharedStore, SpendingKind, Write};
use mandate_types::{
    Ceiling, DecisionId, DecisionStatus, ExecutionId, MicroUsd, PluginName, TaskId, TenantId,
    Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a call may cost.
#[derive(Clone, Debug)]
pub struct Spending {
    /// Its first attempt.
    pub first: Planned,
    /// How much the grant lets models cost for one task.
    pub most_per_task: MicroUsd,
}

/// Pays for the attempts of one call from the ledger, under the budgets and the grant.
pub struct CallMeter {
    account: Account,
    books: Books,
    /// How the ids of its entries begin.
    call: String,
    /// Under which a human let it happen.
    decision: Option<DecisionId>,
    /// The names of the ceilings that do not count, as long as the call stays below what was
    /// reserved for its first attempt: for that much a human lifted them.
    lifted: Vec<String>,
    inner: Mutex<Inner>,
}

/// For whom money is spent.
struct Account {
    kernel: Arc<Kernel>,
    spender: Spender,
    /// Who asks; none when a client does.
    plugin: Option<PluginName>,
    execution: ExecutionId,
    task: Option<TaskId>,
    /// How much the grant lets models cost for one task, and over what that counts.
    granted: Option<(MicroUsd, mandate_types::Scope)>,
}

/// Where it is written.
enum Books {
    /// With the journal of an execution.
    Journal(Arc<Tree>),
    /// By itself, for a tenant.
    Ledger(SharedStore, TenantId),
}

impl Books {
    /// Writes what is to be spent, unless that is halted.
    async fn open(&self, mut writes: Vec<Write>) -> Result<(), CommitError> {
        match self {
            Self::Journal(tree) => {
                // What is open when it is cancelled is looked for.
                tree.note_asked();
                tree.commit(writes).await.map(drop)
            }
            Self::Ledger(store, tenant) => {
                writes.push(Write::NotHalted {
                    tenant: tenant.clone(),
                    plugins: Vec::new(),
                });
                store.commit(None, writes).await.map(drop)
            }
        }
    }

    /// Writes what was spent.
    async fn settle(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        match self {
            Self::Journal(tree) => tree.settle(writes).await.map(drop),
            Self::Ledger(store, _) => store.commit(None, writes).await.map(drop),
        }
    }
}

#[derive(Default)]
struct Inner {
    /// Reserved with the intent, and not used yet.
    ready: Option<(String, Planned)>,
    entries: u32,
    opened: u32,
    /// The attempts that run: what they may cost, and their entries; none for one that is free.
    running: BTreeMap<u32, (MicroUsd, Option<String>)>,
    /// Entries that may be on disk for attempts that nobody makes any more.
    opening: BTreeSet<String>,
    /// What was reserved for the first attempt.
    first: MicroUsd,
    /// What ended, until that is on disk.
    ended: Vec<Ended>,
    cost: MicroUsd,
    /// Why nothing can be reserved any more.
    halted: Option<Halted>,
}

/// An attempt that ended.
#[derive(Clone, PartialEq)]
struct Ended {
    entry: String,
    cost: MicroUsd,
    uncertain: bool,
}

impl Ended {
    fn unused(entry: String) -> Self {
        Self {
            entry,
            cost: MicroUsd::ZERO,
            uncertain: false,
        }
    }

    fn write(&self) -> Write {
        Write::Settle {
            id: self.entry.clone(),
            actual: self.cost,
            uncertain: self.uncertain,
            at: Timestamp::now(),
        }
    }
}

impl CallMeter {
    /// For the call `at`, but for what was `lifted`.
    pub fn new(at: &At, most_per_task: MicroUsd, lifted: &Lifted) -> Self {
        let Scope { tree, lineage, .. } = at.scope.as_ref();
        let of_task = mandate_types::Scope::Models(match &tree.task {
            Some(task) => task.to_string(),
            None => tree.execution.to_string(),
        });
        // Made again after a crash, its entries are others.
        let (sequence, index, epoch) = (at.sequence, at.index, tree.epoch());
        Self {
            call: format!("call-{}-{sequence}-{index}-{epoch}", at.scope.id),
            account: Account {
                kernel: at.scope.kernel.clone(),
                spender: Spender {
                    tenant: tree.tenant.clone(),
                    plugins: distinct(lineage.chain().into_iter().rev()),
                    root_task: tree.task_root.clone(),
                    target: None,
                },
                plugin: Some(at.scope.plugin.name().clone()),
                execution: tree.execution.clone(),
                task: tree.task.clone(),
                granted: Some((most_per_task, of_task)),
            },
            books: Books::Journal(tree.clone()),
            decision: lifted.decision.clone(),
            lifted: lifted.ceilings.clone(),
            inner: Mutex::default(),
        }
    }

    /// For a call that a client makes for `tenant`.
    pub fn of_client(kernel: Arc<Kernel>, tenant: TenantId) -> Self {
        let execution = ExecutionId::fresh();
        Self {
            call: format!("call-{execution}"),
            books: Books::Ledger(kernel.store().clone(), tenant.clone()),
            account: Account {
                kernel,
                spender: Spender {
                    tenant,
                    plugins: Vec::new(),
                    root_task: None,
                    target: None,
                },
                plugin: None,
                execution,
                task: None,
                granted: None,
            },
            decision: None,
            lifted: Vec::new(),
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who asks, with this to pay.
    pub fn caller(&self) -> Caller<'_> {
        let plugin = self.account.plugin.as_ref();
        Caller {
            tenant: self.account.spender.tenant.as_str(),
            plugin: plugin.map_or("", PluginName::as_str),
            execution: self.account.execution.as_str(),
            meter: self,
        }
    }

    /// What is written with the intent: the reservation for the first attempt.
    pub fn first(&self, planned: Planned) -> Write {
        self.inner().first = planned.most;
        let (id, write) = self.reservation(&planned);
        self.inner().ready = Some((id, planned));
        write
    }

    /// Whether a human's word covers `planned` beside what the call came to.
    fn is_covered(&self, planned: &Planned) -> bool {
        let inner = self.inner();
        let running = inner.running.values().map(|(most, _)| *most);
        let all = running.fold(inner.cost.plus(planned.most), MicroUsd::plus);
        all <= inner.first
    }

    fn reservation(&self, planned: &Planned) -> (String, Write) {
        let account = &self.account;
        let now = Timestamp::now();
        let grant = account.granted.clone().map(|(most, scope)| Ceiling {
            name: "grant:max_cost_per_task".to_owned(),
            scope,
            since: Timestamp::from_micros(0),
            most,
            resets_at: None,
        });
        let mut ceilings: Vec<Ceiling> = grant.into_iter().collect();
        let budgets = account.kernel.policy().budgets(&account.spender, now);
        let covered = self.is_covered(planned);
        let count = |budget: &Ceiling| !covered || !self.lifted.contains(&budget.name);
        ceilings.extend(budgets.into_iter().filter(count));
        let mut scopes = account.spender.scopes();
        scopes.extend(account.granted.clone().map(|(_, scope)| scope));
        let id = {
            let mut inner = self.inner();
            inner.entries += 1;
            format!("{}-{}", self.call, inner.entries)
        };
        let entry = LedgerEntry {
            id: id.clone(),
            kind: SpendingKind::Model,
            tenant: account.spender.tenant.clone(),
            plugin: account.plugin.clone(),
            execution: account.execution.clone(),
            task: account.task.clone(),
            decision: self.decision.clone(),
            provider: Some(planned.provider.clone()),
            model: Some(planned.model.clone()),
            reserved: planned.most,
            settled: None,
            uncertain: false,
            at: now,
            ended_at: None,
            scopes,
        };
        let entry = Box::new(entry);
        (id, Write::Reserve { entry, ceilings })
    }

    /// Writes how the call ended, by itself and not with an answer.
    ///
    /// # Errors
    /// When the database does not answer: what is not settled is booked in full at the next start.
    pub async fn settle(&self, status: DecisionStatus) -> Result<MicroUsd, Halted> {
        let halted = self.inner().halted.take();
        let (cost, writes) = self.ended(status);
        if !writes.is_empty() {
            self.books.settle(writes).await?;
        }
        halted.map_or(Ok(cost), Err)
    }

    /// What the attempts cost, and what is written with the call's answer.
    ///
    /// # Errors
    /// Why nothing could be reserved any more: then the execution cannot go on here.
    pub fn finish(&self, status: DecisionStatus) -> Result<(MicroUsd, Vec<Write>), Halted> {
        if let Some(halted) = self.inner().halted.take() {
            return Err(halted);
        }
        Ok(self.ended(status))
    }

    /// As [`CallMeter::finish`], also when nothing more could be reserved.
    fn ended(&self, status: DecisionStatus) -> (MicroUsd, Vec<Write>) {
        let mut inner = self.inner();
        let ready = inner.ready.take().map(|(id, _)| id);
        let unused = std::mem::take(&mut inner.opening);
        let unused = ready.into_iter().chain(unused).map(Ended::unused);
        inner.ended.extend(unused);
        let ended_now = std::mem::take(&mut inner.ended);
        let mut writes: Vec<Write> = ended_now.iter().map(Ended::write).collect();
        let decision = self.decision.clone();
        let now = Timestamp::now();
        writes.extend(decision.map(|id| ended(id, status, Some(inner.cost), now)));
        (inner.cost, writes)
    }
}

/// Who asks from `scope`, and cannot pay.
pub fn who(scope: &Scope) -> Caller<'_> {
    Caller {
        tenant: scope.tree.tenant.as_str(),
        plugin: scope.plugin.name().as_str(),
        execution: scope.tree.execution.as_str(),
        meter: &Nobody,
    }
}

/// Who only wants to know what a call would cost.
struct Nobody;

#[async_trait::async_trait]
impl Meter for Nobody {
    async fn open(&self, _: Planned) -> Result<u32, Unpaid> {
        Err(Unpaid::Stopped)
    }

    fn close(&self, _: u32, _: MicroUsd, _: bool) {}
}

#[async_trait::async_trait]
impl Meter for CallMeter {
    async fn open(&self, planned: Planned) -> Result<u32, Unpaid> {
        let number = {
            let mut inner = self.inner();
            inner.opened += 1;
            let number = inner.opened;
            if let Some((id, ready)) = inner.ready.take() {
                let same = ready.provider == planned.provider && ready.model == planned.model;
                if same && planned.most <= ready.most {
                    inner.running.insert(number, (planned.most, Some(id)));
                    return Ok(number);
                }
                inner.ended.push(Ended::unused(id));
            }
            if planned.most <= MicroUsd::ZERO {
                inner.running.insert(number, (MicroUsd::ZERO, None));
                return Ok(number);
            }
            number
        };
        let (id, reservation) = self.reservation(&planned);
        // Dropped while it is written, it is known all the same.
        self.inner().opening.insert(id.clone());
        let told = self.inner().ended.clone();
        let mut writes: Vec<Write> = told.iter().map(Ended::write).collect();
        writes.push(reservation);
        match self.books.open(writes).await {
            Ok(_) => {
                let mut inner = self.inner();
                inner.ended.retain(|ended| !told.contains(ended));
                inner.opening.remove(&id);
                inner.running.insert(number, (planned.most, Some(id)));
                Ok(number)
            }
            Err(CommitError::Exceeded { ceiling, .. }) => {
                self.inner().opening.remove(&id);
                Err(Unpaid::NoRoom(format!(
                    "`{}` has no room for {}, which it may cost",
                    ceiling.name, planned.most
                )))
            }
            Err(other) => {
                self.inner().halted = Some(other.into());
                Err(Unpaid::Stopped)
            }
        }
    }

    fn close(&self, number: u32, cost: MicroUsd, uncertain: bool) {
        let mut inner = self.inner();
        inner.cost = inner.cost.plus(cost);
        if let Some((_, Some(id))) = inner.running.remove(&number) {
            inner.ended.push(Ended {
                entry: id,
                cost,
                uncertain,
            });
        }
    }
}
