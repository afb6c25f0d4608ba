//! Black-box tests that start the real binary with real plugins.
//!
//! What the tests share: a host process, a client for it, and guests that are written in a few
//! lines. This crate is tests all through, so a failure may simply panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod asked;
pub mod attack;
pub mod audit;
pub mod client;
pub mod counting;
pub mod eval;
pub mod guest;
pub mod halting;
pub mod host;
pub mod load;
pub mod model;
pub mod plugin;
pub mod points;
pub mod receiver;
pub mod replays;
pub mod scenario;
pub mod upstream;
pub mod ws;

#[path = "../../host/runtime/tests/common/guests.rs"]
#[allow(missing_docs)]
pub mod hostile;

pub use client::{Answer, Client, is_final};
pub use guest::{Do, Text};
pub use host::{Host, Options};
pub use plugin::{Plugin, agent, tool};
