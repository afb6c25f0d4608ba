//! Decisions and questions as rows.

use super::SqliteStore;
use super::cursor;
use super::sql::{Arg, Columns, Sql};
use crate::StoreError;
use crate::decision::{
    Decision, DecisionChange, DecisionQuery, DecisionStore, Question, QuestionQuery, Wait, WaitKey,
    Woken,
};
use crate::task::Page;
use mandate_types::{
    DecisionId, DecisionStatus, ExecutionId, InvocationId, MicroUsd, PrincipalName, QuestionId,
    Timestamp,
};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;

/// Takes [`row`].
pub(super) const CREATE: &str = "INSERT INTO decisions (id, status, tenant, task, execution, invocation, sequence, \
    idx, plugin, tool, target, cost, requested_at, expires_at, resolved_at, resolved_by, self_approved, comment, \
    child, ended_at, actual_cost, result, body) VALUES \
    (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

pub(super) fn row(decision: &Decision) -> Vec<Arg> {
    let request = &decision.request;
    vec![
        Arg::text(&decision.id),
        Arg::text(decision.status.as_str()),
        Arg::text(&request.tenant),
        Arg::opt_text(request.task.as_ref()),
        Arg::text(&request.execution),
        Arg::text(&request.invocation),
        Arg::count(request.sequence),
        Arg::Int(request.index.into()),
        Arg::opt_text(request.plugin.as_ref()),
        Arg::text(&request.tool),
        Arg::opt_text(request.target.as_ref()),
        Arg::opt(request.cost, Arg::from),
        decision.requested_at.into(),
        Arg::opt(decision.expires_at, Arg::from),
        Arg::opt(decision.resolved_at, Arg::from),
        Arg::opt_text(decision.resolved_by.as_ref()),
        Arg::bool(decision.self_approved),
        Arg::opt_text(decision.comment.as_ref()),
        Arg::opt_text(decision.child.as_ref()),
        Arg::opt(decision.ended_at, Arg::from),
        Arg::opt(decision.actual_cost, Arg::from),
        Arg::opt(decision.result.as_ref(), Arg::json),
        Arg::json(request),
    ]
}

/// One text for every change; takes [`change_row`].
pub(super) const CHANGE: &str = "UPDATE decisions SET status = coalesce(?1, status), \
    resolved_at = coalesce(?2, resolved_at), resolved_by = coalesce(?3, resolved_by), \
    self_approved = coalesce(?4, self_approved), comment = coalesce(?5, comment), \
    expires_at = coalesce(?6, expires_at), child = coalesce(?7, child), ended_at = coalesce(?8, ended_at), \
    actual_cost = coalesce(?9, actual_cost), result = coalesce(?10, result) \
    WHERE id = ?11 AND instr(?12, ',' || status || ',') > 0 \
    AND (?13 IS NULL OR expires_at IS NULL OR expires_at > ?13)";

pub(super) fn change_row(
    id: &DecisionId,
    from: &[DecisionStatus],
    live_at: Option<Timestamp>,
    change: &DecisionChange,
) -> Vec<Arg> {
    let from = from
        .iter()
        .fold(",".to_owned(), |all, status| all + status.as_str() + ",");
    vec![
        Arg::opt_text(change.status.map(|s| s.as_str())),
        Arg::opt(change.resolved_at, Arg::from),
        Arg::opt_text(change.resolved_by.as_ref()),
        Arg::opt(change.self_approved, Arg::bool),
        Arg::opt_text(change.comment.as_ref()),
        Arg::opt(change.expires_at, Arg::from),
        Arg::opt_text(change.child.as_ref()),
        Arg::opt(change.ended_at, Arg::from),
        Arg::opt(change.actual_cost, Arg::from),
        Arg::opt(change.result.as_ref(), Arg::json),
        Arg::text(id),
        Arg::text(from),
        Arg::opt(live_at, Arg::from),
    ]
}

pub(super) fn read(row: &SqliteRow) -> Result<Decision, StoreError> {
    Ok(Decision {
        id: row.get_id("id")?,
        status: row.get_id("status")?,
        request: row.get_json("body")?,
        requested_at: row.get_time("requested_at")?,
        expires_at: row.get_opt_time("expires_at")?,
        resolved_at: row.get_opt_time("resolved_at")?,
        resolved_by: row.get_opt_id("resolved_by")?,
        self_approved: row.get_bool("self_approved")?,
        comment: row.get_opt_text("comment")?,
        child: row.get_opt_id("child")?,
        ended_at: row.get_opt_time("ended_at")?,
        actual_cost: row.get_opt_int("actual_cost")?.map(MicroUsd),
        result: row.get_opt_json("result")?,
    })
}

/// Takes [`question_row`].
pub(super) const ASK: &str = "INSERT INTO questions (id, kind, status, tenant, task, subject, execution, invocation, \
    sequence, idx, plugin, text, schema, asked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

