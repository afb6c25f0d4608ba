//! Changing what is active on a running host: stage, activate, grant, roll back, remove. Each
//! change is one commit and one swap of the catalogue; a change that fails changes nothing.

mod acts;

use crate::catalogue::{Active, Catalogue};
use crate::kernel::{Kernel, PluginLoadError};
use crate::loaded::{LoadError, Loaded};
use crate::terms::{
    asked_for, check_grant, check_settings, check_signature, common, kept, nothing,
};
use mandate_plugin::manifest::Manifest;
use mandate_plugin::{Package, PackageError, SchemaError, compile_schema};
use mandate_policy::Grant;
use mandate_store::{
    Collection, CommitError, FieldKind, IndexedField, Installation, InstallationStatus, NewEvent,
    StoreError, Write,
};
use mandate_types::{
    Act, Digest, EventKind, FieldProblem, PluginName, PrincipalName, TenantId, Timestamp,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Why a change of what is installed was refused.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The file.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The signature is wrong, or missing where one is needed.
    #[error("{0}")]
    Signature(String),
    /// The name is not a plugin name.
    #[error("{0}")]
    Name(String),
    /// No plugin has this name.
    #[error("no plugin is installed as `{0}`")]
    NotInstalled(PluginName),
    /// The grant allows what the manifest does not ask for.
    #[error("the grant allows more than the manifest asks for: {}", .0.join("; "))]
    Exceeds(Vec<String>),
    /// The grant's limits are none that a host enforces.
    #[error("the grant's limits cannot be enforced: {}", crate::records::list(.0))]
    Limits(Vec<FieldProblem>),
    /// The settings do not satisfy the manifest's schema.
    #[error("the settings are not what the plugin expects: {}", crate::records::list(.0))]
    Settings(Vec<FieldProblem>),
    /// A schema in the manifest.
    #[error("the manifest's schema of {what}: {error}")]
    Schema {
        /// Which.
        what: String,
        /// Why.
        error: SchemaError,
    },
    /// Another plugin has what this one declares.
    #[error("{0}")]
    Taken(String),
    /// There is no version to go back to.
    #[error("`{0}` has no earlier version to go back to")]
    NoPrevious(PluginName),
    /// Somebody else changed it meanwhile.
    #[error("{0}; look at it again and repeat the change")]
    Changed(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PackageError> for InstallError {
    fn from(error: PackageError) -> Self {
        Self::Load(error.into())
    }
}

impl From<PluginLoadError> for InstallError {
    fn from(error: PluginLoadError) -> Self {
        match error {
            PluginLoadError::Load(error) => Self::Load(error),
            PluginLoadError::Store(error) => Self::Store(error),
            PluginLoadError::Missing(digest) => Self::Taken(format!(
                "the package {digest} is not stored on this host any more"
            )),
        }
    }
}

impl From<CommitError> for InstallError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => Self::Store(error),
            other => Self::Changed(other.to_string()),
        }
    }
}

/// What an operator wants installed.
#[derive(Debug, Clone)]
pub struct InstallRequest {
    /// Under which name; the plugin's id by default.
    pub name: Option<String>,
    /// What the operator allows; nothing by default, or what the version before had.
    pub grant: Option<Grant>,
    /// Accept everything that the manifest asks for.
    pub accept: bool,
    /// For the manifest's schema.
    pub settings: Option<Value>,
    /// Who wants it.
    pub by: PrincipalName,
}

/// A package that was found good, and can be activated at once.
pub struct Staged {
    /// Ready to run.
    pub loaded: Arc<Loaded>,
    bytes: Vec<u8>,
}

impl Kernel {
    /// Reads, checks and compiles a package. Changes nothing.
    ///
    /// # Errors
    /// [`InstallError`] says what is wrong with it.
    pub async fn stage(&self, bytes: Vec<u8>) -> Result<Staged, InstallError> {
        let package = Package::read(bytes)?;
        check_signature(self.trust(), &package)?;
        let loaded = match self.ready(&package.digest) {
            Some(loaded) => loaded,
            None => Arc::new(Loaded::load(self.runtime(), &package).await?),
        };
        Ok(Staged {
            loaded,
            bytes: package.bytes,
        })
    }

    /// Makes a staged package the one that new work runs, under a name.
    ///
    /// # Errors
    /// [`InstallError`]; nothing changed then.
    pub async fn activate(
        &self,
        staged: Staged,
        request: InstallRequest,
    ) -> Result<Arc<Active>, InstallError> {
        self.activate_as(Act::PLUGIN_UPGRADED, staged, request)
            .await
    }

