//! The tools over a store in memory: whole rankings of invented and real faults.

mod answers;
mod hostile;
mod petshop;
mod shop;
mod shop_faults;
pub mod store;
