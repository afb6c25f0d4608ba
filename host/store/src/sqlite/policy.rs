//! Policies as rows.

use super::SqliteStore;
use super::sql::{Arg, Columns, Sql};
use crate::StoreError;
use crate::policy::{PolicyStore, PolicyVersion};
use mandate_types::{Actor, PrincipalName};
use sqlx::sqlite::SqliteRow;

/// Takes [`row`]; writes nothing unless the generation is the next.
pub(super) const PUT: &str = "INSERT INTO policies (generation, digest, text, source, put_by, put_at) \
    SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?1 = (SELECT coalesce(max(generation), 0) + 1 FROM policies)";

pub(super) fn row(policy: &PolicyVersion) -> Vec<Arg> {
    vec![
        Arg::count(policy.generation),
        Arg::text(&policy.digest),
        Arg::text(&policy.text),
        Arg::text(&policy.source),
        Arg::text(&policy.put_by),
        policy.put_at.into(),
    ]
}

fn read(row: &SqliteRow) -> Result<PolicyVersion, StoreError> {
    Ok(PolicyVersion {
        generation: row.get_count("generation")?,
        digest: row.get_id("digest")?,
        text: row.get_text("text")?,
        source: row.get_text("source")?,
        put_by: Actor::from(row.get_id::<PrincipalName>("put_by")?),
        put_at: row.get_time("put_at")?,
    })
}

#[async_trait::async_trait]
impl PolicyStore for SqliteStore {
    async fn policy(&self) -> Result<Option<PolicyVersion>, StoreError> {
        Ok(self.policies(None, 1).await?.pop())
    }

    async fn policies(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<PolicyVersion>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM policies WHERE generation < ? ORDER BY generation DESC LIMIT ?",
            vec![
                Arg::count(before.unwrap_or(i64::MAX as u64)),
                Arg::count(u64::from(limit)),
            ],
        );
        sql.all(&self.readers).await?.iter().map(read).collect()
    }
}
