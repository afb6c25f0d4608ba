//! Black-box tests that start the real binary with real plugins.
