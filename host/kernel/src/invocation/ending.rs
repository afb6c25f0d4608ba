//! How an invocation ended, in the words of the journal and of its subscribers.

use super::{Call, ReportResult};
use crate::records::list;
use crate::tree::Tree;
use mandate_plugin::{Validator, validate};
use mandate_runtime::End;
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{Ending, NewEvent, TaskError, Write};
use mandate_types::{EventKind, GuestKind, InvocationStatus, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Ends an invocation in the journal whose caller was stopped while it waited: the guest is
/// gone, and nobody else would say so.
pub(super) struct Dropped<'a> {
    pub(super) tree: &'a Tree,
    pub(super) call: &'a Call,
    pub(super) steps: Arc<AtomicU64>,
    pub(super) armed: bool,
}

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        // What is suspended goes on another time.
        if !self.armed || self.tree.stop.suspends() {
            return;
        }
        let reason = match self.tree.stop.reason() {
            Some(reason) => reason.to_owned(),
            None => "its caller ended".to_owned(),
        };
        let error = failure("cancelled", &reason, false);
        let how = json!({
            "status": InvocationStatus::Cancelled,
            "summary": null,
            "error": error,
        });
        let ending = Ending {
            tenant: self.tree.tenant.clone(),
            status: InvocationStatus::Cancelled,
            result: None,
            error: Some(error),
            ended_at: Timestamp::now(),
            steps: self.steps.load(Ordering::Relaxed),
            peak_memory_bytes: 0,
            cost_micro_usd: Default::default(),
        };
        let end = Write::EndInvocation {
            id: self.call.id.clone(),
            ending: Box::new(ending),
        };
        let event = agent_event(self.tree, self.call, EventKind::AGENT_COMPLETED, how);
        self.tree.abandon(std::iter::once(end).chain(event));
    }
}

/// What subscribers hear of an agent; nothing of tools.
pub(super) fn agent_event(tree: &Tree, call: &Call, kind: &str, mut data: Value) -> Option<Write> {
    if call.kind != GuestKind::Agent {
        return None;
    }
    if let Some(fields) = data.as_object_mut() {
        fields.insert("agent".to_owned(), json!(call.plugin.name()));
        fields.insert("invocation".to_owned(), json!(call.id));
        fields.insert("execution".to_owned(), json!(tree.execution));
    }
    Some(Write::Event(Box::new(NewEvent {
        time: Timestamp::now(),
        kind: kind.to_owned(),
        subject: tree.subject.clone(),
        task: tree.task.clone(),
        tenant: tree.tenant.clone(),
        data,
    })))
}

pub(crate) fn failure(kind: &str, message: &str, retryable: bool) -> TaskError {
    TaskError {
        kind: kind.to_owned(),
        message: message.to_owned(),
        retryable,
    }
}

/// What a guest answered, if that is what its own schema says.
pub(super) fn checked(
    what: &str,
    schema: Option<&Validator>,
    text: &str,
) -> Result<Value, TaskError> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        failure(
            "invalid_answer",
            &format!("its {what} is not JSON: {error}"),
            false,
        )
    })?;
    if let Some(schema) = schema {
        validate(schema, &value).map_err(|problems| {
            let message = format!(
                "its {what} is not what its own schema says: {}",
                list(&problems)
            );
            failure("invalid_answer", &message, false)
        })?;
    }
    Ok(value)
}

/// An error that the guest itself ended with.
pub(crate) fn told(error: Error) -> TaskError {
    match error {
        Error::Denied(denial) => failure(
            "denied",
            &format!("{}: {}", denial.capability, denial.reason),
            false,
        ),
        Error::BudgetExhausted(_) => failure("budget_exhausted", "the budget is exhausted", false),
        Error::Invalid(reason) => failure("invalid", &reason, false),
        Error::Unavailable(outage) => failure("unavailable", &outage.reason, true),
        Error::NotFound(what) => failure("not_found", &format!("there is no {what}"), false),
        Error::Conflict(reason) => failure("conflict", &reason, true),
        Error::Interrupted(reason) => failure("interrupted", &reason, true),
        Error::Failed(f) => failure("failed", &f.message, f.retryable),
    }
}

/// The status of an invocation that ended so, and what its caller is told.
pub fn conclude(result: Result<ReportResult, End>) -> (InvocationStatus, ReportResult) {
    match result {
        Ok(Ok(report)) => (InvocationStatus::Succeeded, Ok(report)),
        Ok(Err(error)) => (InvocationStatus::Failed, Err(error)),
        Err(End::Limit(hit)) => (
            InvocationStatus::Failed,
            Err(failure("limit", &hit.to_string(), false)),
        ),
        Err(End::Trap(message)) => (
            InvocationStatus::Failed,
            Err(failure("trap", &message, false)),
        ),
        Err(End::Full(message)) => (
            InvocationStatus::Failed,
            Err(failure("unavailable", &message, true)),
        ),
        Err(End::Stopped(reason)) => (
            InvocationStatus::Cancelled,
            Err(failure("cancelled", &reason, false)),
        ),
    }
}
