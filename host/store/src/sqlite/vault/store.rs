//! Making keys before they are needed, and destroying them once that is on record.

use super::keys::Keys;
use super::seal::{Sealer, tenants};
use super::{Listed, Ring, Vault, file};
use crate::StoreError;
use crate::commit::{Lease, Write};
use crate::sqlite::SqliteStore;
use crate::sqlite::op::Op;
use crate::sqlite::sql::{Arg, Columns as _};
use crate::{CommitError, Committed};
use mandate_types::{TenantId, Timestamp};
use sqlx::sqlite::SqliteRow;
use std::collections::HashMap;
use std::sync::Arc;

pub(in crate::sqlite) const PUT: &str =
    "INSERT INTO tenant_keys (tenant, generation, id, made_at) VALUES (?, ?, ?, ?)";

pub(in crate::sqlite) const ERASE: &str =
    "UPDATE tenant_keys SET erased_at = ? WHERE tenant = ? AND erased_at IS NULL";

pub(in crate::sqlite) const LIST: &str =
    "SELECT tenant, generation, id, erased_at FROM tenant_keys ORDER BY tenant, generation";

/// Rows of [`LIST`], by tenant.
pub(in crate::sqlite) fn listed(
    rows: &[SqliteRow],
) -> Result<HashMap<TenantId, Vec<Listed>>, StoreError> {
    let mut all: HashMap<TenantId, Vec<Listed>> = HashMap::new();
    for row in rows {
        let key = Listed {
            generation: row.get_small("generation")?,
            id: row.get_text("id")?,
            erased: row.get_opt_int("erased_at")?.is_some(),
        };
        all.entry(row.get_id("tenant")?).or_default().push(key);
    }
    Ok(all)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let lost = |error: tokio::task::JoinError| StoreError::Unavailable(error.to_string());
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}

impl SqliteStore {
    /// Has the keys at hand that `writes` need; of a tenant that never had one, it is made first.
    pub(in crate::sqlite) async fn sealer(&self, writes: &[Write]) -> Result<Sealer, CommitError> {
        let mut keys = Vec::new();
        for tenant in tenants(writes) {
            let found = match self.vault.live(tenant) {
                Some(live) => live,
                None => self.key(tenant).await?,
            };
            keys.push((tenant.clone(), found));
        }
        Ok(Sealer::new(keys))
    }

    async fn key(&self, tenant: &TenantId) -> Result<Arc<Keys>, CommitError> {
        let _changing = self.vault.changing.lock().await;
        let ring = self.vault.ring(tenant);
        let mut listed = Vec::new();
        if let Some(ring) = ring {
            match &ring.live {
                Some(Ok(live)) => return Ok(Arc::clone(live)),
                Some(Err(_)) => return Ok(self.vault.again(tenant, &ring)?),
                None => listed = ring.listed.clone(),
            }
        }
        let generation = listed.iter().map(|key| key.generation).max();
        let generation = generation.unwrap_or(0).saturating_add(1);
        let path = file::path(&self.vault.dir, tenant);
        let (whose, erased) = (tenant.clone(), listed.clone());
        let made = blocking(move || {
            if let Some(root) = file::read(&path)? {
                // Made for a commit that never happened, unless it is one that was to be destroyed.
                let keys = Keys::new(&whose, generation, &root)?;
                if erased.iter().all(|key| key.id != keys.id) {
                    return Ok(keys);
                }
                file::destroy(&path)?;
            }
            Keys::new(&whose, generation, &file::make(&path)?)
        });
        let made = Arc::new(made.await?);
        let row = vec![
            Arg::text(tenant),
            Arg::Int(generation.into()),
            Arg::text(&made.id),
            Timestamp::now().into(),
        ];
        self.hand_over(None, vec![Op::PutKey(row)]).await?;
        listed.push(Listed {
            generation,
            id: made.id.clone(),
            erased: false,
        });
        self.vault.set(
            tenant,
            Ring {
                path: file::path(&self.vault.dir, tenant),
                listed,
                live: Some(Ok(Arc::clone(&made))),
            },
        );
        Ok(made)
    }

    /// Commits `ops`, which say that the journals of `tenants` are erased, and destroys their keys.
    pub(in crate::sqlite) async fn erase(
        &self,
        tenants: Vec<TenantId>,
        lease: Option<&Lease>,
        ops: Vec<Op>,
    ) -> Result<Committed, CommitError> {
        let _changing = self.vault.changing.lock().await;
        let committed = self.hand_over(lease, ops).await?;
        for tenant in tenants {
            self.vault.destroy(&tenant).await?;
        }
        Ok(committed)
    }
}

impl Vault {
    async fn destroy(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let path = file::path(&self.dir, tenant);
        if let Some(ring) = self.ring(tenant) {
            let mut listed = ring.listed.clone();
            for key in &mut listed {
                key.erased = true;
            }
            let path = path.clone();
            // What is in memory goes first: from here on nothing is read or written under it.
            self.set(
                tenant,
                Ring {
                    path,
                    listed,
                    live: None,
                },
            );
        }
        blocking(move || file::destroy(&path)).await
    }
}
