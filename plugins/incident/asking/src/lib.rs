//! What the incident agents ask alike, and how far they believe the answers: which incident they are about, what
//! monitoring sees, what a model thinks. Each of the agents links it; none of them calls another through it.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod incident;
pub mod model;
pub mod monitoring;
pub mod text;
