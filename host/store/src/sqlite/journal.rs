//! Executions, invocations and steps as rows.

use super::SqliteStore;
use super::sql::{Arg, Columns, Sql, corrupt};
use super::vault::{Opened, Place, Sealer, Vault};
use super::{cursor, log};
use crate::StoreError;
use crate::journal::{Ending, Execution, Invocation, JournalStore, LogLine, Step, StepAnswer};
use crate::task::Page;
use mandate_types::{
    Digest, ExecutionId, InvocationId, MicroUsd, PluginName, Subject, TaskId, TenantId,
};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;

const INPUT: &str = "invocations.input";
const SEED: &str = "invocations.seed";
const RESULT: &str = "invocations.result";
const ERROR: &str = "invocations.error";
const ARGUMENTS: &str = "steps.arguments";
const ANSWER: &str = "steps.answer";

/// A column that finds what is kept apart of `$column`, for [`Vault::read`].
macro_rules! apart {
    ($table:literal, $column:literal) => {
        concat!(
            ", CASE substr(",
            $table,
            ".",
            $column,
            ", 1, 1) WHEN x'02' THEN (SELECT c.bytes FROM contents c \
             WHERE c.tenant = ",
            $table,
            ".tenant AND c.digest = substr(",
            $table,
            ".",
            $column,
            ", 30, 32)) \
             END AS ",
            $column,
            "_apart"
        )
    };
}

const INVOCATIONS: &str = concat!(
    "SELECT invocations.*",
    apart!("invocations", "input"),
    apart!("invocations", "result"),
    " FROM invocations",
);

const STEPS: &str = concat!(
    "SELECT steps.*",
    apart!("steps", "arguments"),
    apart!("steps", "answer"),
    " FROM steps",
);

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

pub(super) fn invocation_row(
    invocation: &Invocation,
    sealer: &mut Sealer,
) -> Result<Vec<Arg>, StoreError> {
    let tenant = &invocation.tenant;
    let place = |column| Place::of_invocation(column, &invocation.id);
    let input = sealer.json(tenant, &place(INPUT), &invocation.input)?;
    let seed = sealer.bytes(tenant, &place(SEED), &invocation.seed)?;
    let result = sealer.opt_json(tenant, &place(RESULT), invocation.result.as_ref())?;
    let error = sealer.failure(tenant, &place(ERROR), invocation.error.as_ref())?;
    Ok(vec![
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
        input,
        Arg::text(&invocation.tenant),
        Arg::text(&invocation.principal),
        Arg::opt_text(invocation.subject.as_ref()),
        Arg::count(invocation.grant_generation),
        Arg::json(&invocation.limits),
        seed,
        Arg::text(invocation.status.as_str()),
        result,
        error,
        invocation.started_at.into(),
        Arg::opt(invocation.ended_at, Arg::from),
        Arg::count(invocation.steps),
        Arg::count(invocation.peak_memory_bytes),
        invocation.cost_micro_usd.into(),
    ])
}

fn read_invocation(row: &SqliteRow, vault: &Vault) -> Result<Invocation, StoreError> {
    let (id, tenant) = (row.get_id("id")?, row.get_id("tenant")?);
    let opened = |column| vault.read(row, &tenant, &Place::of_invocation(column, &id));
    let mut erased = false;
    let input = opened(INPUT)?.json(INPUT, &mut erased)?;
    let result = opened(RESULT)?.json(RESULT, &mut erased)?;
    let error = opened(ERROR)?.json(ERROR, &mut erased)?;
    let seed = match opened(SEED)? {
        Opened::Value(seed, _) => seed.into_owned(),
        Opened::Nothing | Opened::Erased => Vec::new(),
    };
    Ok(Invocation {
        id,
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
        input: input.unwrap_or_default(),
        tenant,
        principal: row.get_id("principal")?,
        subject: row.get_opt_id("subject")?,
        grant_generation: row.get_count("grant_generation")?,
        limits: row.get_json("limits")?,
        seed,
        status: row.get_id("status")?,
        result,
        error,
        started_at: row.get_time("started_at")?,
        ended_at: row.get_opt_time("ended_at")?,
        steps: row.get_count("steps")?,
        peak_memory_bytes: row.get_count("peak_memory_bytes")?,
        cost_micro_usd: MicroUsd(row.get_int("cost_micro_usd")?),
        erased,
    })
}

