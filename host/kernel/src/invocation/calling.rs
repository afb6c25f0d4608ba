//! The call of a guest itself: what it is given, and what it answered once that is checked
//! against its own schema.

use super::ending::{checked, told};
use super::{Report, ReportResult};
use crate::guest::Guest;
use crate::loaded::Loaded;
use crate::tree::Tree;
use mandate_runtime::bindings::{agent_export, tool_export};
use mandate_runtime::{End, Ended, Runtime};
use mandate_store::Task;
use mandate_types::{GuestKind, Limits};
use serde_json::Value;

/// What a guest is calling.
pub struct Calling<'a> {
    /// The execution.
    pub tree: &'a Tree,
    /// Agent or tool.
    pub kind: GuestKind,
    /// The tool's short name, or the kind of the task.
    pub function: &'a str,
    /// What it is about, for an agent.
    pub title: &'a str,
    /// Arguments or input; validated.
    pub input: &'a Value,
    /// The task, at the root of its execution.
    pub task: Option<&'a Task>,
    /// What the operator filled in, as JSON.
    pub settings: String,
}

/// A call that is over.
pub struct Finished {
    /// The guest's side of the boundary, as it was left.
    pub guest: Guest,
    /// What it answered, or what ended it.
    pub result: Result<ReportResult, End>,
    /// The most memory it held, in bytes.
    pub peak_memory_bytes: u64,
}

/// Calls the guest, in a fresh instance.
pub async fn run_guest(
    runtime: &Runtime<Guest>,
    loaded: &Loaded,
    guest: Guest,
    limits: &Limits,
    calling: Calling<'_>,
) -> Finished {
    let stop = calling.tree.stop.clone();
    match calling.kind {
        GuestKind::Agent => {
            let ended = runtime
                .run_agent(&loaded.component, guest, limits, stop, task(calling))
                .await;
            let schema = loaded.agent.as_ref().map(|agent| &agent.output);
            finished(ended, |report| {
                Ok(Report {
                    output: checked("report", schema, &report.output)?,
                    summary: Some(report.summary),
                    quality: report
                        .quality
                        .filter(|q| q.is_finite())
                        .map(|q| q.clamp(0.0, 1.0)),
                })
            })
        }
        GuestKind::Tool => {
            let tool = loaded.tools.get(calling.function);
            let schema = tool.map(|tool| &tool.result);
            let ended = runtime
                .call_tool(&loaded.component, guest, limits, stop, request(calling))
                .await;
            finished(ended, |text| {
                Ok(Report {
                    output: checked("result", schema, &text)?,
                    summary: None,
                    quality: None,
                })
            })
        }
    }
}

fn finished<T>(
    ended: Ended<Guest, Result<T, mandate_runtime::bindings::types::types::Error>>,
    report: impl FnOnce(T) -> ReportResult,
) -> Finished {
    let result = match &ended.host.continuation {
        Some(_) => Ok(Ok(continued())),
        None => ended
            .outcome
            .map(|answer| answer.map_err(told).and_then(report)),
    };
    Finished {
        guest: ended.host,
        result,
        peak_memory_bytes: ended.peak_memory_bytes,
    }
}

/// What stands for the report of an execution that goes on in another.
fn continued() -> Report {
    Report {
        output: Value::Null,
        summary: Some("It goes on in a new execution.".to_owned()),
        quality: None,
    }
}

fn request(calling: Calling<'_>) -> tool_export::Request {
    let tree = calling.tree;
    tool_export::Request {
        name: calling.function.to_owned(),
        arguments: calling.input.to_string(),
        tenant: tree.tenant.to_string(),
        task: tree.task.as_ref().map(ToString::to_string),
        subject: tree.subject.as_ref().map(ToString::to_string),
        settings: calling.settings,
    }
}

fn task(calling: Calling<'_>) -> agent_export::Task {
    let (tree, task) = (calling.tree, calling.task);
    agent_export::Task {
        id: tree
            .task
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        kind: calling.function.to_owned(),
        title: calling.title.to_owned(),
        description: task.map(|t| t.description.clone()).unwrap_or_default(),
        target: task.and_then(|t| t.target.clone()),
        priority: task.map_or(5, |t| t.priority),
        input: calling.input.to_string(),
        session: task.and_then(|t| t.session.clone()),
        subject: tree.subject.as_ref().map(ToString::to_string),
        tenant: tree.tenant.to_string(),
        attempt: task.map_or(1, |t| t.attempts),
        settings: calling.settings,
    }
}
