//! A decision as it is kept and told.

use super::{Action, Case};
use crate::capability::denied;
use mandate_policy::{Outcome, Refusal, Verdict, roi, sentence};
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{Decision, DecisionChange, DecisionRequest, NewAct, Write};
use mandate_types::{
    Act, Actor, DecisionId, DecisionStatus, EventKind, MicroUsd, Timestamp, WaitReason,
};
use serde_json::{Value, json};

/// How the names of the rules begin that are about money and not about the effect.
const BUDGET: &str = "budget:";
/// The most bytes of what somebody says in words.
const MOST_WORDS: usize = 2_000;

/// What is reserved: what it was judged by, or the largest that anybody said.
pub(super) fn to_reserve(cost: Option<MicroUsd>, action: &Action) -> MicroUsd {
    cost.or(action.reasons.cost.max(action.estimate.known()))
        .unwrap_or(MicroUsd::ZERO)
        .max(MicroUsd::ZERO)
}

/// A new decision about `case`.
pub(super) fn decision(case: &Case<'_>, id: DecisionId) -> Decision {
    let Case {
        asking,
        action,
        facts,
        verdict,
        lifts,
        lifted,
        at,
    } = case;
    let status = case.status();
    let tree = &asking.tree;
    let undo = action.undo.clone().or(action.reasons.undo.clone());
    let undo = undo.or_else(|| {
        let section = action.active.loaded.manifest.tool(&action.tool);
        section.and_then(|section| section.undo.clone())
    });
    let expires_at =
        (verdict.outcome == Outcome::Escalate).then(|| at.plus(verdict.approvals.expires_after));
    let mut known = serde_json::to_value(facts).unwrap_or(Value::Null);
    if let (Some(known), Some(ceiling)) = (known.as_object_mut(), lifts) {
        known.insert("exceeded".to_owned(), json!(ceiling));
    }
    let pending = status == DecisionStatus::Pending;
    Decision {
        id,
        status,
        request: DecisionRequest {
            sentence: sentence(facts, verdict, undo.as_deref(), expires_at),
            tenant: tree.tenant.clone(),
            task: tree.task.clone(),
            root_task: tree.task_root.clone(),
            subject: tree.subject.clone(),
            execution: tree.execution.clone(),
            invocation: asking.invocation.clone(),
            sequence: asking.sequence,
            index: asking.index,
            principal: tree.principal.clone(),
            plugin: facts.requester.clone(),
            chain: asking.chain.clone(),
            tool: facts.tool.clone(),
            tool_digest: action.active.loaded.digest.clone(),
            arguments: action.arguments.clone(),
            arguments_digest: action.digest(),
            grant_generation: action.active.grant().generation,
            effects: facts.effects,
            idempotent: facts.idempotent,
            target: facts.target.clone(),
            why: why(action),
            cost: verdict.cost,
            gain: action.reasons.gain,
            roi: roi(action.reasons.gain, verdict.cost),
            risk: action.reasons.risk,
            reversible: facts.is_reversible(),
            undo,
            confidence: facts.sure(),
            level: verdict.level,
            verdict: verdict.outcome.as_str().to_owned(),
            rule: verdict.rule.clone(),
            reason: verdict.reason.clone(),
            facts: known,
            lifts: match lifts {
                Some(ceiling) => [lifted.as_slice(), std::slice::from_ref(&ceiling.name)].concat(),
                None => Vec::new(),
            },
        },
        requested_at: *at,
        expires_at,
        resolved_at: (!pending).then_some(*at),
        resolved_by: None,
        self_approved: false,
        comment: None,
        child: (status == DecisionStatus::Executing).then(|| action.child.clone()),
        ended_at: matches!(status, DecisionStatus::Denied | DecisionStatus::DryRun).then_some(*at),
        actual_cost: None,
        result: None,
    }
}

/// What who asks says, and what the tool says that the cost is made of.
fn why(action: &Action) -> Option<String> {
    let cost = action.cost_is_for.as_deref();
    let cost = cost.map(|made_of| format!("The tool says of the cost: {made_of}"));
    let said = [action.reasons.why.as_str(), cost.as_deref().unwrap_or("")];
    words(&said.join("\n"))
}

fn words(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.chars().take(MOST_WORDS).collect())
}

