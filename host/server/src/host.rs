//! A whole host: kernel, tasks and triggers over one data directory, opened and closed as one.

use crate::acts;
use crate::config::{Config, EventConfig, JournalConfig, data_dir};
use crate::models;
use crate::policy;
use crate::task::Tasks;
use crate::telemetry::{self, StoredTelemetry};
use crate::trigger::Triggers;
use anyhow::Context;
use mandate_egress::{Egress, Guard, Secrets};
use mandate_kernel::audit::Audit;
use mandate_kernel::{EffectKeys, Kernel};
use mandate_store::{Principal, SharedSeries, SharedStore, Write};
use mandate_types::{Actor, Digest, PrincipalName, Role, Timestamp};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often what has expired is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// A running host, without its listeners.
pub struct Host {
    /// Where it keeps everything.
    pub data_dir: PathBuf,
    /// The seam and everything behind it.
    pub kernel: Arc<Kernel>,
    /// What it does.
    pub tasks: Arc<Tasks>,
    /// What agents look at.
    pub series: SharedSeries,
    /// Who did what.
    pub audit: Arc<Audit>,
}

impl Host {
    /// Opens the data directory and starts what is unfinished. `own` is where the host listens:
    /// no plugin may send there.
    ///
    /// # Errors
    /// When the directory cannot be used, or the host cannot start.
    pub async fn open(dir: &Path, config: &Config, own: Vec<SocketAddr>) -> anyhow::Result<Self> {
        let data_dir = data_dir(dir)?;
        let store = mandate_store::open_embedded(&data_dir).await?;
        let audit = Audit::open(store.clone(), &data_dir).await?;
        acts::configuration(&store, config).await?;
        let series = config.telemetry.settings();
        let series = mandate_store::open_telemetry(&data_dir, series).await?;
        let key = host_key(&data_dir)?;
        let runtime = mandate_runtime::Settings {
            cache_dir: Some(data_dir.join("compiled")),
            cache_key: key,
            compile_command: compile_command(),
            compile_limits: mandate_runtime::CompileLimits {
                time: Duration::from_secs(config.guests.compile_seconds),
                memory_bytes: config.guests.compile_memory_bytes,
                ..mandate_runtime::CompileLimits::default()
            },
            max_instances: config.guests.max_instances,
            ..mandate_runtime::Settings::default()
        };
        let policy = policy::at_start(&store, &config.policy).await?;
        let settings = mandate_kernel::Settings {
            store,
            runtime,
            models: models::chain(&config.models)?,
            telemetry: Arc::new(StoredTelemetry(series.clone())),
            egress: egress(config, own)?,
            effect_keys: EffectKeys::new(&key),
            trust: config.trust.policy()?,
            policy,
        };
        let kernel = Kernel::open(settings)
            .await
            .context("the host cannot start")?;
        let tasks = Tasks::new(kernel.clone(), config.tasks.settings());
        Ok(Self {
            data_dir,
            kernel,
            tasks,
            series,
            audit,
        })
    }

    /// Takes up unfinished tasks, and from now on what triggers ask for.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(&self, config: &Config) -> anyhow::Result<()> {
        self.tasks.start().await?;
        let keep = config.tasks.settings().keep_scheduled;
        Triggers::new(self.kernel.clone(), self.tasks.clone(), keep)
            .start()
            .await?;
        tokio::spawn(self.audit.clone().keep_sealed());
        let store = self.kernel.store().clone();
        tokio::spawn(sweep(store, config.events, config.journal));
        tokio::spawn(telemetry::sweep(self.series.clone()));
        Ok(())
    }

    /// The administrator's token: made when there is none, in `DIR/admin.token`, which only
    /// the host's user can read.
    ///
    /// # Errors
    /// When the file or the database cannot be written.
    pub async fn administrator(&self) -> anyhow::Result<PathBuf> {
        let path = self.data_dir.join("admin.token");
        let store = self.kernel.store();
        let admins = store
            .principals()
            .await?
            .into_iter()
            .any(|p| p.role == Role::Admin);
        if admins && path.exists() {
            return Ok(path);
        }
        let token = new_token()?;
        let mut file =
            private(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        file.write_all(token.as_bytes())?;
        file.sync_all()?;
        let principal = Principal {
            name: PrincipalName::parse("admin")?,
            role: Role::Admin,
            tenants: Vec::new(),
            token: Digest::of(token.as_bytes()),
            created_at: Timestamp::now(),
            expires_at: None,
        };
        let act = acts::token_created(&Actor::host(), &principal);
        store
            .commit(None, vec![Write::PutPrincipal(Box::new(principal)), act])
            .await?;
        tracing::info!(file = %path.display(), "a new administrator token was made");
        Ok(path)
    }
}

/// The way out, as it is configured.
fn egress(config: &Config, own: Vec<SocketAddr>) -> anyhow::Result<Egress> {
    let guard = Guard::new(&config.http.allow_private, own).context("[http] allow_private")?;
    let secrets = config.secrets.clone().into_iter();
    let secrets = Secrets::new(secrets.map(|(name, it)| (name, it.into())).collect())?;
    Ok(Egress::new(config.http.settings(), guard, secrets))
}

/// A new token: 256 random bits behind a prefix by which scanners know what leaked.
///
/// # Errors
/// When the system gives no randomness.
pub fn new_token() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
    Ok(format!("mandate_{}", hex::encode(bytes)))
}

/// The key under which this host authenticates what it compiled, and from which it derives those
/// of its effects; never in the database.
fn host_key(dir: &Path) -> anyhow::Result<[u8; 32]> {
    let path = dir.join("host.key");
    if let Ok(bytes) = std::fs::read(&path) {
        return <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| {
            anyhow::anyhow!(
                "{} is not a key of 32 bytes; remove it to make a new one",
                path.display()
            )
        });
    }
    let mut key = [0_u8; 32];
    getrandom::fill(&mut key).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
    let mut file =
        private(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}

fn private(path: &Path) -> std::io::Result<std::fs::File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // One that was there already keeps its mode otherwise.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

/// This binary compiles components in a process of their own.
fn compile_command() -> Option<Vec<OsString>> {
    let binary = std::env::current_exe().ok()?;
    Some(vec![
        binary.into_os_string(),
        OsString::from(crate::cli::COMPILE_WORKER),
    ])
}

async fn sweep(store: SharedStore, events: EventConfig, journal: JournalConfig) {
    const DAY: Duration = Duration::from_hours(24);
    let days = DAY * events.keep_days;
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let now = Timestamp::now();
        match store.sweep(now).await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "expired tasks were removed"),
            Err(error) => tracing::warn!(%error, "what has expired cannot be removed"),
        }
        if journal.keep_days > 0 {
            let before = now.minus(DAY * journal.keep_days);
            match store.forget_journals(before).await {
                Ok(0) => {}
                Ok(removed) => tracing::debug!(removed, "journals of old tasks were removed"),
                Err(error) => tracing::warn!(%error, "journals of old tasks cannot be removed"),
            }
        }
        match store.forget_events(now.minus(days), events.most).await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "old events were removed"),
            Err(error) => tracing::warn!(%error, "old events cannot be removed"),
        }
    }
}
