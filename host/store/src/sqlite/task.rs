//! Tasks as rows.

use super::SqliteStore;
use super::cursor;
use super::sql::{Arg, Columns, Sql};
use crate::StoreError;
use crate::task::{Page, Task, TaskChange, TaskQuery, TaskStore};
use mandate_types::{Digest, PrincipalName, TaskId, TaskStatus};
use sqlx::sqlite::SqliteRow;

/// In the order of [`row`].
pub(super) const COLUMNS: &str = "id, title, description, kind, target, priority, input, session, subject, tenant, \
    created_by, assigned_agents, status, waiting_for, progress, progress_message, result, output, summary, \
    quality_score, success_rate, cost_micro_usd, duration_seconds, metadata, error, created_at, updated_at, \
    completed_at, execution, attempts, retries_left, parent, root, depth, created_in, trigger_name, expires_at, \
    queued, continuation, simulated";

/// How many columns [`COLUMNS`] names.
pub(super) const WIDTH: usize = 40;

pub(super) fn row(task: &Task) -> Vec<Arg> {
    vec![
        Arg::text(&task.id),
        Arg::text(&task.title),
        Arg::text(&task.description),
        Arg::text(&task.kind),
        Arg::opt_text(task.target.as_ref()),
        Arg::Int(task.priority.into()),
        Arg::json(&task.input),
        Arg::opt_text(task.session.as_ref()),
        Arg::opt_text(task.subject.as_ref()),
        Arg::text(&task.tenant),
        Arg::text(&task.created_by),
        Arg::json(&task.assigned_agents),
        Arg::text(task.status.as_str()),
        Arg::opt_text(task.waiting_for.map(|w| w.as_str())),
        Arg::opt(task.progress, Arg::Real),
        Arg::opt_text(task.progress_message.as_ref()),
        Arg::opt(task.result.as_ref(), Arg::json),
        Arg::opt(task.output.as_ref(), Arg::json),
        Arg::opt_text(task.summary.as_ref()),
        Arg::opt(task.quality_score, Arg::Real),
        Arg::opt(task.success_rate, Arg::Real),
        task.cost_micro_usd.into(),
        Arg::opt(task.duration_seconds, Arg::Real),
        Arg::json(&task.metadata),
        Arg::opt(task.error.as_ref(), Arg::json),
        task.created_at.into(),
        task.updated_at.into(),
        Arg::opt(task.completed_at, Arg::from),
        Arg::opt_text(task.execution.as_ref()),
        Arg::Int(task.attempts.into()),
        Arg::Int(task.retries_left.into()),
        Arg::opt_text(task.parent.as_ref()),
        Arg::text(&task.root),
        Arg::Int(task.depth.into()),
        Arg::opt_text(task.created_in.as_ref()),
        Arg::opt_text(task.trigger.as_ref()),
        Arg::opt(task.expires_at, Arg::from),
        Arg::bool(task.queued),
        Arg::opt(task.continuation.as_ref(), Arg::json),
        Arg::bool(task.simulated),
    ]
}

/// One text for every change, so that it is prepared once; takes [`change_row`].
pub(super) const CHANGE: &str = "UPDATE tasks SET \
    status = coalesce(?1, status), queued = coalesce(?2, queued), \
    waiting_for = CASE WHEN ?3 THEN ?4 ELSE waiting_for END, \
    progress = coalesce(?5, progress), progress_message = coalesce(?6, progress_message), \
    result = CASE WHEN ?7 THEN ?8 ELSE result END, output = CASE WHEN ?9 THEN ?10 ELSE output END, \
    summary = CASE WHEN ?11 THEN ?12 ELSE summary END, \
    quality_score = CASE WHEN ?13 THEN ?14 ELSE quality_score END, \
    success_rate = coalesce(?15, success_rate), cost_micro_usd = cost_micro_usd + ?16, \
    duration_seconds = CASE WHEN ?17 THEN ?18 ELSE duration_seconds END, \
    error = CASE WHEN ?19 THEN ?20 ELSE error END, \
    completed_at = CASE WHEN ?21 THEN ?22 ELSE completed_at END, \
    execution = coalesce(?23, execution), attempts = coalesce(?24, attempts), \
    retries_left = coalesce(?25, retries_left), assigned_agents = coalesce(?26, assigned_agents), \
    expires_at = CASE WHEN ?27 THEN ?28 ELSE expires_at END, \
    continuation = CASE WHEN ?29 THEN ?30 ELSE continuation END, updated_at = ?31, simulated = coalesce(?34, simulated) \
    WHERE id = ?32 AND instr(?33, ',' || status || ',') > 0";