/// Takes [`ending_row`].
pub(super) const END_INVOCATION: &str = "UPDATE invocations SET status = ?, result = ?, error = ?, ended_at = ?, \
    steps = ?, peak_memory_bytes = ?, cost_micro_usd = ? WHERE id = ? AND tenant = ?";

pub(super) fn ending_row(
    id: &InvocationId,
    ending: &Ending,
    sealer: &mut Sealer,
) -> Result<Vec<Arg>, StoreError> {
    let tenant = &ending.tenant;
    let place = |column| Place::of_invocation(column, id);
    Ok(vec![
        Arg::text(ending.status.as_str()),
        sealer.opt_json(tenant, &place(RESULT), ending.result.as_ref())?,
        sealer.failure(tenant, &place(ERROR), ending.error.as_ref())?,
        ending.ended_at.into(),
        Arg::count(ending.steps),
        Arg::count(ending.peak_memory_bytes),
        ending.cost_micro_usd.into(),
        Arg::text(id),
        Arg::text(tenant),
    ])
}

pub(super) const STEP_COLUMNS: &str = "tenant, invocation, sequence, idx, interface, function, arguments, \
    arguments_digest, effects, state, answer, refused, child, cost_micro_usd, at, answered_at, active_us";

/// The tenant must be that of the invocation, which also refuses steps of invocations that are not there.
pub(super) const STEP_TUPLE: &str = "((SELECT tenant FROM invocations WHERE id = ? AND tenant = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

pub(super) fn step_row(step: &Step, sealer: &mut Sealer) -> Result<Vec<Arg>, StoreError> {
    let invocation = Arg::text(&step.invocation);
    let place = |column| Place::of_step(column, &step.invocation, step.sequence, step.index);
    let tenant = &step.tenant;
    Ok(vec![
        invocation.clone(),
        Arg::text(tenant),
        invocation,
        Arg::count(step.sequence),
        Arg::Int(step.index.into()),
        Arg::text(&step.interface),
        Arg::text(&step.function),
        sealer.json(tenant, &place(ARGUMENTS), &step.arguments)?,
        // It would say what arguments were that can be guessed; reading computes it.
        Arg::text(""),
        Arg::text(step.effects.as_str()),
        Arg::text(step.state.as_str()),
        sealer.opt_json(tenant, &place(ANSWER), step.answer.as_ref())?,
        Arg::bool(step.refused),
        Arg::opt_text(step.child.as_ref()),
        step.cost_micro_usd.into(),
        step.at.into(),
        Arg::opt(step.answered_at, Arg::from),
        Arg::opt(step.active_us, Arg::count),
    ])
}

/// Takes [`answer_row`].
pub(super) const ANSWER_STEP: &str = "UPDATE steps SET state = 'answered', answer = ?, refused = ?, \
    cost_micro_usd = ?, answered_at = ?, active_us = coalesce(?, active_us) WHERE invocation = ? AND sequence = ? AND idx = ? AND tenant = ? \
    AND state = 'intended'";

/// As [`ANSWER_STEP`], for the rows of `tuples`, which each take [`answer_row`].
pub(super) fn answer_steps(tuples: &str) -> String {
    format!(
        "UPDATE steps SET state = 'answered', answer = a.column1, refused = a.column2, cost_micro_usd = a.column3, \
         answered_at = a.column4, active_us = coalesce(a.column5, steps.active_us) FROM (VALUES {tuples}) AS a \
         WHERE steps.invocation = a.column6 AND steps.sequence = a.column7 AND steps.idx = a.column8 \
         AND steps.tenant = a.column9 AND steps.state = 'intended'"
    )
}

pub(super) fn answer_row(answer: &StepAnswer, sealer: &mut Sealer) -> Result<Vec<Arg>, StoreError> {
    let place = Place::of_step(ANSWER, &answer.invocation, answer.sequence, answer.index);
    Ok(vec![
        sealer.json(&answer.tenant, &place, &answer.answer)?,
        Arg::bool(answer.refused),
        answer.cost_micro_usd.into(),
        answer.answered_at.into(),
        Arg::opt(answer.active_us, Arg::count),
        Arg::text(&answer.invocation),
        Arg::count(answer.sequence),
        Arg::Int(answer.index.into()),
        Arg::text(&answer.tenant),
    ])
}

