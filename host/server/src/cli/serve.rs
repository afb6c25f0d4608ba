//! `mandate serve`: the host, until it is told to stop.

use crate::api::{self, Api, Intake};
use crate::approval::{Approvals, Outbox};
use crate::config::Config;
use crate::host::Host;
use crate::listen;
use crate::observability;
use anyhow::Context;
use futures::{StreamExt as _, stream};
use mandate_kernel::{InstallRequest, Staged};
use mandate_types::PrincipalName;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Plugins of a folder that are compiled at the same time; each may take much memory.
const MOST_COMPILED: usize = 4;

/// `mandate serve`
#[derive(clap::Args)]
pub struct Args {
    /// Address and port to listen on
    #[arg(long, env = "MANDATE_LISTEN", default_value = "127.0.0.1:7300")]
    listen: SocketAddr,
    /// Where everything is kept
    #[arg(long, env = "MANDATE_DATA_DIR", default_value = ".mandate")]
    data_dir: PathBuf,
    /// A TOML file of settings
    #[arg(long, env = "MANDATE_CONFIG")]
    config: Option<PathBuf>,
    /// A folder of plugin files: those that are not installed yet, or in another version, are
    /// installed with all that they ask for. For trying out, and for images that an operator built.
    #[arg(long, env = "MANDATE_PLUGINS")]
    plugins: Option<PathBuf>,
}

/// Runs the host.
///
/// # Errors
/// When it cannot start.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let begun = Instant::now();
    let traces = observability::start_logging()?;
    let point = std::env::var("MANDATE_CRASH_POINT").ok();
    mandate_store::crash::arm(point.as_deref()).map_err(anyhow::Error::msg)?;
    let config = Config::read(args.config.as_deref())?;
    let metrics = observability::start_metrics()?;
    // The address first: a host that cannot be reached should not touch its data.
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let own = vec![listener.local_addr()?];
    let host = Host::open(&args.data_dir, &config, own).await?;
    let token = host.administrator().await?;
    if let Some(folder) = &args.plugins {
        install_all(&host, folder).await?;
    }
    host.start(&config).await?;
    let address = listener.local_addr()?;
    let state = Api::new(
        host.kernel.clone(),
        host.tasks.clone(),
        Approvals::new(host.tasks.clone(), address.ip().is_loopback()),
        config.api.clone(),
        metrics,
        Intake::new(host.series.clone(), config.telemetry.clone()),
        host.audit.clone(),
    );
    if !config.approvals.notify.is_empty() {
        let here = format!("http://{address}");
        let url = Some(config.api.public_url.as_str()).filter(|url| !url.is_empty());
        let tool = config.approvals.notify.clone();
        Outbox::start(host.tasks.clone(), tool, url.unwrap_or(&here));
    }
    let router = api::router(state);
    // Before anybody is told that the host is there: whoever knows of it may stop it in order.
    let stop = StopSignal::listen().context("stop signals cannot be listened for")?;
    tracing::info!(
        url = %format!("http://{address}"),
        token = %token.display(),
        milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        "ready"
    );
    let tasks = host.tasks.clone();
    let grace = Duration::from_secs(config.tasks.drain_seconds);
    let (drained, told) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        stop.came().await;
        tracing::info!("stopping: no new work is taken");
        tasks.drain(grace).await;
        drained.send_replace(true);
    });
    listen::serve(listener, router, &config.api, told).await;
    if let Err(error) = host.audit.seal().await {
        tracing::warn!(%error, "the last acts of the audit were not sealed; the next start does it");
    }
    if let Err(error) = host.series.settle().await {
        tracing::warn!(%error, "telemetry was not put away; the next start reads it again, nothing is lost");
    }
    if let Some(traces) = traces {
        traces.stop().await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// What an operator stops a host with.
struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    /// From here on these signals do not end the process by themselves.
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn came(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Installs what is in `folder` and is not yet active in that version. A file that is no
/// plugin is told and skipped: the others are wanted all the same.
async fn install_all(host: &Host, folder: &Path) -> anyhow::Result<()> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("the plugin folder {} cannot be read", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "wasm"))
        .collect();
    files.sort();
    // Compiling is what takes time; what is installed is still installed one by one, in order.
    let most = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut staging = stream::iter(files)
        .map(async |file| (stage(host, &file).await, file))
        .buffered(most.min(MOST_COMPILED));
    while let Some((staged, file)) = staging.next().await {
        let installed = match staged {
            Ok(staged) => install(host, staged).await,
            Err(error) => Err(error),
        };
        if let Err(error) = installed {
            tracing::error!(file = %file.display(), error = format!("{error:#}"), "a plugin was not installed");
        }
    }
    Ok(())
}

async fn stage(host: &Host, file: &Path) -> anyhow::Result<Staged> {
    let bytes = std::fs::read(file)?;
    Ok(host.kernel.stage(bytes).await?)
}

async fn install(host: &Host, staged: Staged) -> anyhow::Result<()> {
    let id = staged.loaded.manifest.plugin.id.clone();
    let known = host
        .kernel
        .catalogue()
        .plugin(&id)
        .map(|p| p.installation.digest.clone());
    if known.as_ref() == Some(&staged.loaded.digest) {
        return Ok(());
    }
    let request = InstallRequest {
        name: None,
        grant: None,
        accept: true,
        settings: None,
        by: PrincipalName::parse("admin")?,
    };
    let active = host.kernel.activate(staged, request).await?;
    tracing::info!(plugin = %active.name(), version = active.loaded.manifest.plugin.version, "installed with all that it asks for");
    Ok(())
}
