//! The one-line macros of the Mandate SDK.
