//! What a plugin is: its manifest, its file, its signature, and what it asks for. Reading a
//! plugin never runs it.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod description;
pub mod encode;
pub mod imports;
pub mod inspect;
pub mod manifest;
pub mod package;
pub mod schema;
pub mod signature;

pub use description::{AgentDescription, Description, ToolDescription};
pub use inspect::Authority;
pub use manifest::Manifest;
pub use package::{Package, PackageError};
pub use schema::{SchemaError, Validator, compile_schema, validate};
pub use signature::{Signature, Trust, TrustedKeys};
