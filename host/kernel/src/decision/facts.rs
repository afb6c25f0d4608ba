//! The facts of a decision: who asks, for what, and what was spent before.

use super::{Action, Asking};
use crate::kernel::Kernel;
use mandate_policy::{Cost, Facts, Thresholds, ToolCost, ToolTerms, Windows};
use mandate_store::StoreError;
use mandate_types::{Effects, Scope, Timestamp};
use std::time::Duration;

/// Over how long the money that was committed before counts for the autonomy level.
const WINDOW: Duration = Duration::from_hours(24);

impl Asking {
    /// All that the verdict on `action` may depend on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn facts(
        &self,
        kernel: &Kernel,
        action: &Action,
        terms: &ToolTerms,
        now: Timestamp,
    ) -> Result<Facts, StoreError> {
        let reasons = &action.reasons;
        let mut facts = identity(self, action);
        facts.effects = terms.effects;
        facts.idempotent = terms.idempotent;
        facts.cost = Cost {
            claimed: reasons.cost,
            estimate: action.estimate.clone(),
            tariff: match terms.cost {
                Some(ToolCost::Fixed(cost)) => Some(cost),
                _ => None,
            },
        };
        facts.gain = reasons.gain;
        facts.risk = reasons.risk;
        facts.reversible = terms.is_reversible() && reasons.reversible != Some(false);
        facts.confidence = reasons.confidence;
        facts.windows = self.windows(kernel, &facts, now).await?;
        facts.dry_run = self.is_dry(action);
        facts.now = now;
        Ok(facts)
    }

    async fn windows(
        &self,
        kernel: &Kernel,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<Windows, StoreError> {
        let since = now.minus(WINDOW);
        let mut over = vec![
            (Scope::Plugin(facts.plugin().clone()), since),
            (Scope::Tenant(facts.tenant.clone()), since),
        ];
        if let Some(task) = &facts.root_task {
            over.push((Scope::Task(task.clone()), since));
        }
        if let Some(target) = &facts.target {
            let (tenant, target) = (facts.tenant.clone(), target.clone());
            over.push((Scope::Target { tenant, target }, since));
        }
        let spent = kernel.store().spent(&over).await?;
        let mut windows = Windows::default();
        for ((scope, _), spent) in over.iter().zip(spent) {
            match scope {
                Scope::Plugin(_) => windows.plugin = spent,
                Scope::Tenant(_) => windows.tenant = spent,
                Scope::Task(_) => windows.task = spent,
                Scope::Target { .. } => windows.target = spent,
                Scope::Host | Scope::Agent { .. } | Scope::Models(_) => {}
            }
        }
        Ok(windows)
    }
}

/// Who and what, before anything is known of costs.
fn identity(asking: &Asking, action: &Action) -> Facts {
    let tree = &asking.tree;
    let asked = asking
        .plugin
        .as_ref()
        .map(|plugin| &plugin.loaded.manifest.autonomy);
    Facts {
        tenant: tree.tenant.clone(),
        requester: asking.plugin.as_ref().map(|p| p.name().clone()),
        chain: asking.chain.clone(),
        root_task: tree.task_root.clone(),
        principal: tree.principal.clone(),
        tool: action.name(),
        tool_plugin: action.active.name().clone(),
        target: action.target(),
        effects: Effects::Irreversible,
        idempotent: false,
        cost: Cost::default(),
        gain: None,
        risk: None,
        reversible: false,
        confidence: None,
        arguments: action.arguments.clone(),
        windows: Windows::default(),
        autonomy_cap: [asking.plugin.as_ref(), Some(&action.active)]
            .into_iter()
            .flatten()
            .filter_map(|plugin| plugin.grant().autonomy)
            .min(),
        thresholds: asked.filter(|asked| !asked.is_empty()).map(|asked| {
            let usual = Thresholds::default();
            Thresholds {
                level1: asked.level1.unwrap_or(usual.level1),
                level2: asked.level2.unwrap_or(usual.level2),
            }
        }),
        dry_run: false,
        now: Timestamp::now(),
    }
}