pub(super) fn change_row(id: &TaskId, from: &[TaskStatus], change: &TaskChange) -> Vec<Arg> {
    fn set<T>(field: Option<&Option<T>>, to: impl FnOnce(&T) -> Arg) -> [Arg; 2] {
        [
            Arg::bool(field.is_some()),
            Arg::opt(field.and_then(Option::as_ref), to),
        ]
    }
    let mut row = vec![
        Arg::opt_text(change.status.map(|s| s.as_str())),
        Arg::opt(change.queued, Arg::bool),
    ];
    row.extend(set(change.waiting_for.as_ref(), |w| Arg::text(w.as_str())));
    row.push(Arg::opt(change.progress, Arg::Real));
    row.push(Arg::opt_text(change.progress_message.as_ref()));
    row.extend(set(change.result.as_ref(), Arg::json));
    row.extend(set(change.output.as_ref(), Arg::json));
    row.extend(set(change.summary.as_ref(), |text| Arg::text(text)));
    row.extend(set(change.quality_score.as_ref(), |q| Arg::Real(*q)));
    row.push(Arg::opt(change.success_rate, Arg::Real));
    row.push(change.add_cost.into());
    row.extend(set(change.duration_seconds.as_ref(), |d| Arg::Real(*d)));
    row.extend(set(change.error.as_ref(), Arg::json));
    row.extend(set(change.completed_at.as_ref(), |t| Arg::from(*t)));
    row.push(Arg::opt_text(change.execution.as_ref()));
    row.push(Arg::opt(change.attempts, |n| Arg::Int(n.into())));
    row.push(Arg::opt(change.retries_left, |n| Arg::Int(n.into())));
    row.push(Arg::opt(change.assigned_agents.as_ref(), Arg::json));
    row.extend(set(change.expires_at.as_ref(), |t| Arg::from(*t)));
    row.extend(set(change.continuation.as_ref(), Arg::json));
    row.push(change.updated_at.into());
    row.push(Arg::text(id));
    let from = from
        .iter()
        .fold(",".to_owned(), |all, status| all + status.as_str() + ",");
    row.push(Arg::text(from));
    row.push(Arg::opt(change.simulated, Arg::bool));
    row
}

pub(super) fn read(row: &SqliteRow) -> Result<Task, StoreError> {
    Ok(Task {
        id: row.get_id("id")?,
        title: row.get_text("title")?,
        description: row.get_text("description")?,
        kind: row.get_text("kind")?,
        target: row.get_opt_text("target")?,
        priority: u8::try_from(row.get_int("priority")?)
            .map_err(|e| super::sql::corrupt("priority", e))?,
        input: row.get_value("input")?,
        session: row.get_opt_text("session")?,
        subject: row.get_opt_id("subject")?,
        tenant: row.get_id("tenant")?,
        created_by: row.get_id("created_by")?,
        assigned_agents: row.get_json("assigned_agents")?,
        status: row.get_id("status")?,
        waiting_for: row.get_opt_id("waiting_for")?,
        progress: row.get_opt_real("progress")?,
        progress_message: row.get_opt_text("progress_message")?,
        result: row.get_opt_json("result")?,
        output: row.get_opt_json("output")?,
        summary: row.get_opt_text("summary")?,
        quality_score: row.get_opt_real("quality_score")?,
        success_rate: row.get_opt_real("success_rate")?,
        cost_micro_usd: mandate_types::MicroUsd(row.get_int("cost_micro_usd")?),
        duration_seconds: row.get_opt_real("duration_seconds")?,
        metadata: row.get_value("metadata")?,
        error: row.get_opt_json("error")?,
        created_at: row.get_time("created_at")?,
        updated_at: row.get_time("updated_at")?,
        completed_at: row.get_opt_time("completed_at")?,
        execution: row.get_opt_id("execution")?,
        attempts: row.get_small("attempts")?,
        retries_left: row.get_small("retries_left")?,
        parent: row.get_opt_id("parent")?,
        root: row.get_id("root")?,
        depth: row.get_small("depth")?,
        created_in: row.get_opt_id("created_in")?,
        trigger: row.get_opt_text("trigger_name")?,
        simulated: row.get_bool("simulated")?,
        expires_at: row.get_opt_time("expires_at")?,
        queued: row.get_bool("queued")?,
        continuation: row.get_opt_json("continuation")?,
    })
}

const LISTING: &str = "tasks";

