//! The host without its front doors: store, runtime, models and catalogue in one place.

use crate::capability::telemetry::Telemetry;
use crate::catalogue::{Active, Catalogue};
use crate::effect_keys::EffectKeys;
use crate::effects::Effects;
use crate::guest::Guest;
use crate::halt::Switch;
use crate::loaded::{LoadError, Loaded};
use mandate_egress::Egress;
use mandate_llm::Chain;
use mandate_plugin::{Package, TrustedKeys};
use mandate_policy::Policy;
use mandate_runtime::{Runtime, RuntimeError};
use mandate_store::{SharedStore, StoreError};
use mandate_types::{Digest, PluginName};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use tokio::sync::Notify;

/// Why the host cannot start.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine that runs guests.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// What the kernel is made of.
pub struct Settings {
    /// Everything that is kept.
    pub store: SharedStore,
    /// How guests are run.
    pub runtime: mandate_runtime::Settings,
    /// Who answers model calls.
    pub models: Chain,
    /// Where telemetry is kept.
    pub telemetry: Arc<dyn Telemetry>,
    /// The way out to other hosts.
    pub egress: Egress,
    /// By which others know an effect again.
    pub effect_keys: EffectKeys,
    /// Whose signatures are trusted.
    pub trust: TrustPolicy,
    /// What effects are judged by.
    pub policy: Arc<Policy>,
}

/// Which plugin files may be installed.
#[derive(Clone, Debug, Default)]
pub struct TrustPolicy {
    /// Publishers' keys. A publisher that has one must sign with it.
    pub keys: TrustedKeys,
    /// Whether every plugin must be signed with a trusted key.
    pub require_signature: bool,
}

/// The host without its front doors.
pub struct Kernel {
    store: SharedStore,
    runtime: Runtime<Guest>,
    models: Chain,
    telemetry: Arc<dyn Telemetry>,
    egress: Egress,
    effect_keys: EffectKeys,
    trust: TrustPolicy,
    catalogue: RwLock<Arc<Catalogue>>,
    loaded: Mutex<HashMap<Digest, Weak<Loaded>>>,
    policy: RwLock<Arc<Policy>>,
    /// Where effects outside of the host are had: apart from guests.
    host: tokio::runtime::Handle,
    effects: Effects,
    timers: Arc<Notify>,
    /// Whether there is too much to do already for guests to submit more.
    crowded: AtomicBool,
    switch: Switch,
    /// Held by whoever replaces the catalogue.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl Kernel {
    /// Starts the kernel and loads what is installed. A plugin that does not load any more is
    /// left out and logged: one broken plugin does not keep the host down.
    ///
    /// # Errors
    /// [`KernelError`] when the database or the engine do not start.
    pub async fn open(settings: Settings) -> Result<Arc<Self>, KernelError> {
        let runtime = Runtime::new(settings.runtime)?;
        let switch = Switch::new(settings.store.halts().await?);
        let kernel = Arc::new(Self {
            store: settings.store,
            runtime,
            models: settings.models,
            telemetry: settings.telemetry,
            egress: settings.egress,
            effect_keys: settings.effect_keys,
            trust: settings.trust,
            catalogue: RwLock::default(),
            loaded: Mutex::default(),
            policy: RwLock::new(settings.policy),
            host: tokio::runtime::Handle::current(),
            effects: Effects::default(),
            timers: Arc::default(),
            crowded: AtomicBool::new(false),
            switch,
            changing: tokio::sync::Mutex::new(()),
        });
        let mut plugins = BTreeMap::new();
        for installation in kernel.store.installations().await? {
            match kernel.load(&installation.digest).await {
                Ok(loaded) => {
                    let name = installation.name.clone();
                    plugins.insert(
                        name,
                        Arc::new(Active {
                            installation,
                            loaded,
                        }),
                    );
                }
                Err(error) => {
                    tracing::error!(plugin = %installation.name, %error, "an installed plugin does not load; its work waits until it is installed again");
                }
            }
        }
        let collections = kernel.store.collections().await?;
        kernel.replace(Catalogue::new(plugins, collections));
        Ok(kernel)
    }

    /// Everything that is kept.
    pub fn store(&self) -> &SharedStore {
        &self.store
    }

    /// What is halted and what runs.
    pub(crate) fn switch(&self) -> &Switch {
        &self.switch
    }

    /// Who runs guests.
    pub fn runtime(&self) -> &Runtime<Guest> {
        &self.runtime
    }

