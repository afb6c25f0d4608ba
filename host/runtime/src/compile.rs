//! From a plugin's bytes to machine code, in a process that may be lost.
//!
//! A small component can ask its compiler for hours and gigabytes. So it is compiled by a child
//! whose memory and time are bounded by the kernel, and whose loss costs nothing.

use crate::contract::ContractError;
use crate::engine::compile_config;
use crate::settings::{CompileLimits, Settings};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wasmtime::Engine;

/// Status with which the worker says: the component is wrong, and stderr says how.
const REFUSED: i32 = 65;
const HEADER: &str = "mandate-compile-1";
/// Text that the worker may say about a wrong component.
const MESSAGE_BYTES: u64 = 16 << 10;

/// Why a component cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Something else entirely.
    #[error("this is not WebAssembly: it does not begin with the bytes 00 61 73 6d")]
    NotWasm,
    /// The inner part of a plugin without its outer.
    #[error(
        "this is a core WebAssembly module, not a component: build it with `mandate plugin build`, or encode it with `wasm-tools component new`"
    )]
    CoreModule,
    /// The end is missing.
    #[error("the file is cut off: {0}")]
    Truncated(String),
    /// It is WebAssembly, and wrong.
    #[error("this is not a valid component: {0}")]
    Invalid(String),
    /// Compiling it takes more than it may.
    #[error(
        "compiling it exceeded the host's limit of {limit} ({value}); make the plugin's functions smaller, or raise the limit in the host's configuration"
    )]
    Limit {
        /// `time`, `memory` or `code size`.
        limit: &'static str,
        /// How much is allowed, with its unit.
        value: String,
    },
    /// It needs another host.
    #[error("it does not fit this host: {0}")]
    Contract(#[from] ContractError),
    /// An interface has the right name and other functions or types.
    #[error("its imports or exports differ from the contract: {0}")]
    Link(String),
    /// The compiler was lost for reasons that are not the component's.
    #[error("the compiler failed: {0}")]
    Worker(String),
    /// The cache of compiled code cannot be used.
    #[error("the cache of compiled code failed: {0}")]
    Cache(#[source] std::io::Error),
}

/// Says what `wasm` is by its first bytes, before anybody works on it.
pub(crate) fn check_header(wasm: &[u8]) -> Result<(), CompileError> {
    match wasm {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(CompileError::CoreModule),
        [0, b'a', b's', b'm', _, _, _, _, ..] => Err(CompileError::Invalid(
            "its binary format has a version this host does not know".to_owned(),
        )),
        short if short.len() < 8 && b"\0asm".starts_with(short.get(..4).unwrap_or(short)) => Err(
            CompileError::Truncated(format!("it has only {} bytes", short.len())),
        ),
        _ => Err(CompileError::NotWasm),
    }
}

fn refused(text: &str) -> CompileError {
    if text.contains("unexpected end") {
        CompileError::Truncated(text.to_owned())
    } else {
        CompileError::Invalid(text.to_owned())
    }
}

/// Compiles in this process.
pub(crate) fn in_process(
    engine: &Engine,
    wasm: &[u8],
    limits: &CompileLimits,
) -> Result<Vec<u8>, CompileError> {
    let artifact = engine
        .precompile_component(wasm)
        .map_err(|error| refused(&format!("{error:#}")))?;
    check_size(artifact, limits)
}

fn check_size(artifact: Vec<u8>, limits: &CompileLimits) -> Result<Vec<u8>, CompileError> {
    if artifact.len() as u64 > limits.artifact_bytes {
        return Err(exceeded_size(limits));
    }
    Ok(artifact)
}

fn exceeded_size(limits: &CompileLimits) -> CompileError {
    CompileError::Limit {
        limit: "code size",
        value: mebibytes(limits.artifact_bytes),
    }
}

fn exceeded_time(limits: &CompileLimits) -> CompileError {
    CompileError::Limit {
        limit: "time",
        value: format!("{:?}", limits.time),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// Compiles in a child that runs `command` and there [`compile_worker`].
pub(crate) async fn in_child(
    command: &[OsString],
    settings: &Settings,
    wasm: &[u8],
) -> Result<Vec<u8>, CompileError> {
    let limits = &settings.compile_limits;
    let lost = |error: std::io::Error| CompileError::Worker(error.to_string());
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| CompileError::Worker("the command that compiles is empty".to_owned()))?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        // It needs nothing of this process, its secrets least of all.
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            CompileError::Worker(format!("cannot start `{}`: {error}", program.display()))
        })?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(CompileError::Worker("its pipes are missing".to_owned()));
    };
    let header = format!(
        "{HEADER} {} {} {}\n",
        limits.memory_bytes,
        cpu_seconds(limits.time),
        settings.stack_bytes
    );
    let talk = async {
        let send = async {
            // A child that refuses the first bytes need not read the rest: its status tells.
            let _ = stdin.write_all(header.as_bytes()).await;
            let _ = stdin.write_all(wasm).await;
            drop(stdin);
        };
        let mut artifact = Vec::new();
        let mut message = Vec::new();
        let mut code = stdout.take(limits.artifact_bytes.saturating_add(1));
        let mut text = stderr.take(MESSAGE_BYTES);
        let (_, read, said) = tokio::join!(
            send,
            async {
                let read = code.read_to_end(&mut artifact).await;
                // Closed here, so that a child with more to say ends.
                drop(code);
                read
            },
            text.read_to_end(&mut message)
        );
        read.map_err(lost)?;
        said.map_err(lost)?;
        let status = if artifact.len() as u64 > limits.artifact_bytes {
            None
        } else {
            Some(child.wait().await.map_err(lost)?)
        };
        Ok::<_, CompileError>((status, artifact, message))
    };
    let (status, artifact, message) = tokio::time::timeout(limits.time, talk)
        .await
        .map_err(|_| exceeded_time(limits))??;
    match status {
        None => Err(exceeded_size(limits)),
        Some(status) if status.success() => Ok(artifact),
        Some(status) => Err(why(status, &String::from_utf8_lossy(&message), limits)),
    }
}

