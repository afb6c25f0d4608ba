//! The provider chain behind model classes: plugins ask for a class, never for a vendor or a key.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod bedrock;
pub mod breaker;
mod bucket;
pub mod cache;
pub mod catalog;
pub mod chain;
pub mod error;
pub mod exchange;
pub mod fault;
pub mod gate;
mod grammar;
mod measure;
pub mod message;
pub mod meter;
mod pause;
pub mod price;
pub mod provider;
pub mod providers;
pub mod redact;
pub mod request;
pub mod response;
pub mod seat;
mod span;
mod structured;
pub mod trace;
pub mod upstream;
pub mod wire;

pub use chain::Chain;
pub use error::LlmError;
pub use fault::{Fault, Kind};
pub use message::{Message, Role, Thoughts, ToolCall};
pub use meter::{Caller, Meter, Planned, Unpaid};
pub use price::Price;
pub use provider::{Heard, Provider};
pub use request::{ModelClass, Request, ToolChoice, ToolSpec};
pub use response::{Embeddings, Finish, Response, Usage};
