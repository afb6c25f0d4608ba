//! Halts as rows.

use super::SqliteStore;
use super::sql::{self, Arg, Columns, Sql};
use super::task;
use crate::halt::HaltStore;
use crate::{StoreError, Task};
use mandate_policy::Halts;
use mandate_types::Halt;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

/// Takes [`row`].
pub(super) const PUT: &str =
    "INSERT INTO halts (scope, reason, halted_by, halted_at) VALUES (?, ?, ?, ?)";
/// Takes a scope.
pub(super) const REMOVE: &str = "DELETE FROM halts WHERE scope = ?";
const ALL: &str = "SELECT * FROM halts ORDER BY scope";

pub(super) fn row(halt: &Halt) -> Vec<Arg> {
    vec![
        Arg::text(halt.scope.to_string()),
        Arg::text(&halt.reason),
        Arg::text(&halt.by),
        halt.at.into(),
    ]
}

fn read(row: &SqliteRow) -> Result<Halt, StoreError> {
    Ok(Halt {
        scope: row.get_id("scope")?,
        reason: row.get_text("reason")?,
        by: row.get_id("halted_by")?,
        at: row.get_time("halted_at")?,
    })
}

/// What is halted, for the writer.
pub(super) async fn load(conn: &mut SqliteConnection) -> Result<Halts, StoreError> {
    let rows = sql::rows(conn, ALL, &[]).await.map_err(sql::store_error)?;
    rows.iter().map(read).collect()
}

#[async_trait::async_trait]
impl HaltStore for SqliteStore {
    async fn halts(&self) -> Result<Vec<Halt>, StoreError> {
        Sql::new(ALL)
            .all(&self.readers)
            .await?
            .iter()
            .map(read)
            .collect()
    }

    async fn halted_tasks(&self) -> Result<Vec<Task>, StoreError> {
        let sql = Sql::new(
            "SELECT * FROM tasks WHERE waiting_for = 'halt' AND status = 'waiting' \
             ORDER BY created_at, id",
        );
        sql.all(&self.readers)
            .await?
            .iter()
            .map(task::read)
            .collect()
    }
}
