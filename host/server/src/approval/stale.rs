//! What was asked is not what would happen: the tool was replaced, or its grant changed, before anybody answered. An
//! approval is not taken then; whoever asks is judged anew, and people are asked about what there is now.

use super::{Approvals, refusal};
use mandate_store::{Decision, DecisionChange, Principal};
use mandate_types::{Act, DecisionStatus, Problem, Timestamp};
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
        let why = format!("{changed} changed after it was asked");
        let change = DecisionChange {
            ended_at: Some(now),
            result: Some(json!({ "error": { "withdrawn": why } })),
            ..DecisionChange::default()
        };
        let withdrawn = Decision {
            status: DecisionStatus::Withdrawn,
            ..decision
        };
        let act = Act::DECISION_WITHDRAWN;
        match self.close(withdrawn, change, act, by, now).await {
            Ok(withdrawn) => refusal::changed(&withdrawn, changed),
            Err(problem) => problem,
        }
    }
}
