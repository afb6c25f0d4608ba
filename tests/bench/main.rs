//! Measures what matters of a host, each against a floor that is measured in the same run, prints
//! a table and writes `target/bench.json`. Asserts no time; fails when what it measures does not
//! do what it should.

mod fanout;
mod floor;
mod guests;
mod host;
mod http;
mod invoke;
mod memory;
mod report;
mod startup;
mod tasks;

use anyhow::{Context, bail};
use report::Measure;
use std::path::PathBuf;
use std::process::ExitCode;

/// A name, and what measures it.
type Bench = (&'static str, fn() -> anyhow::Result<Measure>);

/// In the order of the table; the names stay, so that figures can be compared over time.
const BENCHES: &[Bench] = &[
    ("invoke_fresh", invoke::one),
    ("invoke_fresh_64", invoke::many),
    ("task_throughput", tasks::throughput),
    ("task_get", tasks::get),
    ("ws_fanout", fanout::run),
    ("memory_running_100", memory::run),
    ("startup_cold", startup::cold),
    ("startup_warm", startup::warm),
];

fn main() -> ExitCode {
    let result = match std::env::args().nth(1) {
        Some(word) if word == floor::WORD => floor::serve(),
        name => run(name.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all, or the one of this name.
fn run(name: Option<&str>) -> anyhow::Result<()> {
    let chosen: Vec<&Bench> = BENCHES
        .iter()
        .filter(|(known, _)| name.is_none_or(|name| name == *known))
        .collect();
    if chosen.is_empty() {
        let known: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        bail!("there is no such benchmark; there are {}", known.join(", "));
    }
    report::head();
    let mut measures = Vec::new();
    for (name, bench) in chosen {
        let measure = bench().with_context(|| format!("{name} could not be measured"))?;
        report::row(name, &measure);
        measures.push((*name, measure));
    }
    report::write(&target().join("bench.json"), &measures)
}

/// The folder `target` of the repository.
fn target() -> PathBuf {
    root().join("target")
}

/// The repository.
fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
