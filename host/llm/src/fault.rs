//! Why an attempt at a provider failed, in terms of what can be done about it: try again there,
//! ask another one, leave it alone for a while, or tell the caller that he is wrong.

use crate::Usage;
use std::time::Duration;

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request itself: nobody would answer it.
    Request,
    /// The request is too long for this model; another may take it.
    TooLong,
    /// The key was refused: nothing but another key helps.
    Key,
    /// The account has no money left, or reached its own limit.
    Spent,
    /// The provider does not know the model.
    Model,
    /// Too many requests, or the provider is not well.
    Busy,
    /// No connection came about: nothing was sent.
    Connection,
    /// An answer did not come in time, or not to its end.
    Interrupted,
    /// What came is no answer.
    Garbled,
    /// It is an answer, but not in the form that was asked for.
    Unfit,
}

impl Kind {
    /// Whether another provider may do better.
    pub fn is_curable_elsewhere(self) -> bool {
        self != Self::Request
    }

    /// Whether the same provider may do better in a moment.
    pub fn is_curable_here(self) -> bool {
        matches!(self, Self::Busy | Self::Connection)
    }

    /// The word in metrics, traces and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::TooLong => "too_long",
            Self::Key => "key",
            Self::Spent => "spent",
            Self::Model => "model",
            Self::Busy => "busy",
            Self::Connection => "connection",
            Self::Interrupted => "interrupted",
            Self::Garbled => "garbled",
            Self::Unfit => "unfit",
        }
    }
}

/// What a failed attempt may be billed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billed {
    /// It was refused, or never arrived.
    Nothing,
    /// So much, as the provider says.
    Used(Usage),
    /// Nobody knows: it counts as what was reserved.
    Unknown,
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// What failed.
    pub kind: Kind,
    /// For people: what the provider said, without what the request said.
    pub reason: String,
    /// How long the provider wants to be left alone, if it says.
    pub retry_after: Option<Duration>,
    /// What it may be billed for.
    pub billed: Billed,
}

impl Fault {
    /// A fault that is billed for nothing.
    pub fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            retry_after: None,
            billed: Billed::Nothing,
        }
    }

    /// A fault of an attempt that had arrived: nobody knows what it is billed for.
    pub fn arrived(kind: Kind, reason: impl Into<String>) -> Self {
        Self {
            billed: Billed::Unknown,
            ..Self::new(kind, reason)
        }
    }
}
