//! What every telemetry store must do: nothing that was accepted is lost, nothing is there twice,
//! and nobody sees what is another's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod durability;
mod fixtures;
mod lines;
mod points;
mod retention;
mod spans;
