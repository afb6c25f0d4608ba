//! wasmtime: one guest call, from store to drop.
