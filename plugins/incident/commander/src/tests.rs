//! The commander, played against other agents that the tests script.

mod flow;
mod human;
mod scene;
mod watch;
