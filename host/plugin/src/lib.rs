//! What a plugin is: its manifest, its file, its signature, and what is installed.

pub mod manifest;

pub use manifest::Manifest;
