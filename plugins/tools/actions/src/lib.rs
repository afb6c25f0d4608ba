//! What can be done to a service, and what that costs and risks. Acts on the simulated environment, and says so; but
//! each action is declared as the real one would be, so that policy decides about it.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod act;
mod catalog;

pub use act::{ClearCache, Done, FailOver, Restart, RollBack, Scale};
pub use catalog::{Catalog, Entries, Entry};

mandate_sdk::tools!(Restart, ClearCache, Scale, RollBack, FailOver, Catalog);

#[cfg(test)]
mod tests;
