//! The `mandate` binary: a host for operations agents that nobody has to trust.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod acts;
mod api;
mod approval;
mod cli;
mod config;
mod host;
mod listen;
mod models;
mod observability;
mod policy;
mod task;
mod telemetry;
mod trigger;
mod webhook;

use clap::Parser;

fn main() -> std::process::ExitCode {
    let command = cli::Cli::parse();
    match cli::run(command) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes in one line each: what failed, and why.
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            std::process::ExitCode::FAILURE
        }
    }
}