    /// As [`Self::activate`]; `again` is what it is called where something was installed before.
    async fn activate_as(
        &self,
        again: &'static str,
        staged: Staged,
        request: InstallRequest,
    ) -> Result<Arc<Active>, InstallError> {
        let manifest = &staged.loaded.manifest;
        let name = request.name.as_deref().unwrap_or(&manifest.plugin.id);
        let name = PluginName::parse(name).map_err(|e| InstallError::Name(e.to_string()))?;
        let _changing = self.changing.lock().await;
        let catalogue = self.catalogue();
        let stored = self.installation(&name).await?;
        let grant = match (request.grant, request.accept, &stored) {
            (Some(grant), _, _) => grant,
            (None, true, _) => asked_for(manifest),
            // An upgrade keeps what was allowed, as far as the new version still asks for it.
            (None, false, Some(stored)) => Grant {
                capabilities: common(&stored.grant.capabilities, &manifest.capabilities),
                tools: stored
                    .grant
                    .tools
                    .iter()
                    .filter_map(|(name, terms)| {
                        let tool = manifest.tool(name)?;
                        Some((name.clone(), kept(tool, terms)?))
                    })
                    .collect(),
                ..stored.grant.clone()
            },
            (None, false, None) => nothing(manifest),
        };
        let settings = request
            .settings
            .or_else(|| stored.as_ref().map(|s| s.settings.clone()))
            .unwrap_or_else(|| json!({}));
        check_grant(manifest, &grant)?;
        check_settings(manifest, &settings)?;
        self.check_free(&catalogue, &name, manifest)?;
        let now = Timestamp::now();
        let digest = staged.loaded.digest.clone();
        let previous = match &stored {
            Some(stored) if stored.digest != digest => Some(stored.digest.clone()),
            Some(stored) => stored.previous.clone(),
            None => None,
        };
        let installation = Installation {
            name: name.clone(),
            digest: digest.clone(),
            previous,
            settings,
            grant: Grant {
                generation: generation(&stored),
                ..grant
            },
            status: InstallationStatus::Active,
            installed_at: stored.as_ref().map_or(now, |s| s.installed_at),
            updated_at: now,
            updated_by: request.by,
        };
        let package = mandate_store::Package {
            digest,
            bytes: staged.bytes,
            stored_at: now,
        };
        let collections = self.declared(&catalogue, &name, manifest);
        let mut writes = vec![Write::PutPackage(Box::new(package))];
        writes.extend(
            collections
                .into_iter()
                .map(|c| Write::PutCollection(Box::new(c))),
        );
        let (action, act) = match stored {
            Some(_) => ("upgraded", again),
            None => ("installed", Act::PLUGIN_INSTALLED),
        };
        writes.extend(acts::changed(Some(act), stored.as_ref(), &installation));
        self.apply(installation, staged.loaded, action, writes)
            .await
    }

    /// Changes what a plugin is allowed, or its settings, or whether it takes work.
    ///
    /// # Errors
    /// [`InstallError`]; nothing changed then.
    pub async fn change_installation(
        &self,
        name: &PluginName,
        grant: Option<Grant>,
        settings: Option<Value>,
        status: Option<InstallationStatus>,
        by: PrincipalName,
    ) -> Result<Arc<Active>, InstallError> {
        let _changing = self.changing.lock().await;
        let stored = self.installation(name).await?;
        let current = stored
            .clone()
            .ok_or_else(|| InstallError::NotInstalled(name.clone()))?;
        let loaded = self.load(&current.digest).await?;
        let mut installation = current.clone();
        if let Some(grant) = grant {
            check_grant(&loaded.manifest, &grant)?;
            installation.grant = grant;
        }
        if let Some(settings) = settings {
            check_settings(&loaded.manifest, &settings)?;
            installation.settings = settings;
        }
        installation.status = status.unwrap_or(installation.status);
        installation.grant.generation = generation(&stored);
        installation.updated_at = Timestamp::now();
        installation.updated_by = by;
        let act = match status {
            Some(InstallationStatus::Quarantined) => Some(Act::PLUGIN_QUARANTINED),
            Some(InstallationStatus::Active) => Some(Act::PLUGIN_ACTIVATED),
            None => None,
        };
        let writes = acts::changed(act, Some(&current), &installation);
        self.apply(installation, loaded, "changed", writes).await
    }

    /// Makes the version before the active one again, with the present grant as far as that
    /// version asks for it.
    ///
    /// # Errors
    /// [`InstallError`]; nothing changed then.
    pub async fn roll_back(
        &self,
        name: &PluginName,
        by: PrincipalName,
    ) -> Result<Arc<Active>, InstallError> {
        let stored = self.installation(name).await?;
        let current = stored.ok_or_else(|| InstallError::NotInstalled(name.clone()))?;
        let digest = current
            .previous
            .ok_or_else(|| InstallError::NoPrevious(name.clone()))?;
        let loaded = self.load(&digest).await?;
        let package = self.store().package(&digest).await?;
        let bytes = package.map(|p| p.bytes).unwrap_or_default();
        let request = InstallRequest {
            name: Some(name.to_string()),
            grant: None,
            accept: false,
            settings: None,
            by,
        };
        self.activate_as(Act::PLUGIN_ROLLED_BACK, Staged { loaded, bytes }, request)
            .await
    }

