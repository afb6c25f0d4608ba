//! The agent, played against tools that the tests script.

mod harmless;
mod scene;
mod steps;
