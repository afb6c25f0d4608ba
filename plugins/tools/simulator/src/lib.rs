//! A living environment that does not exist: services with a call graph, telemetry, alerts, faults with known causes,
//! and what actions do to it. Everything that it makes says that it is simulated.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod model;

mod advance;
mod feed;
mod generate;
mod lifecycle;
mod notify;
mod operate;
mod records;

pub use advance::Advance;
pub use generate::Generate;
pub use lifecycle::{Start, Stop};
pub use operate::{Apply, Inject, Look};

mandate_sdk::tools!(Start, Stop, Look, Inject, Advance, Apply, Generate);

#[cfg(test)]
mod tests;
