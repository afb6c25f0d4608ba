//! Money for model calls: what one may cost is reserved before a model is asked, and settled
//! together with its answer.

use crate::capability::{At, Scope};
use crate::decision::{Lifted, ended};
use mandate_policy::{Spender, distinct};
use mandate_store::{LedgerEntry, SpendingKind, Write};
use mandate_types::{Ceiling, DecisionId, DecisionStatus, MicroUsd, Timestamp};

/// What a call may cost.
#[derive(Clone, Copy, Debug)]
pub struct Spending {
    /// At most.
    pub worst: MicroUsd,
    /// How much the grant lets models cost for one task.
    pub most_per_task: MicroUsd,
}

/// What was reserved for a call.
#[derive(Clone, Debug)]
pub struct Reserved {
    entry: String,
    /// Under which a human let it happen.
    decision: Option<DecisionId>,
}

impl Reserved {
    /// What the call cost; `uncertain` if nobody knows a part of that, and it is the most it can be.
    pub fn settle(&self, actual: MicroUsd, uncertain: bool) -> Vec<Write> {
        self.end(DecisionStatus::Done, actual, uncertain)
    }

    /// Nobody answered. Who was asked in vain may want so much all the same.
    pub fn lose(&self, actual: MicroUsd) -> Vec<Write> {
        self.end(DecisionStatus::Failed, actual, actual > MicroUsd::ZERO)
    }

    fn end(&self, status: DecisionStatus, actual: MicroUsd, uncertain: bool) -> Vec<Write> {
        let at = Timestamp::now();
        let settled = Write::Settle {
            id: self.entry.clone(),
            actual,
            uncertain,
            at,
        };
        let decision = self.decision.clone();
        let decision = decision.map(|id| ended(id, status, Some(actual), at));
        [settled].into_iter().chain(decision).collect()
    }
}

impl Spending {
    /// What is reserved for the call `at`, and the writes that do it, under the budgets and the
    /// grant, but for what was `lifted`.
    pub fn reserve(self, at: &At, lifted: Lifted) -> (Reserved, Vec<Write>) {
        let Scope { tree, lineage, .. } = at.scope.as_ref();
        let now = Timestamp::now();
        let spender = Spender {
            tenant: tree.tenant.clone(),
            plugins: distinct(lineage.chain().into_iter().rev()),
            root_task: tree.task_root.clone(),
            target: None,
        };
        let of_task = mandate_types::Scope::Models(match &tree.task {
            Some(task) => task.to_string(),
            None => tree.execution.to_string(),
        });
        let mut ceilings = vec![Ceiling {
            name: "grant:max_cost_per_task".to_owned(),
            scope: of_task.clone(),
            since: Timestamp::from_micros(0),
            most: self.most_per_task,
            resets_at: None,
        }];
        let budgets = at.scope.kernel.policy().budgets(&spender, now);
        let count = |budget: &Ceiling| !lifted.ceilings.contains(&budget.name);
        ceilings.extend(budgets.into_iter().filter(count));
        let mut scopes = spender.scopes();
        scopes.push(of_task);
        // Made again after a crash, it is another entry.
        let entry = format!(
            "call-{}-{}-{}-{}",
            at.scope.id,
            at.sequence,
            at.index,
            tree.epoch()
        );
        let reserved = Reserved {
            entry: entry.clone(),
            decision: lifted.decision.clone(),
        };
        let mut writes = lifted.writes;
        writes.push(Write::Reserve {
            entry: Box::new(LedgerEntry {
                id: entry,
                kind: SpendingKind::Model,
                tenant: tree.tenant.clone(),
                plugin: Some(at.scope.plugin.name().clone()),
                execution: tree.execution.clone(),
                task: tree.task.clone(),
                decision: lifted.decision,
                reserved: self.worst,
                settled: None,
                uncertain: false,
                at: now,
                ended_at: None,
                scopes,
            }),
            ceilings,
        });
        (reserved, writes)
    }
}
