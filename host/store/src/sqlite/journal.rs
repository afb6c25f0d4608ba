//! Executions, invocations, steps and logs as rows.

use super::SqliteStore;
use super::cursor;
use super::sql::{Arg, Columns, Sql, corrupt};
use crate::StoreError;
use crate::journal::{
    Ending, Execution, Invocation, JournalStore, LogLevel, LogLine, Step, StepAnswer,
};
use crate::task::Page;
use mandate_types::{ExecutionId, InvocationId, MicroUsd, PluginName, Subject, TaskId, TenantId};
use sqlx::sqlite::SqliteRow;

pub(super) const EXECUTION_COLUMNS: &str =
    "id, task, attempt, root, tenant, principal, lease_epoch, started_at";

pub(super) fn execution_row(execution: &Execution) -> Vec<Arg> {
    vec![
        Arg::text(&execution.id),
        Arg::opt_text(execution.task.as_ref()),
        Arg::Int(execution.attempt.into()),
        Arg::text(&execution.root),
        Arg::text(&execution.tenant),
        Arg::text(&execution.principal),
        Arg::count(execution.lease_epoch),
        execution.started_at.into(),
    ]
}

fn read_execution(row: &SqliteRow) -> Result<Execution, StoreError> {
    Ok(Execution {
        id: row.get_id("id")?,
        task: row.get_opt_id("task")?,
        attempt: row.get_small("attempt")?,
        root: row.get_id("root")?,
        tenant: row.get_id("tenant")?,
        principal: row.get_id("principal")?,
        lease_epoch: row.get_count("lease_epoch")?,
        started_at: row.get_time("started_at")?,
    })
}

pub(super) const INVOCATION_COLUMNS: &str = "id, execution, task, parent, parent_step, depth, kind, plugin, digest, \
    contract, settings, function, input, tenant, principal, subject, grant_generation, limits, seed, status, result, error, started_at, \
    ended_at, steps, peak_memory_bytes, cost_micro_usd";

pub(super) fn invocation_row(invocation: &Invocation) -> Vec<Arg> {
    vec![
        Arg::text(&invocation.id),
        Arg::text(&invocation.execution),
        Arg::opt_text(invocation.task.as_ref()),
        Arg::opt_text(invocation.parent.as_ref()),
        Arg::opt(invocation.parent_step, Arg::count),
        Arg::Int(invocation.depth.into()),
        Arg::text(invocation.kind.as_str()),
        Arg::text(&invocation.plugin),
        Arg::text(&invocation.digest),
        Arg::opt_text(invocation.contract.as_ref()),
        Arg::opt(invocation.settings.as_ref(), Arg::json),
        Arg::text(&invocation.function),
        Arg::json(&invocation.input),
        Arg::text(&invocation.tenant),
        Arg::text(&invocation.principal),
        Arg::opt_text(invocation.subject.as_ref()),
        Arg::count(invocation.grant_generation),
        Arg::json(&invocation.limits),
        Arg::Blob(invocation.seed.as_slice().into()),
        Arg::text(invocation.status.as_str()),
        Arg::opt(invocation.result.as_ref(), Arg::json),
        Arg::opt(invocation.error.as_ref(), Arg::json),
        invocation.started_at.into(),
        Arg::opt(invocation.ended_at, Arg::from),
        Arg::count(invocation.steps),
        Arg::count(invocation.peak_memory_bytes),
        invocation.cost_micro_usd.into(),
    ]
}

fn read_invocation(row: &SqliteRow) -> Result<Invocation, StoreError> {
    Ok(Invocation {
        id: row.get_id("id")?,
        execution: row.get_id("execution")?,
        task: row.get_opt_id("task")?,
        parent: row.get_opt_id("parent")?,
        parent_step: row
            .get_opt_int("parent_step")?
            .map(|n| u64::try_from(n).map_err(|e| corrupt("parent_step", e)))
            .transpose()?,
        depth: row.get_small("depth")?,
        kind: row.get_id("kind")?,
        plugin: row.get_id("plugin")?,
        digest: row.get_id("digest")?,
        contract: row.get_opt_text("contract")?,
        settings: row.get_opt_json("settings")?,
        function: row.get_text("function")?,
        input: row.get_value("input")?,
        tenant: row.get_id("tenant")?,
        principal: row.get_id("principal")?,
        subject: row.get_opt_id("subject")?,
        grant_generation: row.get_count("grant_generation")?,
        limits: row.get_json("limits")?,
        seed: row.get_blob("seed")?,
        status: row.get_id("status")?,
        result: row.get_opt_json("result")?,
        error: row.get_opt_json("error")?,
        started_at: row.get_time("started_at")?,
        ended_at: row.get_opt_time("ended_at")?,
        steps: row.get_count("steps")?,
        peak_memory_bytes: row.get_count("peak_memory_bytes")?,
        cost_micro_usd: MicroUsd(row.get_int("cost_micro_usd")?),
        erased: false,
    })
}

