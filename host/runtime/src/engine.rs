//! How wasmtime is configured: deterministic, pooled, and interrupted by a tick.

use crate::settings::Settings;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Memories that one component may have. Real guests have one.
pub(crate) const MEMORIES_PER_COMPONENT: u32 = 8;
/// Tables that one component may have. Python guests have a few per library.
pub(crate) const TABLES_PER_COMPONENT: u32 = 64;
/// Core instances that one component may have. Python guests have dozens.
pub(crate) const CORE_INSTANCES_PER_COMPONENT: u32 = 256;
/// Elements that a table can ever have.
pub(crate) const TABLE_ELEMENTS: usize = 1 << 20;
/// Of the stack that a guest runs on, how much is left to the host functions it calls.
const HOST_STACK_BYTES: usize = 1536 << 10;
/// Of a guest's memory, how much is reset by writing instead of by a system call: at 64 guests at
/// once, threads would meet in the kernel's memory-map lock (measured, design §7).
const KEEP_RESIDENT_BYTES: usize = 1 << 20;

/// What decides about compiled code; the same in the compiler's process and here.
pub(crate) fn compile_config(settings: &Settings) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .wasm_component_model(true)
        .wasm_multi_memory(true)
        .wasm_memory64(true)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
        .memory_init_cow(true)
        .max_wasm_stack(settings.stack_bytes)
        .async_stack_size(settings.stack_bytes.saturating_add(HOST_STACK_BYTES));
    config
}

/// The configuration of the engine that runs guests, pool included. Public for whoever compares
/// a call with wasmtime alone.
pub fn config(settings: &Settings) -> Config {
    let mut config = compile_config(settings);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings)));
    config
}

/// The engine that runs guests.
///
/// # Errors
/// When wasmtime does not accept the configuration or the address space does not suffice.
pub(crate) fn engine(settings: &Settings) -> wasmtime::Result<Engine> {
    Engine::new(&config(settings))
}

fn pool(settings: &Settings) -> PoolingAllocationConfig {
    let instances = settings.max_instances.max(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(32))
        .total_memories(instances.saturating_mul(2).max(MEMORIES_PER_COMPONENT))
        .total_tables(instances.saturating_mul(4).max(TABLES_PER_COMPONENT))
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_memories_per_module(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(8 << 20)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(usize::try_from(settings.max_memory_bytes).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::No);
    pool
}

/// Moves the engine's epoch on, from a thread of its own, until dropped.
pub(crate) struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts ticking.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(engine: Engine, tick: Duration) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("guest-tick".to_owned())
            .spawn(move || {
                while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(tick) {
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It only counts; if it panicked there is nothing to be done about it here.
            let _ = thread.join();
        }
    }
}
