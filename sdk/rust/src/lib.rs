//! Write agents and tools for Mandate in Rust.
//!
//! A plugin is a struct, a trait with typed input and output, and one macro line: see [`Agent`] with
//! [`agent!`], and [`Tool`] with [`tools!`]. Everything outside the sandbox goes through [`Host`], which is
//! the real host in wasm and a recording fake in `cargo test` ([`testing`]).

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod agent;
#[doc(hidden)]
pub mod bindings;
pub mod error;
pub mod host;
pub mod http;
pub mod invoke;
pub mod llm;
mod port;
pub mod react;
pub mod records;
pub mod telemetry;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod tool;

pub use agent::{Agent, Report, Task};
pub use error::Error;
pub use host::{Host, Timestamp};
pub use tool::{Context, Estimate, Estimates, Settings, Tool};
pub use {schemars, serde, serde_json};

/// What nearly every plugin names.
pub mod prelude {
    pub use crate::agent::{Agent, Report, Task};
    pub use crate::error::Error;
    pub use crate::host::{Host, Timestamp};
    pub use crate::invoke::{Call, NewTask, Offer, Reasons, Risk};
    pub use crate::llm::{Message, ModelClass, Request};
    pub use crate::records::{Comparison, Record};
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::testing::FakeHost;
    pub use crate::tool::{Context, Estimate, Estimates, Settings, Tool};
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}

use serde::Serialize;
use serde::de::DeserializeOwned;

/// JSON text of a value that crosses the sandbox boundary.
fn to_json(what: &str, value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Invalid(format!("{what}: {error}")))
}

/// A value from JSON text that crossed the sandbox boundary.
fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Invalid(format!("{what}: {error}")))
}

/// The JSON Schema of `T`, as text. `inline` writes nested types in place, which models follow better.
fn schema_of<T: schemars::JsonSchema>(inline: bool) -> String {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = inline;
    });
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
        .to_string()
}
