//! The environment as a pure model: seed, state and time in; metrics, log lines, traces and alerts out.

pub mod action;
pub mod alerts;
pub mod change;
pub mod environment;
pub mod faults;
pub mod lines;
pub mod measure;
pub mod random;
pub mod services;
pub mod shop;
pub mod spec;
pub mod strain;
pub mod tick;
pub mod traffic;

#[cfg(test)]
mod tests;
