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
pub mod halt;
pub mod ids;
pub mod json;
pub mod ledger;
pub mod limits;
pub mod money;
pub mod problem;
pub mod status;

pub use act::{Act, Actor, Checkpoint};
pub use clock::Timestamp;
pub use halt::{Halt, HaltScope, HaltScopeError};
pub use ids::{
    DecisionId, DeliveryId, Digest, ExecutionId, InvocationId, PluginName, PrincipalName,
    QuestionId, Subject, TaskId, TenantId,
};
pub use ledger::{Ceiling, Scope};
pub use limits::{LimitHit, LimitName, Limits};
pub use money::MicroUsd;
pub use problem::{FieldProblem, Problem};
pub use status::{
    DecisionStatus, Effects, EventKind, GuestKind, InvocationStatus, QuestionKind, QuestionStatus,
    Risk, Role, StepState, TaskStatus, WaitReason,
};
