//! The tools over a store in memory: whole rankings of invented and real faults.

mod petshop;
pub mod store;
