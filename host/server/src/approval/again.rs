//! Asking again: what expired may still be wanted by who asked, as long as he was not told no.

use super::{Approvals, audited, refusal};
use crate::task::{commit_problem, store_problem};
use mandate_store::{CommitError, Decision, DecisionChange, Principal, Write};
use mandate_types::{Act, DecisionStatus, Problem, Timestamp};

impl Approvals {
    /// Lets an execution ask again what nobody answered in time. Only one that has not gone on
    /// yet can: on a halted or busy host. It is judged anew, and becomes a new decision.
    ///
    /// # Errors
    /// A [`Problem`] that says what to do instead.
    pub async fn ask_again(&self, decision: Decision, by: &Principal) -> Result<Decision, Problem> {
        let now = Timestamp::now();
        if decision.status != DecisionStatus::Expired {
            return Err(refusal::not_expired(&decision));
        }
        if let Some(told) = self.was_told(&decision).await? {
            return Err(told);
        }
        let change = DecisionChange {
            status: Some(DecisionStatus::Withdrawn),
            ..DecisionChange::default()
        };
        let act = audited(&decision, Act::DECISION_ASKED_AGAIN, &by.name, now);
        let writes = vec![
            Write::ChangeDecision {
                id: decision.id.clone(),
                from: &[DecisionStatus::Expired],
                live_at: None,
                change: Box::new(change),
            },
            Write::Audit(Box::new(act)),
        ];
        match self.store().commit(None, writes).await {
            Ok(_) => Ok(Decision {
                status: DecisionStatus::Withdrawn,
                ..decision
            }),
            Err(CommitError::DecisionState { .. }) => Err(refusal::not_expired(&decision)),
            Err(error) => Err(commit_problem(error)),
        }
    }

    /// Why who asked does not ask any more; none if he still can.
    async fn was_told(&self, decision: &Decision) -> Result<Option<Problem>, Problem> {
        let request = &decision.request;
        let store = self.store();
        let Some(task) = &request.task else {
            let invocation = store.execution(&request.execution).await;
            let waits = invocation.map_err(store_problem)?.is_some()
                && store
                    .unfinished_calls()
                    .await
                    .map_err(store_problem)?
                    .contains(&request.execution);
            return Ok((!waits).then(|| refusal::call_ended(decision)));
        };
        let task = store.task(task).await.map_err(store_problem)?;
        let Some(task) = task.filter(|task| task.execution.as_ref() == Some(&request.execution))
        else {
            return Ok(Some(refusal::task_ended(decision)));
        };
        if task.status.is_final() {
            return Ok(Some(refusal::task_ended(decision)));
        }
        let steps = store.steps(&request.invocation).await;
        let steps = steps.map_err(store_problem)?;
        let answered = steps.iter().any(|step| {
            (step.sequence, step.index) == (request.sequence, request.index)
                && step.answered_at.is_some()
        });
        Ok(answered.then(|| refusal::went_on(decision, &task.id)))
    }
}
