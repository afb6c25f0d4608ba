//! Pure functions from facts to a verdict and the rule that gave it. No I/O: what is judged
//! here can be judged again, on the same facts, with the same verdict.

pub mod grant;
pub mod terms;

pub use grant::{
    Capabilities, Grant, InvokeCapability, LlmCapability, ModelClass, RecordsCapability, Refusal,
    TelemetryAccess,
};
pub use terms::{ToolCost, ToolTerms};
