//! What compiles guests on this machine: rustup's `wasm32-unknown-unknown`, or Debian's pair of
//! compiler and library source where rustup cannot download targets.

use anyhow::{Context, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target of guests: no WASI at all, the least authority.
pub const TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library/Cargo.toml";

/// A way to compile guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestTarget {
    /// The cargo on the PATH has the target.
    Installed,
    /// Debian's `rustc-web`, `cargo-web` and `rust-web-src`, which build the standard library
    /// along; the folder is where `rust-lld` is, if it is not on the PATH.
    Debian {
        /// Goes in front of the PATH.
        linker: Option<PathBuf>,
    },
}

impl GuestTarget {
    /// Finds a way that is there, or sets one up and says so on stderr.
    ///
    /// # Errors
    /// Says both ways when there is none.
    pub fn find() -> anyhow::Result<Self> {
        let sysroot = sysroot();
        if sysroot.as_deref().is_some_and(has_target) {
            return Ok(Self::Installed);
        }
        if let Some(debian) = debian(sysroot.as_deref()) {
            return Ok(debian);
        }
        if on_path("rustup").is_some() {
            eprintln!("installing the target {TARGET} with rustup (once)");
            let added = Command::new("rustup")
                .args(["target", "add", TARGET])
                .stdout(Stdio::null())
                .status();
            if added.is_ok_and(|status| status.success())
                && sysroot.as_deref().is_some_and(has_target)
            {
                return Ok(Self::Installed);
            }
        }
        bail!(
            "this machine cannot compile for {TARGET} yet. Either, with rustup:\n\n    \
             rustup target add {TARGET}\n\nor, on Debian:\n\n    \
             apt-get install rustc-web cargo-web rust-web-src lld"
        )
    }

    /// The cargo that compiles guests, without its subcommand. Flags of the host's compiler in
    /// the environment are not for guests and are left out.
    pub fn cargo(&self, flags: &[String]) -> Command {
        let mut command = match self {
            Self::Installed => Command::new("cargo"),
            Self::Debian { linker } => {
                let mut command = Command::new(DEBIAN_CARGO);
                command
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1");
                if let Some(path) = linker.as_deref().and_then(in_front_of_path) {
                    command.env("PATH", path);
                } else if on_path("rust-lld").is_none() {
                    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld");
                }
                command
            }
        };
        command
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            .env_remove("CARGO_BUILD_TARGET");
        command
    }

    /// Arguments of `cargo build` that this way needs besides the usual.
    pub fn arguments(&self) -> &'static [&'static str] {
        match self {
            Self::Installed => &[],
            Self::Debian { .. } => &["-Z", "build-std=std,panic_abort"],
        }
    }
}

/// Where the default toolchain is; none without rustc.
fn sysroot() -> Option<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim()))
}

fn has_target(sysroot: &Path) -> bool {
    sysroot
        .join("lib/rustlib")
        .join(TARGET)
        .join("lib")
        .is_dir()
}

fn debian(sysroot: Option<&Path>) -> Option<GuestTarget> {
    if ![DEBIAN_CARGO, DEBIAN_RUSTC, DEBIAN_LIBRARY]
        .iter()
        .all(|file| Path::new(file).is_file())
    {
        return None;
    }
    // Debian's rustc of the stable release is too old for the library's sources; the pair is not.
    if on_path("rust-lld").is_some() {
        return Some(GuestTarget::Debian { linker: None });
    }
    if let Some(linker) = sysroot.and_then(linker_folder) {
        return Some(GuestTarget::Debian {
            linker: Some(linker),
        });
    }
    on_path("wasm-ld").map(|_| GuestTarget::Debian { linker: None })
}

/// The folder of `rust-lld` inside a toolchain of rustup.
fn linker_folder(sysroot: &Path) -> Option<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    hosts
        .flatten()
        .map(|host| host.path().join("bin"))
        .find(|folder| folder.join("rust-lld").is_file())
}