pub(super) fn question_row(question: &Question) -> Vec<Arg> {
    vec![
        Arg::text(&question.id),
        Arg::text(question.kind.as_str()),
        Arg::text(question.status.as_str()),
        Arg::text(&question.tenant),
        Arg::opt_text(question.task.as_ref()),
        Arg::opt_text(question.subject.as_ref()),
        Arg::text(&question.execution),
        Arg::text(&question.invocation),
        Arg::count(question.sequence),
        Arg::Int(question.index.into()),
        Arg::text(&question.plugin),
        Arg::text(&question.text),
        Arg::json(&question.schema),
        question.asked_at.into(),
    ]
}

/// Takes [`answer_row`]; changes nothing unless it is open.
pub(super) const ANSWER: &str = "UPDATE questions SET status = 'answered', answer = ?2, answered_by = ?3, \
    answered_at = ?4 WHERE id = ?1 AND status = 'open'";

/// Takes the id; changes nothing unless it is answered, and nobody acted on that.
pub(super) const ACT: &str =
    "UPDATE questions SET status = 'acted' WHERE id = ? AND status = 'answered'";

pub(super) fn answer_row(
    id: &QuestionId,
    answer: &Value,
    by: &PrincipalName,
    at: Timestamp,
) -> Vec<Arg> {
    vec![Arg::text(id), Arg::json(answer), Arg::text(by), at.into()]
}

fn read_question(row: &SqliteRow) -> Result<Question, StoreError> {
    Ok(Question {
        id: row.get_id("id")?,
        kind: row.get_id("kind")?,
        status: row.get_id("status")?,
        tenant: row.get_id("tenant")?,
        task: row.get_opt_id("task")?,
        subject: row.get_opt_id("subject")?,
        execution: row.get_id("execution")?,
        invocation: row.get_id("invocation")?,
        sequence: row.get_count("sequence")?,
        index: row.get_small("idx")?,
        plugin: row.get_id("plugin")?,
        text: row.get_text("text")?,
        schema: row.get_value("schema")?,
        asked_at: row.get_time("asked_at")?,
        answer: row.get_opt_json("answer")?,
        answered_by: row.get_opt_id("answered_by")?,
        answered_at: row.get_opt_time("answered_at")?,
    })
}

const DECISIONS: &str = "decisions";
const QUESTIONS: &str = "questions";

fn list(query: &DecisionQuery) -> Result<Sql, StoreError> {
    let mut sql = Sql::new("SELECT * FROM decisions WHERE 1");
    if let Some(tenants) = &query.tenants {
        sql.push(" AND tenant IN ")
            .list(tenants.iter().map(Arg::text));
    }
    if !query.status.is_empty() {
        sql.push(" AND status IN ")
            .list(query.status.iter().map(|s| Arg::text(s.as_str())));
    }
    let equal: [(&str, Option<&str>); 5] = [
        (" AND task = ?", query.task.as_ref().map(AsRef::as_ref)),
        (
            " AND execution = ?",
            query.execution.as_ref().map(AsRef::as_ref),
        ),
        (" AND plugin = ?", query.plugin.as_ref().map(AsRef::as_ref)),
        (" AND tool = ?", query.tool.as_deref()),
        (" AND target = ?", query.target.as_deref()),
    ];
    for (clause, value) in equal {
        if let Some(value) = value {
            sql.clause(clause, Arg::text(value));
        }
    }
    if let Some(after) = query.after {
        sql.clause(" AND requested_at >= ?", after.into());
    }
    if let Some(before) = query.before {
        sql.clause(" AND requested_at < ?", before.into());
    }
    if let Some(text) = &query.cursor {
        let [at, id] = cursor::decode(DECISIONS, text)?;
        sql.clause(" AND (requested_at, id) < (?", at)
            .clause(", ?)", id);
    }
    sql.push(" ORDER BY requested_at DESC, id DESC LIMIT ")
        .bind(Arg::Int(i64::from(super::page_size(query.limit)) + 1));
    Ok(sql)
}

fn list_questions(query: &QuestionQuery) -> Result<Sql, StoreError> {
    let mut sql = Sql::new("SELECT * FROM questions WHERE 1");
    if let Some(tenants) = &query.tenants {
        sql.push(" AND tenant IN ")
            .list(tenants.iter().map(Arg::text));
    }
    if let Some(status) = query.status {
        sql.clause(" AND status = ?", Arg::text(status.as_str()));
    }
    if let Some(task) = &query.task {
        sql.clause(" AND task = ?", Arg::text(task));
    }
    if let Some(execution) = &query.execution {
        sql.clause(" AND execution = ?", Arg::text(execution));
    }
    if let Some(text) = &query.cursor {
        let [at, id] = cursor::decode(QUESTIONS, text)?;
        sql.clause(" AND (asked_at, id) < (?", at)
            .clause(", ?)", id);
    }
    sql.push(" ORDER BY asked_at DESC, id DESC LIMIT ")
        .bind(Arg::Int(i64::from(super::page_size(query.limit)) + 1));
    Ok(sql)
}

fn step_args(invocation: &InvocationId, sequence: u64, index: u32) -> Vec<Arg> {
    vec![
        Arg::text(invocation),
        Arg::count(sequence),
        Arg::Int(index.into()),
    ]
}

