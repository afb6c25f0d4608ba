//! What an operator may set about running guests, and the defaults.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How compilation of one component is bounded: a small file can ask for hours of work.
#[derive(Clone, Debug)]
pub struct CompileLimits {
    /// Wall-clock time; the compiler's processor time is bounded by as much per core.
    pub time: Duration,
    /// Bytes of address space of the compiler's process.
    pub memory_bytes: u64,
    /// Bytes of compiled code.
    pub artifact_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(180),
            memory_bytes: 4 << 30,
            artifact_bytes: 512 << 20,
        }
    }
}

/// How the runtime is built.
#[derive(Clone)]
pub struct Settings {
    /// Where compiled code is kept; without it every start compiles again.
    pub cache_dir: Option<PathBuf>,
    /// The key under which compiled code is authenticated: compiled code is trusted like the host's own.
    pub cache_key: [u8; 32],
    /// The command that calls [`crate::compile_worker`]; without it, components are compiled in
    /// this process and [`CompileLimits`] bind only the size of the code.
    pub compile_command: Option<Vec<OsString>>,
    /// Bounds of compilation.
    pub compile_limits: CompileLimits,
    /// Guests alive at the same time, those that wait for their children included.
    pub max_instances: u32,
    /// Bytes that one memory can ever have, whatever a grant says.
    pub max_memory_bytes: u64,
    /// Bytes of a guest's call stack.
    pub stack_bytes: usize,
    /// How often a computing guest lets others run and looks whether it was stopped.
    pub tick: Duration,
    /// Threads that run guests; without it, one per core.
    pub threads: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_dir: None,
            cache_key: [0; 32],
            compile_command: None,
            compile_limits: CompileLimits::default(),
            max_instances: 1_000,
            max_memory_bytes: 1 << 30,
            stack_bytes: 512 << 10,
            tick: Duration::from_millis(10),
            threads: None,
        }
    }
}

impl std::fmt::Debug for Settings {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("cache_dir", &self.cache_dir)
            .field("compile_command", &self.compile_command)
            .field("compile_limits", &self.compile_limits)
            .field("max_instances", &self.max_instances)
            .field("max_memory_bytes", &self.max_memory_bytes)
            .field("stack_bytes", &self.stack_bytes)
            .field("tick", &self.tick)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