/// Takes [`ending_row`].
pub(super) const END_INVOCATION: &str = "UPDATE invocations SET status = ?, result = ?, error = ?, ended_at = ?, \
    steps = ?, peak_memory_bytes = ?, cost_micro_usd = ? WHERE id = ? AND tenant = ?";

pub(super) fn ending_row(id: &InvocationId, ending: &Ending) -> Vec<Arg> {
    vec![
        Arg::text(ending.status.as_str()),
        Arg::opt(ending.result.as_ref(), Arg::json),
        Arg::opt(ending.error.as_ref(), Arg::json),
        ending.ended_at.into(),
        Arg::count(ending.steps),
        Arg::count(ending.peak_memory_bytes),
        ending.cost_micro_usd.into(),
        Arg::text(id),
        Arg::text(&ending.tenant),
    ]
}

pub(super) const STEP_COLUMNS: &str = "tenant, invocation, sequence, idx, interface, function, arguments, \
    arguments_digest, effects, state, answer, refused, child, cost_micro_usd, at, answered_at";

/// The tenant must be that of the invocation, which also refuses steps of invocations that are not there.
pub(super) const STEP_TUPLE: &str = "((SELECT tenant FROM invocations WHERE id = ? AND tenant = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

pub(super) fn step_row(step: &Step) -> Vec<Arg> {
    let invocation = Arg::text(&step.invocation);
    vec![
        invocation.clone(),
        Arg::text(&step.tenant),
        invocation,
        Arg::count(step.sequence),
        Arg::Int(step.index.into()),
        Arg::text(&step.interface),
        Arg::text(&step.function),
        Arg::json(&step.arguments),
        Arg::text(&step.arguments_digest),
        Arg::text(step.effects.as_str()),
        Arg::text(step.state.as_str()),
        Arg::opt(step.answer.as_ref(), Arg::json),
        Arg::bool(step.refused),
        Arg::opt_text(step.child.as_ref()),
        step.cost_micro_usd.into(),
        step.at.into(),
        Arg::opt(step.answered_at, Arg::from),
    ]
}

/// Takes [`answer_row`].
pub(super) const ANSWER_STEP: &str = "UPDATE steps SET state = 'answered', answer = ?, refused = ?, \
    cost_micro_usd = ?, answered_at = ? WHERE invocation = ? AND sequence = ? AND idx = ? AND tenant = ? \
    AND state = 'intended'";

pub(super) fn answer_row(answer: &StepAnswer) -> Vec<Arg> {
    vec![
        Arg::json(&answer.answer),
        Arg::bool(answer.refused),
        answer.cost_micro_usd.into(),
        answer.answered_at.into(),
        Arg::text(&answer.invocation),
        Arg::count(answer.sequence),
        Arg::Int(answer.index.into()),
        Arg::text(&answer.tenant),
    ]
}

fn read_step(row: &SqliteRow) -> Result<Step, StoreError> {
    Ok(Step {
        invocation: row.get_id("invocation")?,
        sequence: row.get_count("sequence")?,
        index: row.get_small("idx")?,
        tenant: row.get_id("tenant")?,
        interface: row.get_text("interface")?,
        function: row.get_text("function")?,
        arguments: row.get_value("arguments")?,
        arguments_digest: row.get_id("arguments_digest")?,
        effects: row.get_id("effects")?,
        state: row.get_id("state")?,
        answer: row.get_opt_json("answer")?,
        refused: row.get_bool("refused")?,
        child: row.get_opt_id("child")?,
        cost_micro_usd: MicroUsd(row.get_int("cost_micro_usd")?),
        at: row.get_time("at")?,
        answered_at: row.get_opt_time("answered_at")?,
        erased: false,
    })
}

pub(super) const LOG_COLUMNS: &str =
    "at, level, message, plugin, invocation, task, subject, tenant";

const fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

fn read_level(text: &str) -> Result<LogLevel, StoreError> {
    [
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warn,
        LogLevel::Error,
    ]
    .into_iter()
    .find(|known| level(*known) == text)
    .ok_or_else(|| corrupt("level", text))
}

pub(super) fn log_row(line: &LogLine) -> Vec<Arg> {
    vec![
        line.at.into(),
        Arg::text(level(line.level)),
        Arg::text(&line.message),
        Arg::text(&line.plugin),
        Arg::text(&line.invocation),
        Arg::opt_text(line.task.as_ref()),
        Arg::opt_text(line.subject.as_ref()),
        Arg::text(&line.tenant),
    ]
}