/// What subscribers and the audit hear of a new decision.
pub(super) fn told(decision: &Decision) -> [Write; 2] {
    let request = &decision.request;
    let (kind, act) = match decision.status {
        DecisionStatus::Pending => (EventKind::DECISION_REQUESTED, Act::DECISION_REQUESTED),
        DecisionStatus::Denied => (EventKind::DECISION_RESOLVED, Act::DECISION_DENIED),
        DecisionStatus::DryRun => (EventKind::DECISION_RESOLVED, Act::DECISION_JUDGED_DRY),
        _ => (EventKind::DECISION_RESOLVED, Act::DECISION_APPROVED),
    };
    let by = request
        .plugin
        .as_ref()
        .map_or_else(|| Actor::from(&request.principal), |_| Actor::host());
    [
        Write::Event(Box::new(decision.event(kind, decision.requested_at))),
        Write::Audit(Box::new(NewAct {
            at: decision.requested_at,
            actor: by,
            act,
            subject: format!("decision/{}", decision.id),
            tenant: Some(request.tenant.clone()),
            data: json!({
                "tool": request.tool,
                "target": request.target,
                "plugin": request.plugin,
                "principal": request.principal,
                "execution": request.execution,
                "arguments_digest": request.arguments_digest,
                "cost_micro_usd": request.cost,
                "level": request.level,
                "verdict": request.verdict,
                "rule": request.rule,
            }),
        })),
    ]
}

/// What the host does by itself an operator set: nobody else is asked. What the policy forbids
/// stays forbidden, and budgets hold.
pub(super) fn as_configured(verdict: Verdict) -> Verdict {
    if verdict.outcome != Outcome::Escalate {
        return verdict;
    }
    Verdict {
        outcome: Outcome::Approve,
        rule: "configured".to_owned(),
        reason: "the operator configured that the host does this".to_owned(),
        ..verdict
    }
}

/// Whether it is money that is asked for, rather than the effect.
fn about_money(request: &DecisionRequest) -> bool {
    request.rule.starts_with(BUDGET)
}

/// What people are told that the execution waits for.
pub(super) fn reason_to_wait(request: &DecisionRequest) -> WaitReason {
    if about_money(request) {
        WaitReason::Budget
    } else {
        WaitReason::Approval
    }
}

/// What a guest is told of a decision that lets nothing happen.
pub(super) fn refusal(decision: &Decision) -> Error {
    let request = &decision.request;
    let id = &decision.id;
    if about_money(request) && decision.status != DecisionStatus::DryRun {
        let resets = request.facts.pointer("/exceeded/resets_at");
        let resets = resets.and_then(Value::as_str).and_then(Timestamp::parse);
        return Error::BudgetExhausted(resets.map(|at| at.micros().unsigned_abs()));
    }
    let reason = match decision.status {
        DecisionStatus::Expired | DecisionStatus::Approved => format!(
            "decision {id}: nobody let it happen in time; execute the task again to ask again"
        ),
        DecisionStatus::DryRun => format!(
            "dry run: it would have been judged `{}` by the rule `{}`, and nothing was done (decision {id})",
            request.verdict, request.rule
        ),
        _ => match (&decision.resolved_by, &decision.comment) {
            (Some(by), Some(comment)) => format!("decision {id}: {by} refused it: {comment}"),
            (Some(by), None) => format!("decision {id}: {by} refused it"),
            _ => format!("decision {id}: {}", request.reason),
        },
    };
    denied(Refusal {
        capability: "effects".to_owned(),
        reason,
    })
}

/// What is not as it was approved; nothing if all is.
pub(super) fn changed(
    before: &Decision,
    action: &Action,
    verdict: &Verdict,
) -> Option<&'static str> {
    let request = &before.request;
    if request.tool_digest != action.active.loaded.digest {
        return Some("the tool's version changed after it was asked");
    }
    if request.arguments_digest != action.digest() {
        return Some("the arguments changed after it was asked");
    }
    if request.grant_generation != action.active.grant().generation {
        return Some("the tool's grant changed after it was asked");
    }
    if verdict.cost > request.cost && request.cost.is_some() {
        return Some("it costs more than when it was asked");
    }
    if verdict.outcome == Outcome::Deny {
        return Some("the policy forbids it now");
    }
    None
}

/// Takes back an approval that does not fit any more.
pub(super) fn withdraw(before: &Decision, why: &str, now: Timestamp) -> Write {
    Write::ChangeDecision {
        id: before.id.clone(),
        from: &[DecisionStatus::Approved],
        live_at: None,
        change: Box::new(DecisionChange {
            status: Some(DecisionStatus::Withdrawn),
            ended_at: Some(now),
            result: Some(json!({ "error": { "withdrawn": why } })),
            ..DecisionChange::default()
        }),
    }
}
