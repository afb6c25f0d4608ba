//! Principals as rows.

use super::SqliteStore;
use super::sql::{Arg, Columns, Sql};
use crate::StoreError;
use crate::principal::{Principal, PrincipalStore};
use mandate_types::Digest;
use sqlx::sqlite::SqliteRow;

/// Takes [`row`].
pub(super) const PUT: &str = "INSERT INTO principals (name, role, tenants, token, created_at, expires_at) \
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET role = excluded.role, tenants = excluded.tenants, \
    token = excluded.token, expires_at = excluded.expires_at";

pub(super) fn row(principal: &Principal) -> Vec<Arg> {
    vec![
        Arg::text(&principal.name),
        Arg::text(principal.role.as_str()),
        Arg::json(&principal.tenants),
        Arg::text(&principal.token),
        principal.created_at.into(),
        Arg::opt(principal.expires_at, Arg::from),
    ]
}

fn read(row: &SqliteRow) -> Result<Principal, StoreError> {
    Ok(Principal {
        name: row.get_id("name")?,
        role: row.get_id("role")?,
        tenants: row.get_json("tenants")?,
        token: row.get_id("token")?,
        created_at: row.get_time("created_at")?,
        expires_at: row.get_opt_time("expires_at")?,
    })
}

#[async_trait::async_trait]
impl PrincipalStore for SqliteStore {
    async fn principals(&self) -> Result<Vec<Principal>, StoreError> {
        let sql = Sql::new("SELECT * FROM principals ORDER BY name");
        sql.all(&self.readers).await?.iter().map(read).collect()
    }

    async fn principal_by_token(&self, token: &Digest) -> Result<Option<Principal>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM principals WHERE token = ?",
            vec![Arg::text(token)],
        );
        sql.optional(&self.readers)
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }
}
