//! Where calls leave the plugin: the imports in wasm, the fake host elsewhere.
//!
//! Both have the same methods, called statically: a table of functions would keep every import alive, and a
//! plugin would ask for authority that it does not use.

#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(target_arch = "wasm32")]
pub use guest::Port;

#[cfg(not(target_arch = "wasm32"))]
pub use crate::testing::Port;
