//! Measures what matters of a host, each against a floor that is measured in the same run, prints
//! a table and writes `target/bench.json`. Asserts no time; fails when what it measures does not
//! do what it should.

mod audit;
mod bare;
mod counted;
mod fanout;
mod floor;
mod guests;
mod host;
mod http;
mod incident;
mod invoke;
mod journal;
mod memory;
mod models;
mod parked;
mod policy;
mod report;
mod resume;
mod startup;
mod tasks;
mod telemetry;

use anyhow::{Context, bail};
use report::Measure;
use std::path::PathBuf;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: counted::Counted = counted::Counted;

/// One line of the table.
struct Bench {
    /// Stays, so that figures can be compared over time.
    name: &'static str,
    run: fn() -> anyhow::Result<Measure>,
    /// What it should be; nothing fails when it is not.
    aim: &'static str,
}

const fn bench(
    name: &'static str,
    run: fn() -> anyhow::Result<Measure>,
    aim: &'static str,
) -> Bench {
    Bench { name, run, aim }
}

/// In the order of the table.
const BENCHES: &[Bench] = &[
    bench("invoke_fresh", invoke::one, "ratio ≤ 1.25"),
    bench("invoke_fresh_64", invoke::many, "ratio ≤ 1.25"),
    bench("task_throughput", tasks::throughput, "value ≥ 1000"),
    bench("task_get", tasks::get, "ratio ≥ 0.7"),
    bench(
        "telemetry_ingest",
        telemetry::ingest_lines,
        "value ≥ 100000",
    ),
    bench(
        "telemetry_ingest_otlp",
        telemetry::ingest_otlp,
        "value ≥ 100000",
    ),
    bench("telemetry_query", telemetry::query, ""),
    bench("ws_fanout", fanout::run, ""),
    bench("incident_flow", incident::flow, ""),
    bench("memory_running_100", memory::run, ""),
    bench("journal_steps", journal::steps, "ratio ≥ 0.8"),
    bench("journal_steps_alone", journal::steps_alone, "ratio ≥ 0.8"),
    bench("journal_bytes", journal::bytes, ""),
    bench("journal_call", journal::call, ""),
    bench("resume_10", resume::after_10, "value ≤ 50000"),
    bench("resume_1000", resume::after_1000, ""),
    bench("resume_100000", resume::after_100000, ""),
    bench("resume_step", resume::each_of_100000, ""),
    bench(
        "parked_memory_10000",
        parked::memory,
        "value − floor < 100000000",
    ),
    bench("resume_parked", parked::resumed, "value ≤ 50000"),
    bench("resume_parked_p99", parked::resumed_p99, "value ≤ 50000"),
    bench("audit_verify_100000", audit::verify, ""),
    bench("policy_eval", policy::eval, ""),
    bench("chain_overhead_p50", models::p50, "value < 150"),
    bench("chain_overhead_p99", models::p99, "value < 1000"),
    bench("chain_stream_overhead_p50", models::stream_p50, ""),
    bench("chain_overhead_p50_200", models::p50_200, ""),
    bench("chain_overhead_p99_200", models::p99_200, ""),
    bench("chain_stream_overhead_p50_200", models::stream_p50_200, ""),
    bench("chain_overhead_p50_50", models::p50_50, ""),
    bench("chain_overhead_p99_50", models::p99_50, ""),
    bench("chain_stream_overhead_p50_50", models::stream_p50_50, ""),
    bench("chain_cpu", models::cpu, ""),
    bench("chain_memory", models::memory, ""),
    bench("startup_cold", startup::cold, ""),
    bench("startup_warm", startup::warm, ""),
];

fn main() -> ExitCode {
    let result = match std::env::args().nth(1) {
        Some(word) if word == floor::WORD => floor::serve(),
        Some(word) if word == models::WORD => models::serve(),
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
        .filter(|bench| name.is_none_or(|name| name == bench.name || of_family(name, bench.name)))
        .collect();
    if chosen.is_empty() {
        let known: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("there is no such benchmark; there are {}", known.join(", "));
    }
    report::head();
    let mut measures = Vec::new();
    for bench in chosen {
        let name = bench.name;
        let measure = (bench.run)().with_context(|| format!("{name} could not be measured"))?;
        report::row(name, &measure, bench.aim);
        measures.push((name, measure));
    }
    report::write(&target().join("bench.json"), &measures)
}

/// Whether `name` ends in `*` and names all that begin as it does.
fn of_family(name: &str, bench: &str) -> bool {
    name.strip_suffix('*')
        .is_some_and(|begin| bench.starts_with(begin))
}

/// The folder `target` of the repository.
fn target() -> PathBuf {
    root().join("target")
}

/// The repository.
fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
