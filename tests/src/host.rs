//! A host process of a test's own: the real binary over a data directory that is gone afterwards.

use crate::client::Client;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, Once, OnceLock, mpsc};
use std::time::{Duration, Instant};

/// How long a host may take to become ready: a first start on a busy machine.
const READY: Duration = Duration::from_secs(60);

/// How a host is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The configuration file's text.
    pub config: String,
    /// More arguments of `mandate serve`.
    pub arguments: Vec<String>,
    /// More environment.
    pub environment: Vec<(String, String)>,
}

/// A data directory that outlives the host over it, and not the test.
#[derive(Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    fn fresh() -> Arc<Self> {
        let dir = tempfile::Builder::new()
            .prefix("mandate-tests-")
            .tempdir()
            .unwrap()
            .keep();
        leftovers().lock().unwrap().dirs.push(dir.clone());
        Arc::new(Self(dir))
    }

    /// This directory, which is there and empty.
    pub fn at(path: &Path) -> Arc<Self> {
        leftovers().lock().unwrap().dirs.push(path.to_owned());
        Arc::new(Self(path.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // Whatever is left is removed when the test ends.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running host.
pub struct Host {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// Its data directory.
    pub data: Arc<DataDir>,
    token: String,
    child: Mutex<Child>,
    log: Arc<Log>,
}

/// What the host wrote to standard error.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    more: Condvar,
}

impl Host {
    /// How many files and connections its process has open.
    pub fn open_files(&self) -> usize {
        let pid = self.child.lock().unwrap().id();
        std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .count()
    }

    /// A host with default settings over an empty directory.
    pub fn start() -> Self {
        Self::with(&Options::default())
    }

    /// A host over an empty directory.
    pub fn with(options: &Options) -> Self {
        Self::over(DataDir::fresh(), options)
    }

    /// A host over a directory that another had.
    pub fn over(data: Arc<DataDir>, options: &Options) -> Self {
        let config = data.path().join("test.toml");
        std::fs::write(&config, &options.config).unwrap();
        let mut command = Command::new(binary());
        command
            .arg("serve")
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data.path())
            .arg("--config")
            .arg(&config)
            .args(&options.arguments)
            .envs(options.environment.iter().cloned())
            .env_remove("MANDATE_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // No test asks a model that somebody would have to pay.
        for (name, _) in std::env::vars_os() {
            let known = name.to_string_lossy();
            if known.ends_with("_API_KEY") || known.starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        let mut child = spawn(command);
        let log = Arc::new(Log::default());
        let (lines, reader) = (log.clone(), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                lines.lines.lock().unwrap().0.push(line);
                lines.more.notify_all();
            }
            lines.lines.lock().unwrap().1 = true;
            lines.more.notify_all();
        });
        let ready = log.wait(READY, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let ready = line.get("message").and_then(Value::as_str) == Some("ready");
            ready.then(|| line.get("url").and_then(Value::as_str).map(str::to_owned))?
        });
        let Some(url) = ready else {
            let lines = log.lines.lock().unwrap().0.join("\n");
            panic!("the host did not become ready; it said:\n{lines}");
        };
        let token = std::fs::read_to_string(data.path().join("admin.token")).unwrap();
        Self {
            url,
            data,
            token,
            child: Mutex::new(child),
            log,
        }
    }

    /// A client with the administrator's token.
    pub fn admin(&self) -> Client {
        Client::new(&self.url, Some(self.token.trim()))
    }

    /// A client with no token.
    pub fn nobody(&self) -> Client {
        Client::new(&self.url, None)
    }

    /// A client with a new token of this role for these tenants.
    pub async fn principal(&self, name: &str, role: &str, tenants: &[&str]) -> Client {
        let body = json!({"name": name, "role": role, "tenants": tenants});
        let made = self.admin().post("/api/v1/tokens", &body).await.ok();
        Client::new(&self.url, made["token"].as_str())
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// The first line of the log, so far or from now on, for which `find` has something.
    pub fn logged<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.log.wait(Duration::from_secs(20), find)
    }

    /// Everything that it logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().0.clone()
    }

    /// Asks the host to end, and waits for that. Its directory stays.
    pub fn stop(self) -> Arc<DataDir> {
        self.end(libc::SIGTERM)
    }

    /// Ends the host at once, as a crash does. Its directory stays.
    pub fn kill(self) -> Arc<DataDir> {
        self.end(libc::SIGKILL)
    }

    /// Sends the process a signal and goes on.
    pub fn signal(&self, signal: libc::c_int) {
        signal_to(self.pid(), signal);
    }

    fn end(self, signal: libc::c_int) -> Arc<DataDir> {
        self.signal(signal);
        self.exited().1
    }

    /// Waits until the process has ended, and says how. Its directory stays.
    pub fn exited(self) -> (ExitStatus, Arc<DataDir>) {
        let mut child = self.child.lock().unwrap();
        let until = Instant::now() + Duration::from_secs(40);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < until,
                "the host did not end:\n{}",
                self.log().join("\n")
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        forget(child.id());
        drop(child);
        (status, self.data.clone())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Ok(mut child) = self.child.lock() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
            forget(child.id());
        }
        if std::thread::panicking() {
            let lines = self.log();
            let last = lines.len().saturating_sub(30);
            eprintln!("the host's log ends with:\n{}", lines[last..].join("\n"));
        }
    }
}

