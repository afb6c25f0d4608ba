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
mod compile;
pub mod contract;
mod engine;
mod invocation;
mod limiter;
mod runtime;
mod settings;
mod stop;
mod wasi;

pub use compile::{CompileError, compile_worker};
pub use invocation::{End, Ended};
pub use runtime::{CallError, Component, Description, Imports, Origin, Runtime, RuntimeError};
pub use settings::{CompileLimits, Settings};
pub use stop::Stop;
pub use wasi::{Ambient, Stream};
