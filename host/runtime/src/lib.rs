//! wasmtime: one guest call, from store to drop.
//!
//! [`Runtime`] compiles components and runs each call in a fresh instance, generic over the host
//! implementation ([`Imports`]). It knows no domain, no SQL and no HTTP.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod bindings;
mod cache;
mod call;
mod compile;
mod component;
pub mod contract;
mod engine;
mod hurry;
mod imports;
mod invocation;
mod limiter;
mod nowhere;
mod output;
mod runtime;
mod settings;
mod stop;
mod stopwatch;
mod wasi;

pub use compile::{CompileError, compile_worker};
pub use component::{Component, Description, Origin};
pub use engine::config;
pub use hurry::Hurried;
pub use imports::Imports;
pub use invocation::{End, Ended};
pub use output::Stream;
pub use runtime::{CallError, Runtime, RuntimeError};
pub use settings::{CompileLimits, Settings};
pub use stop::Stop;
pub use stopwatch::Stopwatch;
pub use wasi::Ambient;

/// What a host function returns to a guest; the error ends the guest.
pub type HostResult<T> = wasmtime::Result<T>;
/// What ends a guest when a host function returns it; made of an [`End`].
pub type HostError = wasmtime::Error;
