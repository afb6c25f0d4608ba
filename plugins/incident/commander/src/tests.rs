//! The commander, played against other agents that the tests script.

mod flow;
mod scene;
mod watch;
