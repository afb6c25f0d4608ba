//! What can go wrong at the sandbox boundary, with the facts that a caller needs to act.

use crate::Timestamp;
use crate::bindings::WireError;
use crate::bindings::imports::mandate::types::types as wire;
use std::fmt;
use std::time::Duration;

/// Every way in which a call of the host, a tool or an agent can fail. Closed: nothing else happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The capability is not granted, or the effect is not allowed here.
    Denied {
        /// As the manifest names it: `records`, `invoke`, …
        capability: String,
        /// What was refused, and what the operator could change.
        reason: String,
    },
    /// A human refused more money.
    BudgetExhausted {
        /// When the budget's window resets, if it does.
        resets_at: Option<Timestamp>,
    },
    /// What was passed is wrong; names the field and what was expected.
    Invalid(String),
    /// Something behind the host does not answer now.
    Unavailable {
        /// What, and why.
        reason: String,
        /// After which another try may succeed; `None` when the host does not know.
        retry_after: Option<Duration>,
    },
    /// There is no such record, tool, agent, …
    NotFound(String),
    /// The record changed since it was read, or the id is taken.
    Conflict(String),
    /// A stream or call ended half-way and cannot be continued.
    Interrupted(String),
    /// The called agent or tool ended without an answer; or this one does.
    Failed {
        /// What went wrong, for people.
        message: String,
        /// Whether the same call may succeed later.
        retryable: bool,
    },
}

impl Error {
    /// This agent or tool gives up, and trying again would not help.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            retryable: false,
        }
    }

    /// This agent or tool gives up; the same may succeed later.
    pub fn failed_for_now(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            retryable: true,
        }
    }

    /// What was passed is wrong; say which field and what was expected.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// Whether the same call may succeed later, without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Interrupted(_) | Self::Conflict(_) => true,
            Self::Failed { retryable, .. } => *retryable,
            _ => false,
        }
    }

    /// Whether there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    /// Whether the record changed since it was read, or the id is taken.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { capability, reason } => write!(f, "denied ({capability}): {reason}"),
            Self::BudgetExhausted { resets_at: None } => f.write_str("the budget is exhausted"),
            Self::BudgetExhausted {
                resets_at: Some(at),
            } => {
                write!(
                    f,
                    "the budget is exhausted until {at} (microseconds since 1970)"
                )
            }
            Self::Invalid(text) => write!(f, "invalid: {text}"),
            Self::Unavailable {
                reason,
                retry_after: None,
            } => write!(f, "unavailable: {reason}"),
            Self::Unavailable {
                reason,
                retry_after: Some(after),
            } => {
                write!(
                    f,
                    "unavailable: {reason}; try again after {} ms",
                    after.as_millis()
                )
            }
            Self::NotFound(text) => write!(f, "not found: {text}"),
            Self::Conflict(text) => write!(f, "conflict: {text}"),
            Self::Interrupted(text) => write!(f, "interrupted: {text}"),
            Self::Failed { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Denied(wire::Denial { capability, reason }) => {
                Self::Denied { capability, reason }
            }
            WireError::BudgetExhausted(resets_at) => Self::BudgetExhausted { resets_at },
            WireError::Invalid(text) => Self::Invalid(text),
            WireError::Unavailable(wire::Outage {
                reason,
                retry_after_ms,
            }) => Self::Unavailable {
                reason,
                retry_after: retry_after_ms.map(Duration::from_millis),
            },
            WireError::NotFound(text) => Self::NotFound(text),
            WireError::Conflict(text) => Self::Conflict(text),
            WireError::Interrupted(text) => Self::Interrupted(text),
            WireError::Failed(wire::Failure { message, retryable }) => {
                Self::Failed { message, retryable }
            }
        }
    }
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied { capability, reason } => {
                Self::Denied(wire::Denial { capability, reason })
            }
            Error::BudgetExhausted { resets_at } => Self::BudgetExhausted(resets_at),
            Error::Invalid(text) => Self::Invalid(text),
            Error::Unavailable {
                reason,
                retry_after,
            } => Self::Unavailable(wire::Outage {
                reason,
                retry_after_ms: retry_after
                    .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            }),
            Error::NotFound(text) => Self::NotFound(text),
            Error::Conflict(text) => Self::Conflict(text),
            Error::Interrupted(text) => Self::Interrupted(text),
            Error::Failed { message, retryable } => {
                Self::Failed(wire::Failure { message, retryable })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_crosses_the_boundary_and_comes_back() {
        let all = [
            Error::Denied {
                capability: "llm".into(),
                reason: "no".into(),
            },
            Error::BudgetExhausted { resets_at: Some(7) },
            Error::invalid("a: expected a number"),
            Error::Unavailable {
                reason: "down".into(),
                retry_after: Some(Duration::from_millis(20)),
            },
            Error::NotFound("x".into()),
            Error::Conflict("x".into()),
            Error::Interrupted("x".into()),
            Error::failed_for_now("x"),
        ];
        for error in all {
            assert_eq!(Error::from(WireError::from(error.clone())), error);
        }
    }

    #[test]
    fn question_mark_turns_broken_json_into_invalid() {
        fn parse() -> Result<u32, Error> {
            Ok(serde_json::from_str("x")?)
        }
        assert!(matches!(parse(), Err(Error::Invalid(_))));
    }
}