/// With the number that orders lines of the same time.
fn read_log(row: &SqliteRow) -> Result<(i64, LogLine), StoreError> {
    let line = LogLine {
        at: row.get_time("at")?,
        level: read_level(&row.get_text("level")?)?,
        message: row.get_text("message")?,
        plugin: row.get_id("plugin")?,
        invocation: row.get_id("invocation")?,
        task: row.get_opt_id("task")?,
        subject: row.get_opt_id("subject")?,
        tenant: row.get_id("tenant")?,
    };
    Ok((row.get_int("number")?, line))
}

#[async_trait::async_trait]
impl JournalStore for SqliteStore {
    async fn execution(&self, id: &ExecutionId) -> Result<Option<Execution>, StoreError> {
        let sql = Sql::with("SELECT * FROM executions WHERE id = ?", vec![Arg::text(id)]);
        sql.optional(&self.readers)
            .await?
            .as_ref()
            .map(read_execution)
            .transpose()
    }

    async fn executions(&self, task: &TaskId) -> Result<Vec<Execution>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM executions WHERE task = ? ORDER BY started_at, attempt, id",
            vec![Arg::text(task)],
        );
        sql.all(&self.readers)
            .await?
            .iter()
            .map(read_execution)
            .collect()
    }

    async fn invocation(&self, id: &InvocationId) -> Result<Option<Invocation>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM invocations WHERE id = ?",
            vec![Arg::text(id)],
        );
        sql.optional(&self.readers)
            .await?
            .as_ref()
            .map(read_invocation)
            .transpose()
    }

    async fn invocations(&self, execution: &ExecutionId) -> Result<Vec<Invocation>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM invocations WHERE execution = ? ORDER BY started_at, depth, rowid",
            vec![Arg::text(execution)],
        );
        sql.all(&self.readers)
            .await?
            .iter()
            .map(read_invocation)
            .collect()
    }

    async fn steps(&self, invocation: &InvocationId) -> Result<Vec<Step>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM steps WHERE invocation = ? ORDER BY sequence, idx",
            vec![Arg::text(invocation)],
        );
        sql.all(&self.readers)
            .await?
            .iter()
            .map(read_step)
            .collect()
    }

    async fn execution_steps(
        &self,
        execution: &ExecutionId,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Step>, StoreError> {
        let listing = format!("steps {execution}");
        let mut sql = Sql::with(
            "SELECT steps.* FROM invocations JOIN steps ON steps.invocation = invocations.id \
             WHERE invocations.execution = ?",
            vec![Arg::text(execution)],
        );
        if let Some(text) = cursor {
            let [at, invocation, sequence, index] = cursor::decode(&listing, text)?;
            sql.clause(
                " AND (steps.at, steps.invocation, steps.sequence, steps.idx) > (?",
                at,
            )
            .clause(", ?", invocation)
            .clause(", ?", sequence)
            .clause(", ?)", index);
        }
        sql.push(" ORDER BY steps.at, steps.invocation, steps.sequence, steps.idx LIMIT ")
            .bind(Arg::Int(i64::from(super::page_size(limit)) + 1));
        let rows = sql.all(&self.readers).await?;
        super::page(&rows, limit, read_step, |step| {
            cursor::encode(
                &listing,
                &[
                    step.at.into(),
                    Arg::text(&step.invocation),
                    Arg::count(step.sequence),
                    Arg::Int(step.index.into()),
                ],
            )
        })
    }

    async fn logs(
        &self,
        tenants: Option<&[TenantId]>,
        plugin: Option<&PluginName>,
        task: Option<&TaskId>,
        subject: Option<&Subject>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<LogLine>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM logs WHERE 1");
        if let Some(tenants) = tenants {
            sql.push(" AND tenant IN ")
                .list(tenants.iter().map(Arg::text));
        }
        if let Some(plugin) = plugin {
            sql.clause(" AND plugin = ?", Arg::text(plugin));
        }
        if let Some(task) = task {
            sql.clause(" AND task = ?", Arg::text(task));
        }
        if let Some(subject) = subject {
            sql.clause(" AND subject = ?", Arg::text(subject));
        }
        if let Some(text) = cursor {
            let [at, number] = cursor::decode("logs", text)?;
            sql.clause(" AND (at, number) < (?", at)
                .clause(", ?)", number);
        }
        sql.push(" ORDER BY at DESC, number DESC LIMIT ")
            .bind(Arg::Int(i64::from(super::page_size(limit)) + 1));
        let rows = sql.all(&self.readers).await?;
        let page = super::page(&rows, limit, read_log, |(number, line)| {
            cursor::encode("logs", &[line.at.into(), Arg::Int(*number)])
        })?;
        Ok(Page {
            items: page.items.into_iter().map(|(_, line)| line).collect(),
            cursor: page.cursor,
        })
    }
}