fn why(status: ExitStatus, message: &str, limits: &CompileLimits) -> CompileError {
    use std::os::unix::process::ExitStatusExt;
    // A compiler without memory may abort, or report what it could not have.
    let memory = ["memory allocation of", "Cannot allocate memory (os error"];
    if memory.iter().any(|text| message.contains(text)) {
        return CompileError::Limit {
            limit: "memory",
            value: mebibytes(limits.memory_bytes),
        };
    }
    if status.code() == Some(REFUSED) {
        return refused(message.trim());
    }
    if status.signal() == Some(libc::SIGXCPU) {
        return exceeded_time(limits);
    }
    let last = message.lines().last().unwrap_or_default();
    CompileError::Worker(format!("it ended with {status}: {last}"))
}

/// Processor time for so much wall-clock time: what all cores can do, and never nothing.
fn cpu_seconds(time: Duration) -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    time.as_secs().saturating_add(1).saturating_mul(cores)
}

/// Compiles one component from `input` to `output` and returns the status to exit with. The
/// binary's hidden subcommand calls it; first of all it bounds the process that it runs in.
/// What is wrong with the component goes to stderr.
///
/// # Errors
/// When `input` does not speak the runtime's language, or pipes or limits fail.
pub fn compile_worker(input: impl Read, mut output: impl Write) -> std::io::Result<i32> {
    let mut input = BufReader::new(input);
    let mut header = String::new();
    input.by_ref().take(200).read_line(&mut header)?;
    let bad = || {
        std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "not called by the runtime",
        )
    };
    let mut words = header
        .strip_prefix(HEADER)
        .ok_or_else(bad)?
        .split_whitespace();
    let mut number = || {
        words
            .next()
            .and_then(|word| word.parse::<u64>().ok())
            .ok_or_else(bad)
    };
    let (memory, seconds, stack) = (number()?, number()?, number()?);
    bound(libc::RLIMIT_CORE, 0)?;
    bound(libc::RLIMIT_AS, memory)?;
    bound(libc::RLIMIT_CPU, seconds)?;
    let mut wasm = Vec::new();
    input.read_to_end(&mut wasm)?;
    let settings = Settings {
        stack_bytes: usize::try_from(stack).map_err(|_| bad())?,
        ..Settings::default()
    };
    let artifact = Engine::new(&compile_config(&settings))
        .and_then(|engine| engine.precompile_component(&wasm));
    match artifact {
        Ok(artifact) => {
            output.write_all(&artifact)?;
            output.flush()?;
            Ok(0)
        }
        Err(error) => {
            writeln!(std::io::stderr(), "{error:#}")?;
            Ok(REFUSED)
        }
    }
}

fn bound(resource: libc::__rlimit_resource_t, value: u64) -> std::io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: `limit` is a valid rlimit that outlives the call, which only reads it.
    match unsafe { libc::setrlimit(resource, &limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_a_file_is() {
        assert!(matches!(check_header(b"\0asm\x0d\0\x01\0..."), Ok(())));
        assert!(matches!(
            check_header(b"\0asm\x01\0\0\0..."),
            Err(CompileError::CoreModule)
        ));
        assert!(matches!(
            check_header(b"\0asm\x09\0\0\0..."),
            Err(CompileError::Invalid(_))
        ));
        assert!(matches!(
            check_header(b"\0as"),
            Err(CompileError::Truncated(_))
        ));
        assert!(matches!(check_header(b""), Err(CompileError::Truncated(_))));
        assert!(matches!(
            check_header(b"#!/bin/sh"),
            Err(CompileError::NotWasm)
        ));
        assert!(matches!(check_header(b"xyz"), Err(CompileError::NotWasm)));
    }

    #[test]
    fn the_worker_talks_to_the_runtime_only() {
        let error = compile_worker(b"hello\n".as_slice(), Vec::new()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}
