//! The agent, played against tools that the tests script.

mod facts;
mod model;
mod scene;
mod search;
