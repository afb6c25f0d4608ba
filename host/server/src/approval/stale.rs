//! What was asked is not what would happen: the tool was replaced, or its grant changed, before anybody answered. An
//! approval is not taken then; whoever asks is judged anew, and people are asked about what there is now.

use super::{Approvals, audited, refusal};
use crate::task::{commit_problem, store_problem};
use mandate_store::{CommitError, Decision, DecisionChange, Principal, WaitKey, Write};
use mandate_types::{Act, DecisionStatus, EventKind, Problem, Timestamp};
use serde_json::json;

impl Approvals {
    /// What is not as it was when it was asked; none if all is. That a tool is gone, who asks hears himself.
    pub(super) fn changed(&self, decision: &Decision) -> Option<&'static str> {
        let request = &decision.request;
        let catalogue = self.tasks.kernel().catalogue();
        let (active, _) = catalogue.tool(&request.tool)?;
        if active.loaded.digest != request.tool_digest {
            return Some("the tool's version");
        }
        (active.grant().generation != request.grant_generation).then_some("the tool's grant")
    }

    /// Withdraws what changed, lets who asked be judged anew, and says so.
    pub(super) async fn take_back(
        &self,
        decision: Decision,
        changed: &str,
        by: &Principal,
        now: Timestamp,
    ) -> Problem {
        let id = decision.id.clone();
        let why = format!("{changed} changed after it was asked");
        let change = DecisionChange {
            status: Some(DecisionStatus::Withdrawn),
            resolved_at: Some(now),
            ended_at: Some(now),
            result: Some(json!({ "error": { "withdrawn": why } })),
            ..DecisionChange::default()
        };
        let withdrawn = Decision {
            status: DecisionStatus::Withdrawn,
            resolved_at: Some(now),
            ..decision
        };
        let writes = vec![
            Write::ChangeDecision {
                id: id.clone(),
                from: &[DecisionStatus::Pending],
                live_at: Some(now),
                change: Box::new(change),
            },
            Write::Audit(Box::new(audited(
                &withdrawn,
                Act::DECISION_WITHDRAWN,
                &by.name,
                now,
            ))),
            Write::Event(Box::new(withdrawn.event(EventKind::DECISION_RESOLVED, now))),
            Write::Wake {
                key: WaitKey::Decision(id.clone()),
                at: now,
            },
        ];
        match self.store().commit(None, writes).await {
            Ok(committed) => {
                self.tasks.woken(committed.woken).await;
                refusal::changed(&withdrawn, changed)
            }
            // Somebody was faster.
            Err(CommitError::DecisionState { id, status }) => {
                match self.store().decision(&id).await {
                    Ok(current) => current
                        .and_then(|current| refusal::of(&current, now))
                        .unwrap_or_else(|| Problem::conflict(format!("the decision is {status}"))),
                    Err(error) => store_problem(error),
                }
            }
            Err(error) => commit_problem(error),
        }
    }
}
