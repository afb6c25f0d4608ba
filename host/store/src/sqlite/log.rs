//! Lines of plugins' logs as rows.

use super::cursor;
use super::sql::{Arg, Columns, Sql, corrupt};
use crate::StoreError;
use crate::journal::{LogLevel, LogLine};
use crate::task::Page;
use mandate_types::{PluginName, Subject, TaskId, TenantId};
use sqlx::sqlite::{SqlitePool, SqliteRow};

pub(super) const COLUMNS: &str = "at, level, message, plugin, invocation, task, subject, tenant";

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

pub(super) fn row(line: &LogLine) -> Vec<Arg> {
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
fn read(row: &SqliteRow) -> Result<(i64, LogLine), StoreError> {
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

/// Of what lines are wanted.
pub(super) struct Of<'a> {
    pub(super) tenants: Option<&'a [TenantId]>,
    pub(super) plugin: Option<&'a PluginName>,
    pub(super) task: Option<&'a TaskId>,
    pub(super) subject: Option<&'a Subject>,
}

/// The newest lines first.
pub(super) async fn list(
    readers: &SqlitePool,
    of: Of<'_>,
    limit: u32,
    cursor: Option<&str>,
) -> Result<Page<LogLine>, StoreError> {
    let mut sql = Sql::new("SELECT * FROM logs WHERE 1");
    if let Some(tenants) = of.tenants {
        sql.push(" AND tenant IN ")
            .list(tenants.iter().map(Arg::text));
    }
    if let Some(plugin) = of.plugin {
        sql.clause(" AND plugin = ?", Arg::text(plugin));
    }
    if let Some(task) = of.task {
        sql.clause(" AND task = ?", Arg::text(task));
    }
    if let Some(subject) = of.subject {
        sql.clause(" AND subject = ?", Arg::text(subject));
    }
    if let Some(text) = cursor {
        let [at, number] = cursor::decode("logs", text)?;
        sql.clause(" AND (at, number) < (?", at)
            .clause(", ?)", number);
    }
    sql.push(" ORDER BY at DESC, number DESC LIMIT ")
        .bind(Arg::Int(i64::from(super::page_size(limit)) + 1));
    let rows = sql.all(readers).await?;
    let page = super::page(&rows, limit, read, |(number, line)| {
        cursor::encode("logs", &[line.at.into(), Arg::Int(*number)])
    })?;
    Ok(Page {
        items: page.items.into_iter().map(|(_, line)| line).collect(),
        cursor: page.cursor,
    })
}
