//! Runbooks and what past incidents taught: brings runbooks of its own, finds those that fit a fault, and learns from
//! how incidents ended.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod add;
mod lesson;
mod read;
mod search;
mod seeds;
mod words;

pub use add::AddRunbook;
pub use lesson::{Learn, Lesson};
pub use read::Read;
pub use search::Search;

mandate_sdk::tools!(Search, Read, AddRunbook, Learn);

#[cfg(test)]
mod tests;