fn in_front_of_path(folder: &Path) -> Option<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).ok()
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Compiles the crate in `dir` and returns the core module that it became. What cargo has to
/// say goes to stderr as it is.
///
/// # Errors
/// When there is no way to compile guests, cargo fails, or the crate is no `cdylib`.
pub fn compile(dir: &Path, target_dir: Option<&Path>) -> anyhow::Result<Vec<u8>> {
    let target = GuestTarget::find()?;
    let dir = dir
        .canonicalize()
        .with_context(|| format!("there is no folder {}", dir.display()))?;
    let crate_manifest = dir.join("Cargo.toml");
    if !crate_manifest.is_file() {
        bail!(
            "there is no Cargo.toml in {}; for a component in another language, pass it with --wasm FILE",
            dir.display()
        );
    }
    if matches!(target, GuestTarget::Debian { .. }) {
        eprintln!(
            "compiling with Debian's compiler; the first time also the standard library, which takes a minute or two"
        );
    }
    let mut command = target.cargo(&flags(&crate_manifest));
    command
        .args(["build", "--release", "--lib", "--target", TARGET])
        .args(target.arguments())
        .arg("--manifest-path")
        .arg(&crate_manifest)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(&dir)
        .stderr(Stdio::inherit());
    if let Some(target_dir) = target_dir {
        command
            .arg("--target-dir")
            .arg(std::path::absolute(target_dir)?);
    }
    let output = command
        .output()
        .context("cargo cannot be started; is Rust installed (https://rustup.rs)?")?;
    if !output.status.success() {
        bail!("cargo could not build the plugin; what it said is above");
    }
    let file = built_file(&output.stdout, &crate_manifest).with_context(|| {
        format!(
            "{} did not become a .wasm file; it needs\n\n    [lib]\n    crate-type = [\"cdylib\", \"rlib\"]",
            crate_manifest.display()
        )
    })?;
    std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
}

/// Small stacks make small instances; and no path of the author's machine gets into the file.
fn flags(crate_manifest: &Path) -> Vec<String> {
    let mut flags = vec!["-Clink-arg=-zstack-size=65536".to_owned()];
    let mut remap =
        |from: &Path, to: &str| flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(cargo_home) = cargo_home.or_else(|| home.map(|home| home.join(".cargo"))) {
        remap(&cargo_home.join("registry/src"), "/registry");
    }
    // The same for every crate of a workspace: else what they share would be compiled for each.
    if let Some(root) = workspace_root(crate_manifest) {
        if let Some(around) = root.parent().filter(|around| around.parent().is_some()) {
            remap(around, "/source");
        }
        remap(&root, "/plugin");
    }
    flags
}

fn workspace_root(crate_manifest: &Path) -> Option<PathBuf> {
    let output = Command::new("cargo")
        .args([
            "locate-project",
            "--workspace",
            "--message-format",
            "plain",
            "--manifest-path",
        ])
        .arg(crate_manifest)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let manifest = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    manifest.parent().map(Path::to_owned)
}

/// The `.wasm` among the files that cargo reports for this crate.
fn built_file(messages: &[u8], crate_manifest: &Path) -> Option<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Message {
        reason: String,
        #[serde(default)]
        manifest_path: PathBuf,
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Message>(line).ok())
        .filter(|message| {
            message.reason == "compiler-artifact" && message.manifest_path == crate_manifest
        })
        .flat_map(|message| message.filenames)
        .find(|file| {
            file.extension()
                .is_some_and(|extension| extension == "wasm")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_this_crate_is_found_among_cargos_messages() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"manifest_path\":\"/a/Cargo.toml\",\"filenames\":[\"/t/a.wasm\"]}\n",
            "not json\n",
            "{\"reason\":\"compiler-artifact\",\"manifest_path\":\"/b/Cargo.toml\",\"filenames\":[\"/t/b.rlib\",\"/t/b.wasm\"]}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        let found = |path: &str| built_file(messages.as_bytes(), Path::new(path));
        assert_eq!(found("/b/Cargo.toml"), Some(PathBuf::from("/t/b.wasm")));
        assert_eq!(found("/c/Cargo.toml"), None);
    }

    #[test]
    fn flags_of_the_host_do_not_reach_guests() {
        let command = GuestTarget::Installed.cargo(&["-Ca=b".to_owned(), "-Cc=d e".to_owned()]);
        let value = |name: &str| {
            command
                .get_envs()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.map(OsString::from))
        };
        assert_eq!(value("RUSTFLAGS"), Some(None));
        assert_eq!(
            value("CARGO_ENCODED_RUSTFLAGS"),
            Some(Some("-Ca=b\u{1f}-Cc=d e".into()))
        );
    }
}
