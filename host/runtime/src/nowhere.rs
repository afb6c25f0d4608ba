//! Guests that are only asked something about themselves: what they are, what a call would cost.
//! They run in a sandbox where every import traps, so that nothing can come of it.

use crate::bindings::agent::AgentGuest;
use crate::bindings::estimate_export::CallCost;
use crate::bindings::estimating::EstimatingGuestPre;
use crate::bindings::tool::ToolGuest;
use crate::bindings::types::types::Error;
use crate::call::check_result;
use crate::component::{Component, Description};
use crate::imports::Imports;
use crate::invocation::{End, State};
use crate::output::Stream;
use crate::runtime::{CallError, Runtime};
use crate::stop::Stop;
use crate::wasi::{self, Ambient};
use mandate_types::{GuestKind, Limits};
use wasmtime::Engine;
use wasmtime::component::Linker;

/// The most bytes of an estimate's texts.
const ESTIMATE_BYTES: u64 = 16 << 10;

/// The surroundings of such a guest: nothing happens there.
pub(crate) struct Nowhere;

impl Ambient for Nowhere {
    fn wasi_now(&mut self) -> u64 {
        0
    }
    fn wasi_random(&mut self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
    fn wasi_output(&mut self, _: Stream, _: &str) -> Result<(), End> {
        Ok(())
    }
}

/// A linker without any import of the contract.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State<Nowhere>>> {
    let mut linker = Linker::new(engine);
    wasi::link(&mut linker)?;
    Ok(linker)
}

/// `code`, ready to be asked what its calls cost.
pub(crate) fn estimating(
    nowhere: &Linker<State<Nowhere>>,
    code: &wasmtime::component::Component,
) -> wasmtime::Result<EstimatingGuestPre<State<Nowhere>>> {
    let mut linker = nowhere.clone();
    linker.define_unknown_imports_as_traps(code)?;
    EstimatingGuestPre::new(linker.instantiate_pre(code)?)
}

impl<H: Imports> Runtime<H> {
    /// What the guest says about itself, under tight limits.
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

    /// What a call of the tool `name` would cost, as its plugin says; none when the plugin
    /// estimates nothing. Within a second, and within `memory_bytes`.
    ///
    /// # Errors
    /// [`CallError`] when the guest ends without an answer.
    pub async fn estimate(
        &self,
        component: &Component<H>,
        memory_bytes: u64,
        name: String,
        arguments: String,
        settings: String,
    ) -> Result<Option<Result<CallCost, Error>>, CallError> {
        let Some(pre) = component.estimating.clone() else {
            return Ok(None);
        };
        let limits = Limits {
            memory_bytes,
            time_ms: 1_000,
            result_bytes: ESTIMATE_BYTES,
            argument_bytes: ESTIMATE_BYTES,
            log_bytes: 0,
            ..Limits::default()
        };
        let ended = self
            .run(Nowhere, &limits, Stop::new(), move |store| {
                Box::pin(async move {
                    let guest = pre.instantiate_async(&mut *store).await?;
                    let guest = guest.mandate_tool_estimate();
                    let told = guest
                        .call_estimate(store, &name, &arguments, &settings)
                        .await?;
                    if let Ok(CallCost { undo, why, .. }) = &told {
                        let bytes = undo.iter().chain(why).map(String::len).sum();
                        check_result(bytes, ESTIMATE_BYTES)?;
                    }
                    Ok(told)
                })
            })
            .await;
        Ok(Some(ended.outcome?))
    }
}