    /// Who answers model calls.
    pub fn models(&self) -> &Chain {
        &self.models
    }

    /// Where telemetry is kept.
    pub fn telemetry(&self) -> &Arc<dyn Telemetry> {
        &self.telemetry
    }

    /// What effects are judged by now.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Judges by another policy from now on.
    pub fn set_policy(&self, policy: Arc<Policy>) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// The effects that are under way outside of the host.
    pub fn effects(&self) -> &Effects {
        &self.effects
    }

    /// The host's own threads, apart from those of guests.
    pub(crate) fn host(&self) -> &tokio::runtime::Handle {
        &self.host
    }

    /// Told whenever something was written that has a time: whoever waits for the next looks
    /// again.
    pub fn timers(&self) -> &Arc<Notify> {
        &self.timers
    }

    /// Something was written that has a time.
    pub(crate) fn timers_changed(&self) {
        self.timers.notify_one();
    }

    /// The way out to other hosts.
    pub(crate) fn egress(&self) -> &Egress {
        &self.egress
    }

    /// By which others know an effect again.
    pub(crate) fn effect_keys(&self) -> &EffectKeys {
        &self.effect_keys
    }

    /// Which plugin files may be installed.
    pub(crate) fn trust(&self) -> &TrustPolicy {
        &self.trust
    }

    /// Lets guests submit tasks, or not: whoever runs tasks knows how many wait.
    pub fn set_room(&self, room: bool) {
        self.crowded.store(!room, Ordering::Relaxed);
    }

    /// Whether guests may submit tasks.
    pub(crate) fn has_room(&self) -> bool {
        !self.crowded.load(Ordering::Relaxed)
    }

    /// What is active now.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn replace(&self, catalogue: Catalogue) {
        let mut current = self
            .catalogue
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(catalogue);
    }

    /// The package `digest`, ready to run: what runs already, or from the store.
    ///
    /// # Errors
    /// [`PluginLoadError`] when it is not there or does not load.
    pub async fn load(&self, digest: &Digest) -> Result<Arc<Loaded>, PluginLoadError> {
        if let Some(loaded) = self.ready(digest) {
            return Ok(loaded);
        }
        let stored = self.store.package(digest).await?;
        let stored = stored.ok_or_else(|| PluginLoadError::Missing(digest.clone()))?;
        let package = Package::read(stored.bytes).map_err(LoadError::from)?;
        let loaded = Arc::new(Loaded::load(&self.runtime, &package).await?);
        self.keep(&loaded);
        Ok(loaded)
    }

    /// Under which installation an execution goes on that began with the component `digest` under
    /// `name`: what is installed there, or what was when it was removed. None when that is
    /// another plugin, whose grant is none of its business.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plugin_for(
        &self,
        name: &PluginName,
        digest: &Digest,
    ) -> Result<Option<Arc<Active>>, StoreError> {
        let installed = self.catalogue().installed(name).cloned();
        let loaded = match self.load(digest).await {
            Ok(loaded) => loaded,
            Err(PluginLoadError::Store(error)) => return Err(error),
            // Whoever goes on with it is told why it cannot be.
            Err(_) => return Ok(installed),
        };
        let is_that = |other: &Loaded| {
            let (own, other) = (&loaded.manifest.plugin, &other.manifest.plugin);
            own.id == other.id && own.publisher == other.publisher
        };
        if let Some(installed) = installed
            && is_that(&installed.loaded)
        {
            return Ok(Some(installed));
        }
        let Some(former) = self.store.former_installation(name).await? else {
            return Ok(None);
        };
        let last = match self.load(&former.digest).await {
            Ok(last) => last,
            Err(PluginLoadError::Store(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        Ok(is_that(&last).then(|| {
            Arc::new(Active {
                installation: former,
                loaded,
            })
        }))
    }

    pub(crate) fn ready(&self, digest: &Digest) -> Option<Arc<Loaded>> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.get(digest).and_then(Weak::upgrade)
    }

    pub(crate) fn keep(&self, loaded: &Arc<Loaded>) {
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, weak| weak.strong_count() > 0);
        all.insert(loaded.digest.clone(), Arc::downgrade(loaded));
    }
}

/// Why a stored package cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum PluginLoadError {
    /// It is not in the store.
    #[error("the package {0} is not stored on this host")]
    Missing(Digest),
    /// It is, but does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
