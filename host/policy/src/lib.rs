//! Pure functions from facts to a verdict and the rule that gave it. No I/O: what is judged
//! here can be judged again, on the same facts, with the same verdict.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod case;
pub mod cost;
pub mod document;
pub mod facts;
pub mod grant;
pub mod halt;
pub mod http;
pub mod policy;
pub mod terms;
pub mod verdict;

mod autonomy;
mod budget;
mod freeze;
mod overrides;
mod rules;
mod tariff;

pub use budget::{Period, Spender, distinct};
pub use case::{Case, Cases};
pub use cost::{Cost, Estimate, UnknownCost, roi};
pub use document::{Document, PolicyError};
pub use facts::{Facts, Thresholds, Windows};
pub use grant::{
    Capabilities, Grant, InvokeCapability, LlmCapability, ModelClass, RecordsCapability, Refusal,
    TelemetryAccess,
};
pub use halt::Halts;
pub use http::HttpCapability;
pub use policy::Policy;
pub use rules::SHIPPED as SHIPPED_RULES;
pub use terms::{ToolCost, ToolTerms};
pub use verdict::{ApprovalTerms, Outcome, Verdict, is_autonomy, is_budget, sentence};
