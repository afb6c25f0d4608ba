//! Tools that need nothing but their arguments: counts, terms and summaries of texts, and a small library of
//! articles about running operations to search and read.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod counts;
mod library;
mod summary;
mod words;

pub use counts::{ExtractTerms, WordCount};
pub use library::{Read, Search};
pub use summary::Summarize;

mandate_sdk::tools!(WordCount, ExtractTerms, Summarize, Search, Read);

use mandate_sdk::Error;

/// A number that the caller may leave out, within what makes sense.
fn within(name: &str, value: Option<u32>, default: u32, most: u32) -> Result<usize, Error> {
    let value = value.unwrap_or(default);
    if (1..=most).contains(&value) {
        return Ok(value as usize);
    }
    Err(Error::invalid(format!(
        "{name}: expected 1 to {most}, not {value}"
    )))
}