fn read_step(row: &SqliteRow, vault: &Vault) -> Result<Step, StoreError> {
    let (invocation, tenant) = (row.get_id("invocation")?, row.get_id("tenant")?);
    let (sequence, index) = (row.get_count("sequence")?, row.get_small("idx")?);
    let place = |column| Place::of_step(column, &invocation, sequence, index);
    let mut erased = false;
    let asked = vault.read(row, &tenant, &place(ARGUMENTS))?;
    let arguments: Option<Value> = asked.json(ARGUMENTS, &mut erased)?;
    let arguments_digest = match &asked {
        Opened::Value(text, true) => Digest::of(text),
        Opened::Value(_, false) => row.get_id("arguments_digest")?,
        Opened::Nothing | Opened::Erased => Digest::of(&[]),
    };
    let answered = vault.read(row, &tenant, &place(ANSWER))?;
    let answer = answered.json(ANSWER, &mut erased)?;
    Ok(Step {
        invocation,
        sequence,
        index,
        tenant,
        interface: row.get_text("interface")?,
        function: row.get_text("function")?,
        arguments: arguments.unwrap_or_default(),
        arguments_digest,
        effects: row.get_id("effects")?,
        state: row.get_id("state")?,
        answer,
        refused: row.get_bool("refused")?,
        child: row.get_opt_id("child")?,
        cost_micro_usd: MicroUsd(row.get_int("cost_micro_usd")?),
        at: row.get_time("at")?,
        answered_at: row.get_opt_time("answered_at")?,
        active_us: row
            .get_opt_int("active_us")?
            .map(|n| u64::try_from(n).map_err(|e| corrupt("active_us", e)))
            .transpose()?,
        erased,
    })
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
        let sql = Sql::with(&format!("{INVOCATIONS} WHERE id = ?"), vec![Arg::text(id)]);
        let Some(row) = sql.optional(&self.readers).await? else {
            return Ok(None);
        };
        let invocation = read_invocation(&row, &self.vault)?;
        if invocation.erased {
            return Err(StoreError::Erased(invocation.tenant));
        }
        Ok(Some(invocation))
    }

    async fn invocations(&self, execution: &ExecutionId) -> Result<Vec<Invocation>, StoreError> {
        let sql = Sql::with(
            &format!("{INVOCATIONS} WHERE execution = ? ORDER BY started_at, depth, rowid"),
            vec![Arg::text(execution)],
        );
        sql.all(&self.readers)
            .await?
            .iter()
            .map(|row| read_invocation(row, &self.vault))
            .collect()
    }

    async fn steps(&self, invocation: &InvocationId) -> Result<Vec<Step>, StoreError> {
        let sql = Sql::with(
            &format!("{STEPS} WHERE invocation = ? ORDER BY sequence, idx"),
            vec![Arg::text(invocation)],
        );
        let whole = |row: &SqliteRow| match read_step(row, &self.vault)? {
            step if step.erased => Err(StoreError::Erased(step.tenant)),
            step => Ok(step),
        };
        sql.each(&self.readers, whole).await
    }

    async fn execution_steps(
        &self,
        execution: &ExecutionId,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Step>, StoreError> {
        let listing = format!("steps {execution}");
        let mut sql = Sql::with(
            &format!(
                "{STEPS} JOIN invocations ON steps.invocation = invocations.id WHERE invocations.execution = ?"
            ),
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
        super::page(
            &rows,
            limit,
            |row| read_step(row, &self.vault),
            |step| {
                cursor::encode(
                    &listing,
                    &[
                        step.at.into(),
                        Arg::text(&step.invocation),
                        Arg::count(step.sequence),
                        Arg::Int(step.index.into()),
                    ],
                )
            },
        )
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
        let of = log::Of {
            tenants,
            plugin,
            task,
            subject,
        };
        log::list(&self.readers, of, limit, cursor).await
    }
}
