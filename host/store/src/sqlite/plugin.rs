//! Packages, installations and triggers as rows.

use super::SqliteStore;
use super::sql::{Arg, Columns, Sql, corrupt};
use crate::StoreError;
use crate::plugin::{Installation, InstallationStatus, Package, PluginStore, TriggerState};
use mandate_types::{Digest, PluginName};
use sqlx::sqlite::SqliteRow;

/// Takes [`package_row`].
pub(super) const PUT_PACKAGE: &str =
    "INSERT INTO packages (digest, bytes, stored_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";

pub(super) fn package_row(package: &Package) -> Vec<Arg> {
    vec![
        Arg::text(&package.digest),
        Arg::Blob(package.bytes.as_slice().into()),
        package.stored_at.into(),
    ]
}

const fn status(status: InstallationStatus) -> &'static str {
    match status {
        InstallationStatus::Active => "active",
        InstallationStatus::Quarantined => "quarantined",
    }
}

/// Takes [`installation_row`]. Changes nothing unless the generation is the next one, 1 for a new name.
pub(super) const PUT_INSTALLATION: &str = "INSERT INTO installations (name, digest, previous, settings, granted, \
    grant_generation, status, installed_at, updated_at, updated_by) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 \
    WHERE ?6 = 1 OR EXISTS (SELECT 1 FROM installations WHERE name = ?1) \
    ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, previous = excluded.previous, \
    settings = excluded.settings, granted = excluded.granted, grant_generation = excluded.grant_generation, \
    status = excluded.status, updated_at = excluded.updated_at, updated_by = excluded.updated_by \
    WHERE installations.grant_generation = excluded.grant_generation - 1";

pub(super) fn installation_row(installation: &Installation) -> Vec<Arg> {
    vec![
        Arg::text(&installation.name),
        Arg::text(&installation.digest),
        Arg::opt_text(installation.previous.as_ref()),
        Arg::json(&installation.settings),
        Arg::json(&installation.grant),
        Arg::count(installation.grant.generation),
        Arg::text(status(installation.status)),
        installation.installed_at.into(),
        installation.updated_at.into(),
        Arg::text(&installation.updated_by),
    ]
}

/// Takes [`former_row`].
pub(super) const PUT_FORMER: &str = "INSERT INTO former_installations (name, installation) VALUES (?, ?) \
    ON CONFLICT (name) DO UPDATE SET installation = excluded.installation";

pub(super) fn former_row(installation: &Installation) -> Vec<Arg> {
    vec![Arg::text(&installation.name), Arg::json(installation)]
}

fn read_installation(row: &SqliteRow) -> Result<Installation, StoreError> {
    let text = row.get_text("status")?;
    let known = [InstallationStatus::Active, InstallationStatus::Quarantined];
    Ok(Installation {
        name: row.get_id("name")?,
        digest: row.get_id("digest")?,
        previous: row.get_opt_id("previous")?,
        settings: row.get_value("settings")?,
        grant: row.get_json("granted")?,
        status: known
            .into_iter()
            .find(|s| status(*s) == text)
            .ok_or_else(|| corrupt("status", text))?,
        installed_at: row.get_time("installed_at")?,
        updated_at: row.get_time("updated_at")?,
        updated_by: row.get_id("updated_by")?,
    })
}

/// Takes [`trigger_row`].
pub(super) const PUT_TRIGGER: &str = "INSERT INTO triggers (name, event, tick) VALUES (?, ?, ?) \
    ON CONFLICT (name) DO UPDATE SET event = excluded.event, tick = excluded.tick";

pub(super) fn trigger_row(state: &TriggerState) -> Vec<Arg> {
    vec![
        Arg::text(&state.name),
        Arg::count(state.event),
        Arg::opt(state.tick, Arg::from),
    ]
}

#[async_trait::async_trait]
impl PluginStore for SqliteStore {
    async fn installations(&self) -> Result<Vec<Installation>, StoreError> {
        let sql = Sql::new("SELECT * FROM installations ORDER BY name");
        sql.all(&self.readers)
            .await?
            .iter()
            .map(read_installation)
            .collect()
    }

    async fn former_installation(
        &self,
        name: &PluginName,
    ) -> Result<Option<Installation>, StoreError> {
        let sql = Sql::with(
            "SELECT installation FROM former_installations WHERE name = ?",
            vec![Arg::text(name)],
        );
        let row = sql.optional(&self.readers).await?;
        row.map(|row| row.get_json("installation")).transpose()
    }

    async fn package(&self, digest: &Digest) -> Result<Option<Package>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM packages WHERE digest = ?",
            vec![Arg::text(digest)],
        );
        let Some(row) = sql.optional(&self.readers).await? else {
            return Ok(None);
        };
        Ok(Some(Package {
            digest: row.get_id("digest")?,
            bytes: row.get_blob("bytes")?,
            stored_at: row.get_time("stored_at")?,
        }))
    }

    async fn triggers(&self) -> Result<Vec<TriggerState>, StoreError> {
        let sql = Sql::new("SELECT * FROM triggers ORDER BY name");
        let rows = sql.all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                Ok(TriggerState {
                    name: row.get_text("name")?,
                    event: row.get_count("event")?,
                    tick: row.get_opt_time("tick")?,
                })
            })
            .collect()
    }
}
