//! Why no model answered, in terms that the chain and the caller can act on.

use mandate_types::MicroUsd;
use std::time::Duration;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// The request is wrong; no provider would answer it. The text names the field and what was
    /// expected.
    #[error("{0}")]
    Invalid(String),
    /// No provider answers now.
    #[error("no model answers now: {reason}")]
    Unavailable {
        /// What each provider said.
        reason: String,
        /// When another try may succeed; none when no provider said.
        retry_after: Option<Duration>,
        /// What the attempts may be billed for all the same.
        cost: MicroUsd,
    },
}
