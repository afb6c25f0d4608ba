//! People answer what agents may not decide alone: who may, what their answer changes, and who
//! goes on with it.

mod again;
#[cfg(test)]
mod answers;
mod outbox;
mod question;
mod refusal;
mod stale;

pub use outbox::Outbox;

use crate::task::{Tasks, commit_problem, store_problem};
use mandate_store::{
    CommitError, Decision, DecisionChange, NewAct, Principal, SharedStore, WaitKey, Write,
};
use mandate_types::{Act, Actor, DecisionStatus, EventKind, PrincipalName, Problem, Timestamp};
use serde_json::json;
use std::sync::Arc;

/// The longest comment, in bytes.
pub const MOST_COMMENT: usize = 4_000;

/// What a human says to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be had.
    Approve,
    /// It may not.
    Deny,
}

/// Takes the answers of people.
pub struct Approvals {
    tasks: Arc<Tasks>,
    /// Whether only this machine reaches the host.
    loopback: bool,
}

impl Approvals {
    /// For what `tasks` wait for. On a host that others can reach nobody approves what they
    /// asked for themselves; `loopback` says that none can.
    pub fn new(tasks: Arc<Tasks>, loopback: bool) -> Arc<Self> {
        Arc::new(Self { tasks, loopback })
    }

    fn store(&self) -> &SharedStore {
        self.tasks.store()
    }

    /// Answers a decision, and lets what waits for it go on. One answer counts: the first.
    ///
    /// # Errors
    /// A [`Problem`] of its own for each reason why `by` cannot answer it now.
    pub async fn resolve(
        &self,
        decision: Decision,
        verdict: Verdict,
        comment: Option<String>,
        by: &Principal,
    ) -> Result<Decision, Problem> {
        if comment
            .as_ref()
            .is_some_and(|text| text.len() > MOST_COMMENT)
        {
            let most = format!("at most {MOST_COMMENT} bytes");
            return Err(Problem::invalid_field("/comment", most));
        }
        let now = Timestamp::now();
        if let Some(refused) = refusal::of(&decision, now) {
            return Err(refused);
        }
        let (status, act, own) = match verdict {
            Verdict::Approve => {
                let own = self.approves_own(&decision, by, now).await?;
                if let Some(changed) = self.changed(&decision) {
                    return Err(self.take_back(decision, changed, by, now).await);
                }
                (DecisionStatus::Approved, Act::DECISION_APPROVED, own)
            }
            Verdict::Deny => (DecisionStatus::Denied, Act::DECISION_DENIED, false),
        };
        let change = DecisionChange {
            resolved_by: Some(by.name.clone()),
            self_approved: Some(own),
            comment: comment.clone(),
            ..DecisionChange::default()
        };
        let resolved = Decision {
            status,
            resolved_by: Some(by.name.clone()),
            self_approved: own,
            comment,
            ..decision
        };
        self.close(resolved, change, act, by, now).await
    }

    /// Keeps what became of a decision that was pending, `change` beside its status and time, and
    /// lets what waits for it go on.
    ///
    /// # Errors
    /// Also when somebody was faster: what became of it then.
    async fn close(
        &self,
        decision: Decision,
        change: DecisionChange,
        act: &'static str,
        by: &Principal,
        now: Timestamp,
    ) -> Result<Decision, Problem> {
        let closed = Decision {
            resolved_at: Some(now),
            ..decision
        };
        let change = DecisionChange {
            status: Some(closed.status),
            resolved_at: Some(now),
            ..change
        };
        let id = closed.id.clone();
        let writes = vec![
            Write::ChangeDecision {
                id: id.clone(),
                from: &[DecisionStatus::Pending],
                live_at: Some(now),
                change: Box::new(change),
            },
            Write::Audit(Box::new(audited(&closed, act, &by.name, now))),
            Write::Event(Box::new(closed.event(EventKind::DECISION_RESOLVED, now))),
            Write::Wake {
                key: WaitKey::Decision(id),
                at: now,
            },
        ];
        match self.store().commit(None, writes).await {
            Ok(committed) => {
                self.tasks.woken(committed.woken).await;
                Ok(closed)
            }
            // Somebody was faster.
            Err(CommitError::DecisionState { id, status }) => {
                let current = self.store().decision(&id).await.map_err(store_problem)?;
                let refused = current.and_then(|current| refusal::of(&current, now));
                Err(refused
                    .unwrap_or_else(|| Problem::conflict(format!("the decision is {status}"))))
            }
            Err(error) => Err(commit_problem(error)),
        }
    }

