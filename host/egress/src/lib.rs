//! The way out to other hosts: one request, to an address that was looked at, with secrets that
//! only it sees. Knows no plugin, no journal and no database.
//!
//! A request has a connection of its own: nothing of one plugin, tenant or secret is left in it
//! for the next, and no client decides by itself to send something twice.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod connect;
mod exchange;
mod guard;
mod headers;
mod mask;
mod network;
mod resolve;
mod secrets;
mod send;
mod template;

pub use guard::{Guard, GuardError};
pub use resolve::{Resolver, SystemResolver};
pub use secrets::{SecretError, SecretSettings, Secrets};
pub use send::{Egress, Request, Response, SendError, Settings};
pub use template::secret_names;
