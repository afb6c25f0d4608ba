//! One call of one guest: from its row in the journal to its end, new or resumed.

mod calling;
mod ending;

use crate::capability::Scope;
use crate::catalogue::Active;
use crate::decision::Pledge;
use crate::guest::Guest;
use crate::journal::Journal;
use crate::kernel::Kernel;
use crate::loaded::Loaded;
use crate::tree::{Halted, Lineage, Tree};
pub use calling::{Calling, Finished, run_guest};
pub use ending::conclude;
use ending::{Dropped, agent_event};
pub(crate) use ending::{failure, told};
use futures::FutureExt;
use futures::future::BoxFuture;
use mandate_store::{Ending, Invocation, Task, TaskError, Write, crash};
use mandate_types::{
    Effects, EventKind, GuestKind, InvocationId, InvocationStatus, Limits, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What a guest answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The report's output, or the tool's result.
    pub output: Value,
    /// For people; agents only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The agent's own judgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
}

/// How a guest ended.
pub type ReportResult = Result<Report, TaskError>;

/// What is to be called, and by whom.
pub struct Call {
    /// The invocation's id.
    pub id: InvocationId,
    /// Who calls, at which step; none at the root.
    pub parent: Option<(InvocationId, u64)>,
    /// The caller and those above it.
    pub lineage: Option<Arc<Lineage>>,
    /// Whom.
    pub plugin: Arc<Active>,
    /// Agent or tool.
    pub kind: GuestKind,
    /// The tool's short name, or the kind of the task.
    pub function: String,
    /// What it is about, for an agent.
    pub title: String,
    /// The task, at the root of its execution.
    pub task: Option<Arc<Task>>,
    /// Arguments or input; validated.
    pub input: Value,
    /// The gravest class of effects that it may have.
    pub ceiling: Effects,
    /// The decision under which it may have effects outside of the host.
    pub pledge: Option<Arc<Pledge>>,
}

/// Runs a call to its end. A call that ended before is not run again: its journal answers.
pub fn invoke(
    kernel: Arc<Kernel>,
    tree: Arc<Tree>,
    call: Call,
) -> BoxFuture<'static, Result<ReportResult, Halted>> {
    async move {
        if tree.resumed
            && let Some(known) = kernel.store().invocation(&call.id).await?
        {
            return resume(kernel, tree, call, known).await;
        }
        start(kernel, tree, call).await
    }
    .boxed()
}

async fn start(kernel: Arc<Kernel>, tree: Arc<Tree>, call: Call) -> Result<ReportResult, Halted> {
    let _part = kernel.takes_part(&tree, call.plugin.name())?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Halted::Store(mandate_store::StoreError::Unavailable(format!(
            "no randomness: {error}"
        )))
    })?;
    let limits = call.plugin.grant().limits.clone();
    let lineage = Arc::new(Lineage::new(
        call.plugin.name().clone(),
        call.kind,
        &limits,
        call.lineage.clone(),
    ));
    let loaded = call.plugin.loaded.clone();
    let settings = call.plugin.installation.settings.clone();
    let row = Invocation {
        id: call.id.clone(),
        execution: tree.execution.clone(),
        task: tree.task.clone(),
        parent: call.parent.as_ref().map(|(id, _)| id.clone()),
        parent_step: call.parent.as_ref().map(|(_, step)| *step),
        depth: lineage.depth,
        kind: call.kind,
        plugin: call.plugin.name().clone(),
        digest: loaded.digest.clone(),
        contract: Some(loaded.manifest.plugin.contract.clone()),
        settings: Some(settings.clone()),
        function: call.function.clone(),
        input: call.input.clone(),
        tenant: tree.tenant.clone(),
        principal: tree.principal.clone(),
        subject: tree.subject.clone(),
        grant_generation: call.plugin.grant().generation,
        limits: limits.clone(),
        seed: seed.to_vec(),
        status: InvocationStatus::Running,
        result: None,
        error: None,
        started_at: Timestamp::now(),
        ended_at: None,
        steps: 0,
        peak_memory_bytes: 0,
        cost_micro_usd: Default::default(),
        erased: false,
    };
    let started_at = row.started_at;
    let mut writes = vec![Write::StartInvocation(Box::new(row))];
    writes.extend(agent_event(
        &tree,
        &call,
        EventKind::AGENT_STARTED,
        json!({}),
    ));
    tree.push(writes).await?;
    let journal = Journal::new(started_at, Vec::new());
    run(
        kernel,
        tree,
        call,
        Pinned {
            loaded,
            limits,
            lineage,
            settings,
            seed,
        },
        journal,
    )
    .await
}