    /// Whether `by` is who asked, which is an exception that is recorded.
    async fn approves_own(
        &self,
        decision: &Decision,
        by: &Principal,
        now: Timestamp,
    ) -> Result<bool, Problem> {
        if refusal::is_part_of(decision, &by.name) {
            return Err(refusal::plugin(decision, &by.name));
        }
        if decision.request.principal != by.name {
            return Ok(false);
        }
        let request = &decision.request;
        let policy = self.tasks.kernel().policy();
        let terms = policy
            .document()
            .approvals
            .terms(&request.tenant, request.cost);
        if terms.four_eyes {
            return Err(refusal::requester(
                by,
                "the policy wants four eyes, so somebody else has to answer",
            ));
        }
        if !self.loopback {
            return Err(refusal::requester(
                by,
                "others can reach this host, so somebody else has to answer",
            ));
        }
        let others = self.store().principals().await.map_err(store_problem)?;
        let lives = |other: &&Principal| other.expires_at.is_none_or(|end| end > now);
        if others
            .iter()
            .filter(lives)
            .any(|other| other.name != by.name)
        {
            return Err(refusal::requester(
                by,
                "you are not the only one here, so somebody else has to answer",
            ));
        }
        Ok(true)
    }
}

/// What the audit keeps of an answer. Not the arguments: their digest says which they were.
pub fn audited(
    decision: &Decision,
    act: &'static str,
    by: &PrincipalName,
    at: Timestamp,
) -> NewAct {
    let request = &decision.request;
    NewAct {
        at,
        actor: Actor::from(by),
        act,
        subject: format!("decision/{}", decision.id),
        tenant: Some(request.tenant.clone()),
        data: json!({
            "sentence": request.sentence,
            "tool": request.tool,
            "tool_digest": request.tool_digest,
            "arguments_digest": request.arguments_digest,
            "cost_micro_usd": request.cost,
            "rule": request.rule,
            "self_approved": decision.self_approved,
            "comment": decision.comment,
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use mandate_store::DecisionRequest;
    use mandate_types::{
        DecisionId, Digest, Effects, ExecutionId, InvocationId, MicroUsd, PluginName, TenantId,
    };
    use serde_json::Value;

    /// A pending decision: `remediation`, for `commander`, wants to call `actions.restart`.
    pub fn decision() -> Decision {
        let plugin = |name| PluginName::parse(name).unwrap();
        Decision {
            id: DecisionId::fresh(),
            status: DecisionStatus::Pending,
            request: DecisionRequest {
                sentence: "`remediation` wants to call `actions.restart`.".to_owned(),
                tenant: TenantId::default(),
                task: None,
                root_task: None,
                subject: None,
                execution: ExecutionId::fresh(),
                invocation: InvocationId::fresh(),
                sequence: 1,
                index: 0,
                principal: PrincipalName::parse("ann").unwrap(),
                plugin: Some(plugin("remediation")),
                chain: vec![plugin("commander"), plugin("remediation")],
                tool: "actions.restart".to_owned(),
                tool_digest: Digest::of(b"tool"),
                arguments: json!({"service": "cart"}),
                arguments_digest: Digest::of(b"arguments"),
                grant_generation: 1,
                effects: Effects::Reversible,
                idempotent: false,
                target: Some("cart".to_owned()),
                why: None,
                cost: Some(MicroUsd::dollars(12_000)),
                gain: None,
                roi: None,
                risk: None,
                reversible: true,
                undo: None,
                confidence: None,
                level: 3,
                verdict: "escalate".to_owned(),
                rule: "level-3".to_owned(),
                reason: String::new(),
                facts: Value::Null,
                lifts: Vec::new(),
            },
            requested_at: Timestamp::from_micros(0),
            expires_at: None,
            resolved_at: None,
            resolved_by: None,
            self_approved: false,
            comment: None,
            child: None,
            ended_at: None,
            actual_cost: None,
            result: None,
        }
    }

    #[test]
    fn the_audit_has_digests_and_no_arguments() {
        let by = PrincipalName::parse("bob").unwrap();
        let act = audited(
            &decision(),
            Act::DECISION_APPROVED,
            &by,
            Timestamp::default(),
        );
        assert_eq!(act.actor, Actor::from(&by));
        assert_eq!(
            act.data["arguments_digest"],
            json!(Digest::of(b"arguments"))
        );
        assert!(act.data.get("arguments").is_none());
    }
}
