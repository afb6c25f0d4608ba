//! What an effect came to: the end of its decision, and the money that it cost.

use super::Action;
use crate::invocation::ReportResult;
use mandate_store::{DecisionChange, NewAct, Write};
use mandate_types::{
    Act, Actor, DecisionId, DecisionStatus, Digest, MicroUsd, PluginName, TenantId, Timestamp,
};
use serde_json::{Value, json};

/// What was reserved for an effect that may happen now.
#[derive(Clone, Debug)]
pub struct Pledge {
    /// The decision that allows it.
    pub decision: DecisionId,
    /// The most that it may cost.
    pub reserved: MicroUsd,
    /// The exact component that may have it.
    pub digest: Digest,
    /// The tool's plugin.
    pub plugin: PluginName,
    /// The tool's short name.
    pub tool: String,
    /// Whether calling it twice with the same key has one effect, as it was accepted.
    pub idempotent: bool,
    /// Where the result says what it cost.
    actual: Option<String>,
}

impl Pledge {
    pub(super) fn new(decision: DecisionId, reserved: MicroUsd, action: &Action) -> Self {
        Self {
            decision,
            reserved,
            digest: action.active.loaded.digest.clone(),
            plugin: action.active.name().clone(),
            tool: action.tool.clone(),
            idempotent: action
                .active
                .terms(&action.tool)
                .is_some_and(|terms| terms.idempotent),
            actual: action
                .section()
                .and_then(|section| section.actual_cost.clone()),
        }
    }

    /// The pledge of a decision that was consumed before the execution went on here.
    pub fn of(decision: &mandate_store::Decision, action: &Action) -> Self {
        let reserved = super::row::to_reserve(decision.request.cost, action);
        Self {
            digest: decision.request.tool_digest.clone(),
            idempotent: decision.request.idempotent,
            ..Self::new(decision.id.clone(), reserved, action)
        }
    }

    /// What it cost. A call that failed before it had any effect cost nothing; of any other that
    /// does not say, what was reserved.
    fn cost(&self, report: &ReportResult, touched: bool) -> MicroUsd {
        let said = report.as_ref().ok().and_then(|report| {
            let pointer = self.actual.as_deref()?;
            report.output.pointer(pointer).and_then(Value::as_i64)
        });
        match (said, report) {
            (Some(cost), _) if cost >= 0 => MicroUsd(cost),
            (_, Err(_)) if !touched => MicroUsd::ZERO,
            _ => self.reserved,
        }
    }

    /// Ends the decision and books the cost, together with the answer of the step.
    pub fn end(
        &self,
        report: &ReportResult,
        touched: bool,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Vec<Write> {
        let cost = self.cost(report, touched);
        let (status, result) = match report {
            Ok(report) => (DecisionStatus::Done, json!({ "ok": report.output })),
            Err(error) => (DecisionStatus::Failed, json!({ "error": error })),
        };
        let mut writes = vec![
            Write::ChangeDecision {
                id: self.decision.clone(),
                from: &[DecisionStatus::Executing],
                live_at: None,
                change: Box::new(DecisionChange {
                    status: Some(status),
                    ended_at: Some(now),
                    actual_cost: Some(cost),
                    result: Some(result),
                    ..DecisionChange::default()
                }),
            },
            Write::Settle {
                id: self.decision.to_string(),
                actual: cost,
                uncertain: false,
                at: now,
            },
        ];
        if cost > self.reserved {
            writes.push(Write::Audit(Box::new(NewAct {
                at: now,
                actor: Actor::host(),
                act: Act::COST_EXCEEDED,
                subject: format!("decision/{}", self.decision),
                tenant: Some(tenant.clone()),
                data: json!({
                    "tool": format!("{}.{}", self.plugin, self.tool),
                    "reserved_micro_usd": self.reserved,
                    "actual_micro_usd": cost,
                }),
            })));
            writes.push(Write::SuspendTool {
                plugin: self.plugin.clone(),
                tool: self.tool.clone(),
                decision: self.decision.clone(),
                at: now,
            });
        }
        writes
    }
}
