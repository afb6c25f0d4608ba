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

pub mod chain;
pub mod error;
pub mod price;
pub mod provider;
pub mod providers;
pub mod types;

pub use chain::Chain;
pub use error::LlmError;
pub use price::Price;
pub use provider::Provider;
pub use types::{
    Embeddings, Finish, Message, ModelClass, Request, Response, Role, ToolCall, ToolChoice,
    ToolSpec, Usage,
};
