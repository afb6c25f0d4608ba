//! Why no model answered, in terms that the chain and the caller can act on.

use mandate_types::MicroUsd;
use std::time::Duration;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// The request is wrong; no provider would answer it.
    #[error("{reason}")]
    Invalid {
        /// Names the field and what was expected.
        reason: String,
        /// What the attempts before may be billed for all the same.
        cost: MicroUsd,
    },
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
    /// A part of the answer was heard, and the rest does not come.
    #[error("the answer ends in its middle: {reason}")]
    Interrupted {
        /// What the provider said.
        reason: String,
        /// What the attempts may be billed for all the same.
        cost: MicroUsd,
    },
}

impl LlmError {
    /// The request is wrong, and nobody was asked.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid {
            reason: reason.into(),
            cost: MicroUsd::ZERO,
        }
    }

    /// What the attempts may be billed for all the same.
    pub fn cost(&self) -> MicroUsd {
        match self {
            Self::Invalid { cost, .. }
            | Self::Unavailable { cost, .. }
            | Self::Interrupted { cost, .. } => *cost,
        }
    }
}