    /// Forgets an installation. What runs goes on, its records stay, its routes are gone.
    ///
    /// # Errors
    /// [`InstallError`]; nothing changed then.
    pub async fn remove(&self, name: &PluginName, by: PrincipalName) -> Result<(), InstallError> {
        let _changing = self.changing.lock().await;
        let stored = self.installation(name).await?;
        let mut gone = stored.ok_or_else(|| InstallError::NotInstalled(name.clone()))?;
        gone.updated_by = by.clone();
        let act = acts::removed(&gone);
        let mut writes = vec![Write::RemoveInstallation(Box::new(gone)), act];
        for collection in self.store().collections().await? {
            if collection.owner == *name && !collection.retired {
                let retired = Collection {
                    retired: true,
                    ..collection
                };
                writes.push(Write::PutCollection(Box::new(retired)));
            }
        }
        writes.push(changed(name, None, "removed", &by));
        self.store().commit(None, writes).await?;
        let mut plugins = self.catalogue().plugin_map();
        plugins.remove(name);
        let collections = self.store().collections().await?;
        self.replace(Catalogue::new(plugins, collections));
        Ok(())
    }

    async fn apply(
        &self,
        installation: Installation,
        loaded: Arc<Loaded>,
        action: &str,
        mut writes: Vec<Write>,
    ) -> Result<Arc<Active>, InstallError> {
        let name = installation.name.clone();
        let by = installation.updated_by.clone();
        writes.push(Write::PutInstallation(Box::new(installation.clone())));
        writes.push(changed(&name, Some(&installation.digest), action, &by));
        self.store().commit(None, writes).await?;
        self.keep(&loaded);
        let active = Arc::new(Active {
            installation,
            loaded,
        });
        let mut plugins = self.catalogue().plugin_map();
        plugins.insert(name, active.clone());
        let collections = self.store().collections().await?;
        self.replace(Catalogue::new(plugins, collections));
        Ok(active)
    }

    async fn installation(&self, name: &PluginName) -> Result<Option<Installation>, StoreError> {
        let all = self.store().installations().await?;
        Ok(all
            .into_iter()
            .find(|installation| installation.name == *name))
    }

    /// Collections have one owner, and routes lead to one place.
    fn check_free(
        &self,
        catalogue: &Catalogue,
        name: &PluginName,
        manifest: &Manifest,
    ) -> Result<(), InstallError> {
        for (collection, section) in &manifest.records {
            let what = format!("the collection `{collection}`");
            compile_schema(&section.schema).map_err(|error| InstallError::Schema {
                what: what.clone(),
                error,
            })?;
            if let Some(entry) = catalogue.collection(collection)
                && entry.declared.owner != *name
                && !same_plugin(catalogue, &entry.declared.owner, manifest)
            {
                let owner = &entry.declared.owner;
                return Err(InstallError::Taken(format!(
                    "{what} belongs to the plugin `{owner}`; remove that first, or ask for access to it under [capabilities.records]"
                )));
            }
        }
        for route in manifest.routes.keys() {
            for other in catalogue.plugins() {
                if other.name() != name
                    && other.loaded.manifest.routes.contains_key(route)
                    && !same_plugin(catalogue, other.name(), manifest)
                {
                    return Err(InstallError::Taken(format!(
                        "the route `/api/v1/{route}` belongs to the plugin `{}`",
                        other.name()
                    )));
                }
            }
        }
        Ok(())
    }

    fn declared(
        &self,
        catalogue: &Catalogue,
        name: &PluginName,
        manifest: &Manifest,
    ) -> Vec<Collection> {
        let owned_elsewhere = |collection: &str| {
            catalogue
                .collection(collection)
                .is_some_and(|entry| entry.declared.owner != *name)
        };
        manifest
            .records
            .iter()
            .filter(|(collection, _)| !owned_elsewhere(collection))
            .map(|(collection, section)| Collection {
                name: collection.clone(),
                owner: name.clone(),
                schema: section.schema.clone(),
                id_pattern: section.id.clone(),
                indexed: section
                    .indexed
                    .iter()
                    .map(|(name, kind)| IndexedField {
                        name: name.clone(),
                        kind: field_kind(kind),
                    })
                    .collect(),
                full_text: section.full_text.clone(),
                retired: false,
            })
            .collect()
    }
}

fn field_kind(kind: &str) -> FieldKind {
    match kind {
        "number" => FieldKind::Number,
        "boolean" => FieldKind::Boolean,
        "texts" => FieldKind::Texts,
        _ => FieldKind::Text,
    }
}

fn same_plugin(catalogue: &Catalogue, other: &PluginName, manifest: &Manifest) -> bool {
    catalogue.plugin(other.as_str()).is_some_and(|other| {
        let other = &other.loaded.manifest.plugin;
        other.id == manifest.plugin.id && other.publisher == manifest.plugin.publisher
    })
}

fn generation(stored: &Option<Installation>) -> u64 {
    stored
        .as_ref()
        .map_or(0, |s| s.grant.generation)
        .saturating_add(1)
}

fn changed(name: &PluginName, digest: Option<&Digest>, action: &str, by: &PrincipalName) -> Write {
    Write::Event(Box::new(NewEvent {
        time: Timestamp::now(),
        kind: EventKind::PLUGIN_CHANGED.to_owned(),
        subject: None,
        task: None,
        tenant: TenantId::default_tenant(),
        data: json!({"plugin": name, "digest": digest, "action": action, "by": by}),
    }))
}
