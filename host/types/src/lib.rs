//! Plain types of the product's words, so that every crate means the same by them. No I/O.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod act;
pub mod clock;
pub mod ids;
pub mod json;
pub mod limits;
pub mod money;
pub mod problem;
pub mod status;

pub use act::{Act, Actor};
pub use clock::Timestamp;
pub use ids::{
    DeliveryId, Digest, ExecutionId, InvocationId, PluginName, PrincipalName, Subject, TaskId,
    TenantId,
};
pub use limits::{LimitHit, LimitName, Limits};
pub use money::MicroUsd;
pub use problem::{FieldProblem, Problem};
pub use status::{
    Effects, EventKind, GuestKind, InvocationStatus, Role, StepState, TaskStatus, WaitReason,
};
