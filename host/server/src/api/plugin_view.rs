//! Plugins as operators see them: what is installed, what it asks for, what it may.

use super::Api;
use super::error::ApiResult;
use mandate_kernel::Active;
use mandate_plugin::{Authority, Package};
use mandate_policy::Grant;
use mandate_store::{Installation, InstallationStatus};
use mandate_types::{Digest, GuestKind, PluginName, PrincipalName, Problem, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// Where a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PluginStatus {
    /// Takes work.
    Active,
    /// Takes no new work; what runs goes on.
    Quarantined,
    /// Installed, and could not be loaded when the host started; the log says why.
    NotLoaded,
}

/// An installed plugin.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Plugin {
    /// Its name on this host.
    pub name: PluginName,
    /// Agent or tools; null when it is not loaded.
    pub kind: Option<GuestKind>,
    /// Its version.
    pub version: Option<String>,
    /// Who says that they made it.
    pub publisher: Option<String>,
    /// By its author, in a line.
    pub description: Option<String>,
    /// Where it is.
    pub status: PluginStatus,
    /// The package that new work runs.
    pub digest: Digest,
    /// The package before, for rollback.
    pub previous: Option<Digest>,
    /// Goes up with each change of anything here.
    pub generation: u64,
    /// When it was first installed.
    pub installed_at: Timestamp,
    /// When anything here last changed.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: PrincipalName,
    /// What it asks for and was not granted, in words. Empty when it has all.
    pub not_granted: Vec<String>,
}

/// An installed plugin with all that is known of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PluginDetail {
    /// The plugin.
    #[serde(flatten)]
    pub plugin: Plugin,
    /// What the operator allows it.
    pub grant: Grant,
    /// What its author says of it; null when it is not loaded.
    #[schema(value_type = Option<Object>)]
    pub manifest: Option<Value>,
    /// What the operator filled in; only operators see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// What it asks for, and what it cannot do, in words; null when it is not loaded.
    #[schema(value_type = Option<Object>)]
    pub authority: Option<Value>,
}

/// An installation, loaded or not.
pub fn plugin(installation: &Installation, active: Option<&Active>) -> Plugin {
    let manifest = active.map(|active| &active.loaded.manifest);
    let status = match (active, installation.status) {
        (None, _) => PluginStatus::NotLoaded,
        (Some(_), InstallationStatus::Active) => PluginStatus::Active,
        (Some(_), InstallationStatus::Quarantined) => PluginStatus::Quarantined,
    };
    let grant = &installation.grant;
    let not_granted = manifest.map_or_else(Vec::new, |manifest| {
        let mut missing = manifest.capabilities.beyond(&grant.capabilities);
        for tool in &manifest.tools {
            let name = &tool.name;
            match grant.tools.get(name) {
                None => missing.push(format!("being called as the tool `{name}`")),
                Some(terms) => {
                    if tool.idempotent && !terms.idempotent {
                        missing.push(format!("that calling `{name}` twice has one effect"));
                    }
                    if tool.cost.is_some() && terms.cost.is_none() {
                        missing.push(format!("what it says that `{name}` costs"));
                    }
                }
            }
        }
        missing
    });
    Plugin {
        name: installation.name.clone(),
        kind: manifest.map(|manifest| manifest.kind()),
        version: manifest.map(|manifest| manifest.plugin.version.clone()),
        publisher: manifest.map(|manifest| manifest.plugin.publisher.clone()),
        description: manifest.map(|manifest| manifest.plugin.description.clone()),
        status,
        digest: installation.digest.clone(),
        previous: installation.previous.clone(),
        generation: grant.generation,
        installed_at: installation.installed_at,
        updated_at: installation.updated_at,
        updated_by: installation.updated_by.clone(),
        not_granted,
    }
}

/// All that is known of an installation.
///
/// # Errors
/// When its package cannot be read.
pub async fn detail(
    api: &Api,
    installation: &Installation,
    active: Option<&Active>,
    with_settings: bool,
) -> ApiResult<PluginDetail> {
    let authority = match active {
        Some(_) => Some((*api.authorities.of(api, &installation.digest).await?).clone()),
        None => None,
    };
    let manifest = active.map(|active| serde_json::to_value(&active.loaded.manifest));
    Ok(PluginDetail {
        plugin: plugin(installation, active),
        grant: installation.grant.clone(),
        manifest: manifest
            .transpose()
            .map_err(|error| Problem::internal(error.to_string()))?,
        settings: with_settings.then(|| installation.settings.clone()),
        authority,
    })
}

/// What packages ask for. Reading it means reading the whole file, and it never changes.
pub struct Authorities {
    known: moka::future::Cache<Digest, Arc<Value>>,
}

impl Authorities {
    /// None yet.
    pub fn new() -> Self {
        Self {
            known: moka::future::Cache::new(256),
        }
    }

    async fn of(&self, api: &Api, digest: &Digest) -> ApiResult<Arc<Value>> {
        if let Some(known) = self.known.get(digest).await {
            return Ok(known);
        }
        let package = api.store().package(digest).await?;
        let bytes = package.map(|package| package.bytes).unwrap_or_default();
        let read = tokio::task::spawn_blocking(move || {
            let package = Package::read(bytes).map_err(|error| error.to_string())?;
            serde_json::to_value(Authority::of(&package)).map_err(|error| error.to_string())
        });
        let value = read.await.unwrap_or_else(|error| Err(error.to_string()));
        let value = value.map_err(|error| {
            tracing::error!(%digest, error, "a stored package cannot be read");
            Problem::internal("the stored package cannot be read; see the log")
        })?;
        let value = Arc::new(value);
        self.known.insert(digest.clone(), value.clone()).await;
        Ok(value)
    }
}
