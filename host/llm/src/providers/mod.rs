//! Those who answer; one module per wire.

mod simulated;

pub use simulated::Simulated;
