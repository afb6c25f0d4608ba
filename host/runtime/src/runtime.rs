//! The one type that runs guests: compiles components, and calls each in an instance of its own.

use crate::bindings::agent::{AgentGuest, AgentGuestPre};
use crate::bindings::tool::{ToolGuest, ToolGuestPre};
use crate::bindings::{agent_export, tool_export, types};
use crate::cache::{Cache, Found};
use crate::compile::{self, CompileError};
use crate::component::{Component, Description, Entry, Nowhere, Origin};
use crate::contract;
use crate::engine::{self, Ticker};
use crate::imports::{self, Imports};
use crate::invocation::{End, Ended, State, end_of, limit};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::wasi::{self, Ambient};
use futures::FutureExt;
use futures::future::BoxFuture;
use mandate_types::{Digest, GuestKind, LimitName, Limits};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::Linker;
use wasmtime::{Engine, Store, UpdateDeadline};

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
    nowhere: Linker<State<Nowhere>>,
    cache: Option<Arc<Cache>>,
    /// Guests have threads of their own: what they compute delays nobody else. Only taken at drop.
    guests: Option<tokio::runtime::Runtime>,
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
        let mut nowhere = Linker::new(&engine);
        wasi::link(&mut nowhere).map_err(wrong)?;
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
            .enable_time()
            .build()
            .map_err(RuntimeError::Threads)?;
        let ticker = Ticker::start(engine.clone(), settings.tick).map_err(RuntimeError::Threads)?;
        Ok(Self {
            settings,
            engine,
            linker,
            nowhere,
            cache,
            guests: Some(guests),
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
            imports,
        })
    }

    /// What the guest says about itself, in a sandbox where every import traps, under tight limits.
    ///
    /// # Errors
    /// [`CallError`] when it ends without an answer.
    pub async fn describe(&self, component: &Component<H>) -> Result<Description, CallError> {
        let limits = Limits {
            memory_bytes: 256 << 20,
            time_ms: 10_000,
            result_bytes: 1 << 20,
            argument_bytes: 1 << 20,
            log_bytes: 64 << 10,
            ..Limits::default()
        };
        let mut linker = self.nowhere.clone();
        let code = component.component.clone();
        let trap = |error: wasmtime::Error| CallError(End::Trap(format!("{error:#}")));
        linker
            .define_unknown_imports_as_traps(&code)
            .map_err(trap)?;
        let kind = component.kind;
        let ended = self
            .run(Nowhere, &limits, Stop::new(), move |store| {
                Box::pin(async move {
                    match kind {
                        GuestKind::Agent => {
                            let guest =
                                AgentGuest::instantiate_async(&mut *store, &code, &linker).await?;
                            let guest = guest.mandate_agent_agent();
                            Ok(Description::Agent(guest.call_describe(store).await?))
                        }
                        GuestKind::Tool => {
                            let guest =
                                ToolGuest::instantiate_async(&mut *store, &code, &linker).await?;
                            let guest = guest.mandate_tool_tool();
                            Ok(Description::Tools(guest.call_describe(store).await?))
                        }
                    }
                })
            })
            .await;
        Ok(ended.outcome?)
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

    /// Runs `work` in a store of its own on the guests' threads, bounded by `limits` and `stop`.
    async fn run<A, T, W>(&self, host: A, limits: &Limits, stop: Stop, work: W) -> Ended<A, T>
    where
        A: Ambient,
        T: Send + 'static,
        W: for<'a> FnOnce(&'a mut Store<State<A>>) -> BoxFuture<'a, wasmtime::Result<T>>
            + Send
            + 'static,
    {
        let Some(guests) = &self.guests else {
            return refuse(host, "the runtime is shut down");
        };
        let started = Instant::now();
        let limits = limits.clone();
        let stack_bytes = self.settings.stack_bytes;
        let state = State::new(host, &limits, self.settings.max_memory_bytes);
        let mut store = Store::new(&self.engine, state);
        let call = guests.spawn(async move {
            bound(&mut store, &limits);
            let outcome = {
                let guest = AssertUnwindSafe(work(&mut store)).catch_unwind();
                tokio::select! {
                    biased;
                    reason = stop.stopped() => Err(End::Stopped(reason)),
                    () = tokio::time::sleep(Duration::from_millis(limits.time_ms)) => {
                        Err(limit(LimitName::TimeMs, limits.time_ms))
                    }
                    outcome = guest => match outcome {
                        Ok(Ok(answer)) => Ok(answer),
                        Ok(Err(error)) => Err(end_of(&error, &limits, stack_bytes)),
                        Err(_) => Err(End::Trap("the host failed while it served the guest; its log says why".to_owned())),
                    },
                }
            };
            let mut state = store.into_data();
            state.drain(true);
            Ended {
                outcome: match state.ended {
                    Some(end) => Err(end),
                    None => outcome,
                },
                host: state.host,
                peak_memory_bytes: state.limiter.peak(),
                elapsed: started.elapsed(),
            }
        });
        match AbortOnDrop(call).await {
            Ok(ended) => ended,
            // Everything that can panic was caught above; and `self` keeps the threads alive.
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

/// Sets what bounds the guest of `store` while it computes.
fn bound<A: Ambient>(store: &mut Store<State<A>>, limits: &Limits) {
    store.limiter(|state| &mut state.limiter);
    // One allowance serves both ways; a result above its own limit is refused when it is here.
    let bytes = limits.argument_bytes.max(limits.result_bytes);
    store.set_hostcall_fuel(usize::try_from(bytes).unwrap_or(usize::MAX));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        let state = store.data_mut();
        state.drain(false);
        match state.ended.take() {
            Some(end) => Err(end.into()),
            // Yielding gives the threads to others, and the clock and `Stop` their chance.
            None => Ok(UpdateDeadline::Yield(1)),
        }
    });
}

fn check_result(bytes: usize, most: u64) -> wasmtime::Result<()> {
    if bytes as u64 > most {
        return Err(limit(LimitName::ResultBytes, most).into());
    }
    Ok(())
}

fn not_a<H, T>(kind: GuestKind, host: H) -> Ended<H, T> {
    refuse(host, &format!("the component is not of the kind `{kind}`"))
}

fn refuse<H, T>(host: H, why: &str) -> Ended<H, T> {
    Ended {
        outcome: Err(End::Trap(why.to_owned())),
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

/// A guest whose caller is gone has nobody to answer to.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.0.poll_unpin(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
