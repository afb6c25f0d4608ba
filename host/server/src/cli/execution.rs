//! `mandate execution`: what happened on one host, taken elsewhere.

use super::client::Connection;
use super::recorded;
use anyhow::{Context, bail};
use mandate_kernel::replay::Recording;
use mandate_types::PluginName;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// `mandate execution`
#[derive(clap::Subcommand)]
pub enum Command {
    /// Write an execution of a running host as one document, for `mandate replay`
    Export(ExportArgs),
    /// Make a recording for a plugin's tests of an exported execution
    Import(ImportArgs),
}

/// `mandate execution export`
#[derive(clap::Args)]
pub struct ExportArgs {
    /// The execution: exec-…
    execution: String,
    /// Put the plugins that ran into the document
    #[arg(long)]
    with_plugins: bool,
    /// Where to write it, in place of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    host: Connection,
}

/// `mandate execution import`
#[derive(clap::Args)]
pub struct ImportArgs {
    /// What `mandate execution export` wrote
    file: PathBuf,
    /// Keep only what ran under this installed name
    #[arg(long, value_name = "PLUGIN")]
    of: Option<PluginName>,
    /// Keep the plugins that are in the document
    #[arg(long)]
    with_plugins: bool,
    /// Where to write it, in place of `tests/recorded/EXECUTION.json`
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// When the host does not answer, or a file cannot be read, used or written.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Export(args) => export(args).await,
        Command::Import(args) => import(args).await,
    }
}

async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let mut recording = recorded::fetch(&args.host, &args.execution).await?;
    if args.with_plugins {
        recording = recorded::with_packages(recording, Some(&args.host)).await?;
    }
    match &args.output {
        Some(file) => {
            write(file, &recording)?;
            eprintln!("{}: {}", file.display(), summary(&recording));
        }
        None => {
            let mut text = serde_json::to_vec_pretty(&recording)?;
            text.push(b'\n');
            std::io::stdout().write_all(&text)?;
        }
    }
    Ok(())
}

async fn import(args: ImportArgs) -> anyhow::Result<()> {
    let recording = recorded::read(&args.file)?;
    // Whatever is inside must be what it says, kept or not.
    for package in recording.packages.iter().filter(|p| p.bytes.is_some()) {
        recorded::package(&recording, &package.digest, None).await?;
    }
    let Recording {
        execution,
        task,
        packages,
        mut invocations,
        ..
    } = recording;
    if let Some(name) = &args.of {
        invocations.retain(|one| one.invocation.plugin == *name);
    }
    if invocations.is_empty() {
        bail!("nothing in {} is left to replay", args.file.display());
    }
    let mut kept = Recording::new(execution, task, invocations);
    if args.with_plugins {
        for package in &mut kept.packages {
            let known = packages.iter().find(|one| one.digest == package.digest);
            package.bytes = known.and_then(|one| one.bytes.clone());
        }
    }
    let file = args
        .output
        .unwrap_or_else(|| Path::new("tests/recorded").join(format!("{}.json", kept.execution.id)));
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    write(&file, &kept)?;
    println!("{}: {}", file.display(), summary(&kept));
    println!("mandate replay {} --plugin FILE.wasm", file.display());
    Ok(())
}

fn write(file: &Path, recording: &Recording) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(recording)?;
    text.push(b'\n');
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn summary(recording: &Recording) -> String {
    let steps: usize = recording
        .invocations
        .iter()
        .map(|one| one.steps.len())
        .sum();
    let invocations = recording.invocations.len();
    format!(
        "{} with {invocations} invocations and {steps} steps",
        recording.execution.id
    )
}
