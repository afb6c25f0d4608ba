//! The seam that every call across the sandbox boundary passes, and everything behind it:
//! journal, capabilities, the catalogue of active plugins, and executions as trees of invocations.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod ask;
pub mod audit;
mod call;
pub mod capability;
mod catalogue;
mod decision;
mod effect_keys;
mod effects;
mod estimate;
mod execution;
mod guest;
mod halt;
mod install;
mod invocation;
mod journal;
mod kernel;
mod loaded;
mod money;
mod records;
pub mod replay;
mod seam;
mod streams;
mod terms;
mod thoughts;
mod tree;

pub use ask::AskError;
pub use call::{Called, ToolRun};
pub use capability::invoke::Reasons;
pub use capability::telemetry::{NoTelemetry, Telemetry};
pub use catalogue::{Active, Catalogue, CollectionEntry, RouteTarget};
pub use decision::Action;
pub use effect_keys::EffectKeys;
pub use effects::Effects;
pub use estimate::{EstimateError, Estimated};
pub use execution::{ExecutionEnd, Ran, Run, RunEnd, RunParked};
pub use guest::Guest;
pub use halt::NowHalted;
pub use install::{InstallError, InstallRequest, Staged};
pub use invocation::{Report, ReportResult};
pub use kernel::{Kernel, KernelError, PluginLoadError, Settings, TrustPolicy};
pub use loaded::{LoadError, Loaded};
pub use mandate_runtime::Stop;
pub use records::{RecordChange, RecordEditor, RecordError};
pub use terms::asked_for;
pub use tree::Halted;
