//! The agent, played against tools that the tests script.

mod model;
mod scene;
mod severity;