fn list(query: &TaskQuery) -> Result<Sql, StoreError> {
    let mut sql = Sql::new("SELECT * FROM tasks WHERE 1");
    if let Some(tenants) = &query.tenants {
        sql.push(" AND tenant IN ")
            .list(tenants.iter().map(Arg::text));
    }
    if !query.status.is_empty() {
        sql.push(" AND status IN ")
            .list(query.status.iter().map(|s| Arg::text(s.as_str())));
    }
    let mut equal = |column: &'static str, value: Option<&str>| {
        if let Some(value) = value {
            sql.clause(column, Arg::text(value));
        }
    };
    equal(" AND kind = ?", query.kind.as_deref());
    equal(
        " AND created_by = ?",
        query.created_by.as_ref().map(AsRef::as_ref),
    );
    equal(" AND session = ?", query.session.as_deref());
    equal(
        " AND subject = ?",
        query.subject.as_ref().map(AsRef::as_ref),
    );
    equal(" AND parent = ?", query.parent.as_ref().map(AsRef::as_ref));
    equal(
        " AND EXISTS (SELECT 1 FROM json_each(assigned_agents) WHERE value = ?)",
        query.agent.as_ref().map(AsRef::as_ref),
    );
    if let Some(root) = &query.root {
        // Two conditions, so that each finds its own index.
        sql.clause(" AND ((parent IS NOT NULL AND root = ?)", Arg::text(root));
        sql.clause(" OR id = ?)", Arg::text(root));
    }
    if let Some(after) = query.created_after {
        sql.clause(" AND created_at > ?", after.into());
    }
    if let Some(before) = query.created_before {
        sql.clause(" AND created_at < ?", before.into());
    }
    if let Some(text) = &query.cursor {
        let [at, id] = cursor::decode(LISTING, text)?;
        sql.clause(" AND (created_at, id) < (?", at)
            .clause(", ?)", id);
    }
    sql.push(" ORDER BY created_at DESC, id DESC LIMIT ")
        .bind(Arg::Int(i64::from(super::page_size(query.limit)) + 1));
    Ok(sql)
}

#[async_trait::async_trait]
impl TaskStore for SqliteStore {
    async fn task(&self, id: &TaskId) -> Result<Option<Task>, StoreError> {
        let ticket = match self.tasks.get(id) {
            Ok(task) => return Ok(Some(Task::clone(&task))),
            Err(ticket) => ticket,
        };
        let sql = Sql::with(
            "SELECT *, octet_length(input) + octet_length(metadata) + octet_length(description) \
             + coalesce(octet_length(continuation), 0) + coalesce(octet_length(result), 0) + coalesce(octet_length(output), 0) AS bytes \
             FROM tasks WHERE id = ?",
            vec![Arg::text(id)],
        );
        let Some(row) = sql.optional(&self.readers).await? else {
            return Ok(None);
        };
        let task = read(&row)?;
        if row.get_int("bytes")? <= super::cache::MAX_BYTES {
            self.tasks.keep(&ticket, &task);
        }
        Ok(Some(task))
    }

    async fn tasks(&self, query: &TaskQuery) -> Result<Page<Task>, StoreError> {
        let rows = list(query)?.all(&self.readers).await?;
        super::page(&rows, query.limit, read, |task| {
            cursor::encode(LISTING, &[task.created_at.into(), Arg::text(&task.id)])
        })
    }

    async fn unfinished(&self) -> Result<Vec<Task>, StoreError> {
        let sql = Sql::new(
            "SELECT * FROM tasks WHERE status IN ('pending', 'running') \
             AND (queued = 1 OR status = 'running') ORDER BY priority DESC, created_at, id",
        );
        sql.all(&self.readers).await?.iter().map(read).collect()
    }

    async fn idempotent(
        &self,
        principal: &PrincipalName,
        key: &str,
    ) -> Result<Option<(TaskId, Digest)>, StoreError> {
        let sql = Sql::with(
            "SELECT task, request FROM idempotency_keys WHERE principal = ? AND key = ?",
            vec![Arg::text(principal), Arg::text(key)],
        );
        sql.optional(&self.readers)
            .await?
            .map(|row| Ok((row.get_id("task")?, row.get_id("request")?)))
            .transpose()
    }

    async fn task_counts(&self) -> Result<Vec<(TaskStatus, u64)>, StoreError> {
        let sql = Sql::new("SELECT status, count(*) AS n FROM tasks GROUP BY status");
        let rows = sql.all(&self.readers).await?;
        rows.iter()
            .map(|row| Ok((row.get_id("status")?, row.get_count("n")?)))
            .collect()
    }
}
