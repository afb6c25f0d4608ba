//! How good the incident agents are, measured through the public API only: faults go in as telemetry and symptoms,
//! and what comes back as ranked causes is held against what was true. The agents never see the truth.

pub mod desk;
pub mod outcome;
pub mod petshop;
pub mod prepared;
pub mod rename;
pub mod scene;
pub mod score;
pub mod simulated;
pub mod split;
pub mod table;

pub use desk::Desk;
pub use score::Score;
