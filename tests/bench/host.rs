//! The real binary, running on a data directory of its own.

use crate::http::{Connection, request};
use anyhow::{Context, bail, ensure};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a start may take, compiling included.
const START: Duration = Duration::from_secs(120);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// The host's settings: one caller does what in earnest thousands do, and a hundred agents run.
const CONFIG: &str = "[api]\nrequests_per_second = 1000000\nrequest_burst = 1000000\n\n[tasks]\nconcurrency = 128\ndrain_seconds = 1\n";

/// A running host; killed when dropped.
pub struct Host {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// The administrator's.
    pub token: String,
    /// From the start of the process until `/ready` said so.
    pub started_in: Duration,
}

/// The binary beside this one.
pub fn binary() -> anyhow::Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name("mandate");
    ensure!(
        binary.exists(),
        "{} is missing: run `make build`",
        binary.display()
    );
    Ok(binary)
}

/// The built plugin `id`.
pub fn plugin(id: &str) -> anyhow::Result<PathBuf> {
    let file = crate::target().join("plugins").join(format!("{id}.wasm"));
    ensure!(
        file.exists(),
        "{} is missing: run `make build`",
        file.display()
    );
    Ok(file)
}

impl Host {
    /// Starts a host on `dir`, with the plugins of a folder if one is given, and waits until it is
    /// ready.
    ///
    /// # Errors
    /// When it does not become ready; its log is in the message.
    pub async fn start(dir: &TempDir, plugins: Option<&Path>) -> anyhow::Result<Self> {
        let (config, data, log) = (
            dir.path().join("config.toml"),
            dir.path().join("data"),
            dir.path().join("log"),
        );
        std::fs::write(&config, CONFIG)?;
        // Free a moment ago; the host says so if it is not any more.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(binary()?);
        command
            .args(["serve", "--listen", &address.to_string()])
            .arg("--data-dir")
            .arg(&data)
            .arg("--config")
            .arg(&config)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(File::create(dir.path().join("out"))?)
            .stderr(File::create(&log)?);
        if let Some(plugins) = plugins {
            command.arg("--plugins").arg(plugins);
        }
        let began = Instant::now();
        let mut child = command.spawn()?;
        let ready = ready(&mut child, address, began).await;
        let started_in = began.elapsed();
        let mut host = Self {
            child,
            address,
            token: String::new(),
            started_in,
        };
        if let Err(error) = ready {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(error.context(format!("the host did not become ready; its log:\n{log}")));
        }
        host.token = std::fs::read_to_string(data.join("admin.token"))?
            .trim()
            .to_owned();
        Ok(host)
    }

    /// Installs a plugin's file with all that it asks for.
    ///
    /// # Errors
    /// When the host does not take it.
    pub fn install(&self, file: &Path) -> anyhow::Result<()> {
        let output = Command::new(binary()?)
            .args([
                "plugin",
                "install",
                "--accept",
                "--url",
                &format!("http://{}", self.address),
            ])
            .arg(file)
            .env("MANDATE_TOKEN", &self.token)
            .output()?;
        ensure!(
            output.status.success(),
            "{} was not installed: {}",
            file.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// A connection.
    ///
    /// # Errors
    /// When the host is gone.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(self.address)
            .await
            .context("the host is gone")
    }

    /// A request with the administrator's token.
    pub fn request(&self, method: &str, path: &str, more: &str, body: &str) -> Vec<u8> {
        request(method, path, &self.token, more, body)
    }

    /// Bytes of memory that its process has resident.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn resident(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix("kB"))
            .and_then(|number| number.trim().parse().ok())
            .context("/proc does not say how much memory is resident")?;
        Ok(kib * 1024)
    }

    /// Stops it in an orderly way, and waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = libc::pid_t::try_from(self.child.id())?;
        // SAFETY: a signal to a process that we started and have not waited for.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(began.elapsed() < STOP, "the host does not stop");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // If it ended by itself there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn ready(child: &mut Child, address: SocketAddr, began: Instant) -> anyhow::Result<()> {
    let question = request("GET", "/ready", "none", "", "");
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("it ended: {status}");
        }
        ensure!(began.elapsed() < START, "{START:?} have passed");
        if let Ok(mut connection) = Connection::open(address).await
            && let Ok(Ok(answer)) = tokio::time::timeout(START, connection.send(&question)).await
            && answer.status == 200
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Runs `work` on a thread of its own: what measures takes as little as it can from the host.
///
/// # Errors
/// As `work`.
pub fn on_one_thread<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
