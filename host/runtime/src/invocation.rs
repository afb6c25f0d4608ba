//! One guest call as data: what it needs, how it can end, and what is left of it.

use crate::limiter::Limiter;
use crate::wasi::{Ambient, Wasi};
use mandate_types::{LimitHit, LimitName, Limits};
use std::time::Duration;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// How a guest ended without an answer. A host function can ask for one by returning it as its error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// It wanted more than it may use.
    #[error("{0}")]
    Limit(LimitHit),
    /// It crashed; the text is for the plugin's author.
    #[error("the guest crashed: {0}")]
    Trap(String),
    /// Others stopped it, and this is why.
    #[error("stopped: {0}")]
    Stopped(String),
    /// The host has no room for another guest now.
    #[error("no room for another guest: {0}")]
    Full(String),
}

/// What is left when a guest call is over.
#[derive(Debug)]
pub struct Ended<H, T> {
    /// The guest's answer, or how it ended without one.
    pub outcome: Result<T, End>,
    /// The host implementation that the call was given, whatever happened.
    pub host: H,
    /// The largest sum of its memories and tables, in bytes.
    pub peak_memory_bytes: u64,
    /// How long it took, waiting included.
    pub elapsed: Duration,
}

/// What a store holds.
pub(crate) struct State<H> {
    pub(crate) host: H,
    pub(crate) limiter: Limiter,
    pub(crate) wasi: Option<Box<Wasi>>,
    pub(crate) log_bytes: u64,
    /// An end that was asked for where no error can be returned; the next tick raises it.
    pub(crate) ended: Option<End>,
}

impl<H> State<H> {
    pub(crate) fn new(host: H, limits: &Limits, max_memory_bytes: u64) -> Self {
        Self {
            host,
            limiter: Limiter::new(limits.memory_bytes, max_memory_bytes),
            wasi: None,
            log_bytes: limits.log_bytes,
            ended: None,
        }
    }
}

impl<H: Ambient> State<H> {
    /// The host, after it was given what the guest wrote before this call.
    pub(crate) fn host(&mut self) -> &mut H {
        self.drain(false);
        &mut self.host
    }

    pub(crate) fn drain(&mut self, last: bool) {
        if let Some(wasi) = &mut self.wasi
            && let Err(end) = wasi.drain(&mut self.host, last)
        {
            self.ended.get_or_insert(end);
        }
    }
}

/// What `error` says about how the guest ended.
pub(crate) fn end_of(error: &wasmtime::Error, limits: &Limits, stack_bytes: usize) -> End {
    if let Some(end) = find::<End>(error) {
        return end.clone();
    }
    if let Some(full) = find::<PoolConcurrencyLimitError>(error) {
        return End::Full(full.to_string());
    }
    if let Some(I32Exit(code)) = find::<I32Exit>(error) {
        return End::Trap(format!("it called exit with status {code}"));
    }
    let frames = error.downcast_ref::<WasmBacktrace>();
    if let Some(Trap::StackOverflow) = find::<Trap>(error) {
        return limit(LimitName::StackBytes, stack_bytes as u64);
    }
    // wasmtime keeps the type of this error to itself.
    if error
        .chain()
        .any(|cause| cause.to_string().contains("fuel allocated for hostcalls"))
    {
        // An argument is read while the guest runs, a result after it has returned.
        return match frames {
            Some(_) => limit(LimitName::ArgumentBytes, limits.argument_bytes),
            None => limit(LimitName::ResultBytes, limits.result_bytes),
        };
    }
    let mut text = error.root_cause().to_string();
    let names: Vec<&str> = frames
        .iter()
        .flat_map(|trace| trace.frames())
        .filter_map(|frame| frame.func_name())
        .take(8)
        .collect();
    if !names.is_empty() {
        text.push_str(" in ");
        text.push_str(&names.join(" < "));
    }
    End::Trap(text)
}

pub(crate) fn limit(limit: LimitName, value: u64) -> End {
    End::Limit(LimitHit { limit, value })
}

fn find<E: std::error::Error + Send + Sync + 'static>(error: &wasmtime::Error) -> Option<&E> {
    error
        .downcast_ref::<E>()
        .or_else(|| error.chain().find_map(|cause| cause.downcast_ref::<E>()))
}
