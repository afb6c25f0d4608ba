//! The one type that runs guests: compiles components, and calls each in an instance of its own.

use crate::bindings::agent::AgentGuestPre;
use crate::bindings::tool::ToolGuestPre;
use crate::bindings::{agent_export, tool_export, types};
use crate::cache::{Cache, Found};
use crate::call::{self, AbortOnDrop, Ends, Work, check_result};
use crate::compile::{self, CompileError};
use crate::component::{Component, Entry, Origin};
use crate::contract;
use crate::engine::{self, Ticker};
use crate::hurry::{Hurried, Hurry};
use crate::imports::{self, Imports};
use crate::invocation::{End, Ended, State};
use crate::nowhere::{self, Nowhere};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::wasi::Ambient;
use mandate_types::{Digest, GuestKind, Limits};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::Linker;
use wasmtime::{Engine, Store};

/// How many turns of guests a thread takes before it looks at timers: with a tick for each turn,
/// limits on time are late by that.
const POLLS_BETWEEN_TIMERS: u32 = 8;

/// Why the runtime cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// wasmtime does not take the settings.
    #[error("the engine cannot be built with these settings: {0}")]
    Engine(String),
    /// The system gives no threads.
    #[error("cannot start threads for guests: {0}")]
    Threads(#[source] std::io::Error),
}

/// Why a call failed before or without a guest's answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallError(#[from] pub End);

/// Runs guests for the host implementation `H`.
pub struct Runtime<H: 'static> {
    settings: Settings,
    engine: Engine,
    linker: Linker<State<H>>,
    pub(crate) nowhere: Linker<State<Nowhere>>,
    cache: Option<Arc<Cache>>,
    /// Guests have threads of their own: what they compute delays nobody else. Only taken at drop.
    guests: Option<tokio::runtime::Runtime>,
    handle: tokio::runtime::Handle,
    hurry: Hurry,
    _ticker: Ticker,
}

impl<H: Imports> Runtime<H> {
    /// Builds the engine, links the host's functions, and starts the threads that run guests.
    ///
    /// # Errors
    /// [`RuntimeError`] when the settings do not fit or the system lacks resources.
    pub fn new(settings: Settings) -> Result<Self, RuntimeError> {
        let wrong = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let engine = engine::engine(&settings).map_err(wrong)?;
        let linker = imports::linker(&engine).map_err(wrong)?;
        let nowhere = nowhere::linker(&engine).map_err(wrong)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let cache = settings
            .cache_dir
            .clone()
            .map(|dir| Arc::new(Cache::new(dir, settings.cache_key, hasher.finish())));
        let mut guests = tokio::runtime::Builder::new_multi_thread();
        if let Some(threads) = settings.threads {
            guests.worker_threads(threads.max(1));
        }
        let guests = guests
            .thread_name("guest")
            .event_interval(POLLS_BETWEEN_TIMERS)
            .enable_all()
            .build()
            .map_err(RuntimeError::Threads)?;
        let ticker = Ticker::start(engine.clone(), settings.tick).map_err(RuntimeError::Threads)?;
        Ok(Self {
            settings,
            engine,
            linker,
            nowhere,
            cache,
            handle: guests.handle().clone(),
            guests: Some(guests),
            hurry: Hurry::default(),
            _ticker: ticker,
        })
    }

    /// Makes a component of `kind` ready to be called: from the cache, or by compiling it. Not for
    /// the path of a call. `digest` names the component in the cache.
    ///
    /// # Errors
    /// [`CompileError`] says what is wrong with the component, or what failed here.
    pub async fn compile(
        &self,
        digest: &Digest,
        kind: GuestKind,
        wasm: &[u8],
    ) -> Result<Component<H>, CompileError> {
        compile::check_header(wasm)?;
        let (artifact, origin) = match self.cached(digest).await? {
            Some(artifact) => (artifact, Origin::Cached),
            None => (self.fresh(digest, wasm).await?, Origin::Compiled),
        };
        let engine = self.engine.clone();
        let component = blocking(move || {
            // SAFETY: the bytes were made by this host's compiler from this engine's
            // configuration, just now or under the MAC that the cache has checked.
            unsafe { wasmtime::component::Component::deserialize(&engine, &artifact) }
                .map_err(|error| CompileError::Invalid(format!("{error:#}")))
        })
        .await?;
        self.link(digest, kind, origin, component)
    }

    async fn cached(&self, digest: &Digest) -> Result<Option<Vec<u8>>, CompileError> {
        let Some(cache) = self.cache.clone() else {
            return Ok(None);
        };
        let wanted = digest.clone();
        match blocking(move || cache.get(&wanted).map_err(CompileError::Cache)).await? {
            Found::Artifact(artifact) => Ok(Some(artifact)),
            Found::Nothing => Ok(None),
            Found::Tampered => {
                tracing::warn!(%digest, "compiled code in the cache is not what this host wrote; compiling again");
                Ok(None)
            }
        }
    }

    async fn fresh(&self, digest: &Digest, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
        let artifact = match &self.settings.compile_command {
            Some(command) => compile::in_child(command, &self.settings, wasm).await?,
            None => {
                let (engine, wasm) = (self.engine.clone(), wasm.to_vec());
                let limits = self.settings.compile_limits.clone();
                blocking(move || compile::in_process(&engine, &wasm, &limits)).await?
            }
        };
        let Some(cache) = self.cache.clone() else {
            return Ok(artifact);
        };
        let digest = digest.clone();
        blocking(move || match cache.put(&digest, &artifact) {
            Ok(()) => Ok(artifact),
            Err(error) => Err(CompileError::Cache(error)),
        })
        .await
    }

