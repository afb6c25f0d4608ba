//! Incidents and alerts: keeps them, takes alerts in from Alertmanager and CloudWatch without losing any, and gives
//! each that needs one an incident. The collections are records of the host, so clients and people read and change
//! them over its API.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod alert;
mod alertmanager;
mod analyse;
mod assign;
mod cloudwatch;
mod flapping;
mod groups;
mod guard;
mod incident;
pub mod intake;
mod keep;
pub mod merge;
mod notification;
mod open;
mod readable;
mod settle;
mod subscription;
mod topology;

pub use alertmanager::TakeAlertmanager;
pub use analyse::Analyse;
pub use cloudwatch::TakeCloudwatch;
pub use keep::{Create, Find, Get, Update};
pub use settle::Settle;

mandate_sdk::tools!(
    Create,
    Get,
    Find,
    Update,
    Analyse,
    TakeAlertmanager,
    TakeCloudwatch,
    Settle
);

#[cfg(test)]
mod tests;