async fn resume(
    kernel: Arc<Kernel>,
    tree: Arc<Tree>,
    call: Call,
    known: Invocation,
) -> Result<ReportResult, Halted> {
    if known.ended_at.is_some()
        && let Some(caller) = &call.lineage
    {
        // It is counted itself already; it is not run again to count those below it.
        caller.count_again(tree.with_those_below(&known.id).saturating_sub(1));
    }
    match known.status {
        InvocationStatus::Succeeded => {
            let report = known
                .result
                .and_then(|value| serde_json::from_value(value).ok());
            return report.map(Ok).ok_or_else(|| {
                Halted::Store(mandate_store::StoreError::Corrupt(format!(
                    "{} has no readable result",
                    known.id
                )))
            });
        }
        InvocationStatus::Running | InvocationStatus::Waiting => {}
        _ => {
            return Ok(Err(known
                .error
                .unwrap_or_else(|| failure("failed", "it failed", false))));
        }
    }
    let _part = kernel.takes_part(&tree, call.plugin.name())?;
    let loaded = match kernel.load(&known.digest).await {
        Ok(loaded) => loaded,
        Err(crate::kernel::PluginLoadError::Store(error)) => return Err(error.into()),
        Err(error) => {
            let message = format!("the version it ran under cannot be loaded: {error}");
            return Ok(Err(failure("blocked", &message, false)));
        }
    };
    let recorded = kernel.store().steps(&known.id).await?;
    let ran = recorded.iter().filter_map(|step| step.active_us).max();
    let lineage = Lineage::new(
        known.plugin.clone(),
        known.kind,
        &known.limits,
        call.lineage.clone(),
    );
    let lineage = Arc::new(lineage.having_run(Duration::from_micros(ran.unwrap_or(0))));
    let installed = &call.plugin.installation.settings;
    let settings = known.settings.unwrap_or_else(|| installed.clone());
    let seed = <[u8; 32]>::try_from(known.seed.as_slice()).unwrap_or_default();
    let journal = Journal::new(known.started_at, recorded);
    run(
        kernel,
        tree,
        call,
        Pinned {
            loaded,
            limits: known.limits,
            lineage,
            settings,
            seed,
        },
        journal,
    )
    .await
}

/// What stays as it was at the start, whatever happens to the installation meanwhile.
struct Pinned {
    loaded: Arc<Loaded>,
    limits: Limits,
    lineage: Arc<Lineage>,
    settings: Value,
    seed: [u8; 32],
}

async fn run(
    kernel: Arc<Kernel>,
    tree: Arc<Tree>,
    call: Call,
    pinned: Pinned,
    journal: Journal,
) -> Result<ReportResult, Halted> {
    let Pinned {
        loaded,
        limits,
        lineage,
        settings,
        seed,
    } = pinned;
    let scope = Arc::new(Scope {
        kernel: kernel.clone(),
        tree: tree.clone(),
        lineage,
        id: call.id.clone(),
        plugin: call.plugin.clone(),
        loaded: loaded.clone(),
        kind: call.kind,
        ceiling: call.ceiling,
        pledge: call.pledge.clone(),
        limits: limits.clone(),
    });
    let mut dropped = Dropped {
        tree: &tree,
        call: &call,
        steps: journal.counter(),
        armed: true,
    };
    let guest = Guest::new(scope, journal, seed);
    let calling = Calling {
        tree: &tree,
        kind: call.kind,
        function: &call.function,
        title: &call.title,
        input: &call.input,
        task: call.task.as_deref(),
        settings: settings.to_string(),
    };
    let Finished {
        mut guest,
        result,
        peak_memory_bytes,
    } = run_guest(kernel.runtime(), &loaded, guest, &limits, calling).await;
    guest.close_streams().await;
    if let Some(halted) = guest.halted {
        dropped.armed = false;
        return Err(halted);
    }
    // It has not ended, whatever it ended with.
    if result.is_err()
        && let Some(halt) = tree.suspended_by()
    {
        dropped.armed = false;
        return Err(Halted::ByOperator(Box::new(halt)));
    }
    if let (Ok(_), Some(left)) = (&result, guest.journal.left()) {
        dropped.armed = false;
        return Err(Halted::Diverged {
            invocation: call.id.to_string(),
            sequence: left.sequence,
            recorded: format!("{} {}", left.interface, left.function),
            asked: "to end".to_owned(),
        });
    }
    if let Some(input) = guest.continuation.take() {
        tree.continue_with(input);
    }
    let (status, report) = conclude(result);
    let ending = Ending {
        tenant: tree.tenant.clone(),
        status,
        result: report
            .as_ref()
            .ok()
            .and_then(|r| serde_json::to_value(r).ok()),
        error: report.as_ref().err().cloned(),
        ended_at: Timestamp::now(),
        steps: guest.journal.steps(),
        peak_memory_bytes,
        cost_micro_usd: guest.cost,
    };
    let mut writes = guest.take_lines();
    // Those that it waited for when it was stopped end first.
    writes.extend(tree.take_abandoned());
    writes.push(Write::EndInvocation {
        id: call.id.clone(),
        ending: Box::new(ending),
    });
    let how = json!({
        "status": status,
        "summary": report.as_ref().ok().and_then(|r| r.summary.clone()),
        "error": report.as_ref().err(),
    });
    writes.extend(agent_event(&tree, &call, EventKind::AGENT_COMPLETED, how));
    crash::point("invocation.before_end");
    // From here on its end is known, whoever waits for it.
    dropped.armed = false;
    tree.push(writes).await?;
    Ok(report)
}