impl Log {
    fn wait<T>(&self, most: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let until = Instant::now() + most;
        let mut seen = 0;
        let mut lines = self.lines.lock().unwrap();
        loop {
            while let Some(line) = lines.0.get(seen) {
                if let Some(found) = find(line) {
                    return Some(found);
                }
                seen += 1;
            }
            let left = until.saturating_duration_since(Instant::now());
            if lines.1 || left.is_zero() {
                return None;
            }
            lines = self.more.wait_timeout(lines, left).unwrap().0;
        }
    }
}

/// The binary: `MANDATE_BIN`, or what `cargo build --release` made.
pub fn binary() -> PathBuf {
    let path = match std::env::var_os("MANDATE_BIN") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/mandate"),
    };
    assert!(
        path.exists(),
        "{} is missing; build it first with `make build`, or set MANDATE_BIN",
        path.display()
    );
    path
}

/// One host for all tests of a file that can share one.
pub struct Shared(OnceLock<Host>);

impl Shared {
    /// Not started yet.
    #[allow(clippy::new_without_default)] // for statics
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The host; the first who asks starts it.
    pub fn host(&self) -> &Host {
        self.0.get_or_init(Host::start)
    }

    /// The host, started with these options by the first who asks.
    pub fn with(&self, options: &Options) -> &Host {
        self.0.get_or_init(|| Host::with(options))
    }
}

/// What statics would leave behind when the test process exits.
#[derive(Default)]
struct Leftovers {
    dirs: Vec<PathBuf>,
    pids: Vec<u32>,
}

fn leftovers() -> &'static Mutex<Leftovers> {
    static LEFT: Mutex<Leftovers> = Mutex::new(Leftovers {
        dirs: Vec::new(),
        pids: Vec::new(),
    });
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: `clean_up` is a plain function that lives as long as the program.
        unsafe { libc::atexit(clean_up) };
    });
    &LEFT
}

/// The process was waited for: its number may soon be another's.
fn forget(pid: u32) {
    if let Ok(mut left) = leftovers().lock() {
        left.pids.retain(|known| *known != pid);
    }
}

extern "C" fn clean_up() {
    let Ok(left) = leftovers().lock() else { return };
    for pid in &left.pids {
        signal_to(*pid, libc::SIGKILL);
    }
    for dir in &left.dirs {
        // Nobody is left to be told.
        let _ = std::fs::remove_dir_all(dir);
    }
}

fn signal_to(pid: u32, signal: libc::c_int) {
    // SAFETY: `kill` touches no memory of ours; the process is a child that was not waited for,
    // or the signal goes nowhere.
    unsafe { libc::kill(libc::pid_t::try_from(pid).unwrap(), signal) };
}

/// Starts a process that ends with this one, however that ends. The kernel ties it to the
/// thread that starts it, so that thread stays.
fn spawn(mut command: Command) -> Child {
    use std::os::unix::process::CommandExt;
    type Request = (Command, mpsc::Sender<std::io::Result<Child>>);
    static KEEPER: OnceLock<mpsc::Sender<Request>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in requests {
                // Whoever asked waits for the answer.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    // SAFETY: `prctl` is safe to call between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    let (sender, answer) = mpsc::channel();
    keeper.send((command, sender)).unwrap();
    let child = answer.recv().unwrap().unwrap();
    leftovers().lock().unwrap().pids.push(child.id());
    child
}