    fn link(
        &self,
        digest: &Digest,
        kind: GuestKind,
        origin: Origin,
        component: wasmtime::component::Component,
    ) -> Result<Component<H>, CompileError> {
        let shape = component.component_type();
        let imports: Arc<[String]> = shape
            .imports(&self.engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        let exports: Vec<String> = shape
            .exports(&self.engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        contract::check(
            kind,
            imports.iter().map(String::as_str),
            exports.iter().map(String::as_str),
        )?;
        let wrong = |error: wasmtime::Error| CompileError::Link(format!("{error:#}"));
        let estimating = contract::estimates(exports.iter().map(String::as_str))
            .then(|| nowhere::estimating(&self.nowhere, &component))
            .transpose()
            .map_err(wrong)?;
        let pre = self.linker.instantiate_pre(&component).map_err(wrong)?;
        let entry = match kind {
            GuestKind::Agent => Entry::Agent(AgentGuestPre::new(pre).map_err(wrong)?),
            GuestKind::Tool => Entry::Tool(ToolGuestPre::new(pre).map_err(wrong)?),
        };
        Ok(Component {
            digest: digest.clone(),
            kind,
            origin,
            component,
            entry,
            estimating,
            imports,
        })
    }

    /// Runs an agent on `task`, in a fresh instance.
    ///
    /// Dropping the future ends the guest, and its host implementation with it.
    pub async fn run_agent(
        &self,
        component: &Component<H>,
        host: H,
        limits: &Limits,
        stop: Stop,
        task: agent_export::Task,
    ) -> Ended<H, Result<agent_export::Report, types::types::Error>> {
        let Entry::Agent(pre) = component.entry.clone() else {
            return not_a(GuestKind::Agent, host);
        };
        let most = limits.result_bytes;
        self.run(host, limits, stop, move |store| {
            Box::pin(async move {
                let guest = pre.instantiate_async(&mut *store).await?;
                let report = guest.mandate_agent_agent().call_run(store, &task).await?;
                if let Ok(report) = &report {
                    check_result(report.output.len() + report.summary.len(), most)?;
                }
                Ok(report)
            })
        })
        .await
    }

    /// Calls a tool, in a fresh instance; the result is JSON text.
    ///
    /// Dropping the future ends the guest, and its host implementation with it.
    pub async fn call_tool(
        &self,
        component: &Component<H>,
        host: H,
        limits: &Limits,
        stop: Stop,
        request: tool_export::Request,
    ) -> Ended<H, Result<String, types::types::Error>> {
        let Entry::Tool(pre) = component.entry.clone() else {
            return not_a(GuestKind::Tool, host);
        };
        let most = limits.result_bytes;
        self.run(host, limits, stop, move |store| {
            Box::pin(async move {
                let guest = pre.instantiate_async(&mut *store).await?;
                let result = guest.mandate_tool_tool().call_call(store, &request).await?;
                if let Ok(result) = &result {
                    check_result(result.len(), most)?;
                }
                Ok(result)
            })
        })
        .await
    }

    /// Runs `future` on the threads of guests. Calls that it makes itself need no change of
    /// thread: whoever makes one call after another saves some 10 µs for each.
    pub fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Lets no guest have another turn, as long as this is held: whoever is to be stopped does not
    /// wait for the turns of all others.
    pub fn hurry(&self) -> Hurried {
        self.hurry.begin()
    }

    /// Guests that are alive, by the allocator's own count.
    pub fn guests(&self) -> u64 {
        let pool = self.engine.pooling_allocator_metrics();
        pool.map_or(0, |pool| pool.component_instances())
    }

    /// Tasks that are alive on the threads of guests.
    pub fn tasks(&self) -> usize {
        self.handle.metrics().num_alive_tasks()
    }

    /// Runs `work` in a store of its own on the guests' threads, bounded by `limits` and `stop`.
    pub(crate) async fn run<A, T, W>(
        &self,
        host: A,
        limits: &Limits,
        stop: Stop,
        work: W,
    ) -> Ended<A, T>
    where
        A: Ambient,
        T: Send + 'static,
        W: Work<A, T>,
    {
        let ends = Ends {
            stop,
            watch: host.stopwatch(),
            hurry: self.hurry.clone(),
        };
        let state = State::new(host, limits, self.settings.max_memory_bytes);
        let store = Store::new(&self.engine, state);
        let call = call::supervise(store, limits.clone(), ends, self.settings.stack_bytes, work);
        if call::may_run_here(&self.handle) {
            return call.await;
        }
        match AbortOnDrop(self.handle.spawn(call)).await {
            Ok(ended) => ended,
            // Everything that can panic is caught in the call; and `self` keeps the threads alive.
            Err(lost) => std::panic::resume_unwind(lost.into_panic()),
        }
    }
}

impl<H: 'static> Drop for Runtime<H> {
    fn drop(&mut self) {
        if let Some(guests) = self.guests.take() {
            // Waiting for the threads is not allowed on a thread of another tokio runtime.
            guests.shutdown_background();
        }
    }
}

fn not_a<H, T>(kind: GuestKind, host: H) -> Ended<H, T> {
    Ended {
        outcome: Err(End::Trap(format!(
            "the component is not of the kind `{kind}`"
        ))),
        host,
        peak_memory_bytes: 0,
        elapsed: Duration::ZERO,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CompileError> + Send + 'static,
) -> Result<T, CompileError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(lost) => Err(CompileError::Worker(lost.to_string())),
    }
}