#[async_trait::async_trait]
impl DecisionStore for SqliteStore {
    async fn decision(&self, id: &DecisionId) -> Result<Option<Decision>, StoreError> {
        let sql = Sql::with("SELECT * FROM decisions WHERE id = ?", vec![Arg::text(id)]);
        let found = sql.optional(&self.readers).await?;
        found.as_ref().map(read).transpose()
    }

    async fn decision_of(
        &self,
        invocation: &InvocationId,
        sequence: u64,
        index: u32,
    ) -> Result<Option<Decision>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM decisions WHERE invocation = ? AND sequence = ? AND idx = ? \
             ORDER BY requested_at DESC, id DESC LIMIT 1",
            step_args(invocation, sequence, index),
        );
        let found = sql.optional(&self.readers).await?;
        found.as_ref().map(read).transpose()
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Page<Decision>, StoreError> {
        let rows = list(query)?.all(&self.readers).await?;
        super::page(&rows, query.limit, read, |decision| {
            cursor::encode(
                DECISIONS,
                &[decision.requested_at.into(), Arg::text(&decision.id)],
            )
        })
    }

    async fn expired(&self, now: Timestamp, limit: u32) -> Result<Vec<Decision>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM decisions WHERE status IN ('pending', 'approved') AND expires_at <= ? \
             ORDER BY expires_at LIMIT ?",
            vec![now.into(), Arg::Int(limit.into())],
        );
        sql.all(&self.readers).await?.iter().map(read).collect()
    }

    async fn question(&self, id: &QuestionId) -> Result<Option<Question>, StoreError> {
        let sql = Sql::with("SELECT * FROM questions WHERE id = ?", vec![Arg::text(id)]);
        let found = sql.optional(&self.readers).await?;
        found.as_ref().map(read_question).transpose()
    }

    async fn question_of(
        &self,
        invocation: &InvocationId,
        sequence: u64,
        index: u32,
    ) -> Result<Option<Question>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM questions WHERE invocation = ? AND sequence = ? AND idx = ? \
             ORDER BY asked_at DESC, id DESC LIMIT 1",
            step_args(invocation, sequence, index),
        );
        let found = sql.optional(&self.readers).await?;
        found.as_ref().map(read_question).transpose()
    }

    async fn questions(&self, query: &QuestionQuery) -> Result<Page<Question>, StoreError> {
        let rows = list_questions(query)?.all(&self.readers).await?;
        super::page(&rows, query.limit, read_question, |question| {
            cursor::encode(
                QUESTIONS,
                &[question.asked_at.into(), Arg::text(&question.id)],
            )
        })
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<(WaitKey, Woken)>, StoreError> {
        let sql = Sql::with(
            "SELECT key, execution, task FROM waits WHERE wake_at <= ? ORDER BY wake_at LIMIT ?",
            vec![now.into(), Arg::Int(limit.into())],
        );
        let rows = sql.all(&self.readers).await?;
        rows.iter()
            .map(|row| Ok((row.get_id("key")?, super::waits::woken(row)?)))
            .collect()
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = Sql::new(
            "SELECT min(at) AS at FROM (SELECT min(wake_at) AS at FROM waits WHERE wake_at IS NOT NULL \
             UNION ALL SELECT min(expires_at) FROM decisions WHERE status IN ('pending', 'approved'))",
        );
        let row = sql.optional(&self.readers).await?;
        row.map(|row| row.get_opt_time("at"))
            .transpose()
            .map(Option::flatten)
    }

    async fn unfinished_calls(&self) -> Result<Vec<ExecutionId>, StoreError> {
        let sql = Sql::new(
            "SELECT DISTINCT e.id FROM executions e JOIN decisions d ON d.execution = e.id \
             LEFT JOIN invocations i ON i.id = e.root \
             WHERE e.task IS NULL AND d.status IN ('pending', 'approved', 'executing') AND i.ended_at IS NULL \
             AND NOT EXISTS (SELECT 1 FROM waits w WHERE w.execution = e.id)",
        );
        let rows = sql.all(&self.readers).await?;
        rows.iter().map(|row| row.get_id("id")).collect()
    }

    async fn waits(&self, execution: &ExecutionId) -> Result<Vec<Wait>, StoreError> {
        let sql = Sql::with(
            "SELECT key, wake_at FROM waits WHERE execution = ? ORDER BY key",
            vec![Arg::text(execution)],
        );
        let rows = sql.all(&self.readers).await?;
        let waits = rows.iter().map(|row| {
            Ok(Wait {
                key: row.get_id("key")?,
                wake_at: row.get_opt_time("wake_at")?,
            })
        });
        waits.collect()
    }

    async fn parked(&self) -> Result<u64, StoreError> {
        let sql = Sql::new("SELECT count(DISTINCT execution) AS n FROM waits");
        let row = sql.optional(&self.readers).await?;
        row.map_or(Ok(0), |row| row.get_count("n"))
    }
}
