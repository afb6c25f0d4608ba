//! Write agents and tools for Mandate in Rust.
