//! `mandate replay`: an execution runs again over its journal, in a host that cannot touch the
//! world, and whoever looks sees where another version would have gone differently.

use super::client::Connection;
use super::{plugin_inspect, recorded};
use crate::config::Config;
use crate::host::Host;
use anyhow::{Context, bail};
use mandate_kernel::replay::{Difference, RecordedInvocation, Recording, Replayed, Side, Verdict};
use mandate_kernel::{Loaded, Stop};
use mandate_plugin::Package;
use mandate_types::{Digest, InvocationId};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most characters of a value that are shown.
const MOST_SHOWN: usize = 400;

/// `mandate replay`
#[derive(clap::Args)]
pub struct Args {
    /// An execution of a running host (exec-…), or a file that `mandate execution` wrote
    execution: String,
    /// Replay what ran under this plugin's id with this file instead
    #[arg(long = "plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,
    /// Only this invocation
    #[arg(long, value_name = "ID")]
    invocation: Option<InvocationId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: Connection,
}

/// Replays.
///
/// # Errors
/// When something went differently, or nothing could be replayed.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let file = Path::new(&args.execution);
    let (recording, host) = if file.is_file() {
        (recorded::read(file)?, None)
    } else {
        (
            recorded::fetch(&args.host, &args.execution).await?,
            Some(&args.host),
        )
    };
    let mut invocations: Vec<&RecordedInvocation> = recording.invocations.iter().collect();
    if let Some(id) = &args.invocation {
        invocations.retain(|one| one.invocation.id == *id);
    }
    if invocations.is_empty() {
        bail!("there is no such invocation in {}", recording.execution.id);
    }
    // A host of its own, which has nothing and is gone afterwards.
    let dir = tempfile::tempdir()?;
    let nowhere = Host::open(dir.path(), &Config::default(), Vec::new()).await?;
    let mut bench = Bench {
        recording: &recording,
        from: host,
        nowhere: &nowhere,
        versions: Vec::new(),
        ready: HashMap::new(),
    };
    for file in &args.plugins {
        let package = plugin_inspect::read(file)?;
        let loaded = bench.prepare(&package).await?;
        bench.versions.push(loaded);
    }
    let mut all = Vec::new();
    for one in invocations {
        let replayed = bench.replay(one).await?;
        if !args.json {
            print!("{}", told(&replayed));
        }
        all.push(replayed);
    }
    let count = |verdict| all.iter().filter(|one| one.verdict == verdict).count();
    let same = count(Verdict::Same) + count(Verdict::SameSoFar);
    let (differ, not) = (count(Verdict::Differs), count(Verdict::NotReplayed));
    if args.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        println!("{same} the same, {differ} different, {not} not replayed");
    }
    if differ > 0 {
        bail!("the replay went differently");
    }
    if same == 0 {
        bail!("nothing could be replayed");
    }
    Ok(())
}

/// Where replays run, and the components that they need.
struct Bench<'a> {
    recording: &'a Recording,
    from: Option<&'a Connection>,
    nowhere: &'a Host,
    versions: Vec<Arc<Loaded>>,
    ready: HashMap<Digest, Option<Arc<Loaded>>>,
}

impl Bench<'_> {
    async fn prepare(&self, package: &Package) -> anyhow::Result<Arc<Loaded>> {
        let kernel = &self.nowhere.kernel;
        let prepared = kernel.prepare(package).await;
        prepared.with_context(|| format!("the package {} cannot be run", package.digest))
    }

    /// The component that ran.
    async fn pinned(&mut self, digest: &Digest) -> anyhow::Result<Option<Arc<Loaded>>> {
        if let Some(known) = self.ready.get(digest) {
            return Ok(known.clone());
        }
        let found = recorded::package(self.recording, digest, self.from).await?;
        let loaded = match found {
            Some(package) => Some(self.prepare(&package).await?),
            None => None,
        };
        self.ready.insert(digest.clone(), loaded.clone());
        Ok(loaded)
    }

    async fn replay(&mut self, one: &RecordedInvocation) -> anyhow::Result<Replayed> {
        let invocation = &one.invocation;
        let by_name = |version: &&Arc<Loaded>| {
            version.manifest.plugin.id.as_str() == invocation.plugin.as_str()
        };
        let version = match self.versions.iter().find(by_name).cloned() {
            Some(version) => Some(version),
            None => {
                let pinned = self.pinned(&invocation.digest).await?;
                // It may be installed under another name than its own.
                let other = pinned.as_ref().and_then(|pinned| {
                    let mut versions = self.versions.iter();
                    versions.find(|version| version.manifest.plugin.id == pinned.manifest.plugin.id)
                });
                other.cloned().or(pinned)
            }
        };
        let Some(version) = version else {
            let why = "its package is not in the recording; pass --plugin FILE";
            return Ok(Replayed::not(one, &invocation.digest, why));
        };
        let kernel = &self.nowhere.kernel;
        Ok(kernel
            .replay(self.recording, one, &version, Stop::new())
            .await)
    }
}

/// One replay, for people.
fn told(replayed: &Replayed) -> String {
    let verdict = match replayed.verdict {
        Verdict::Same => "same",
        Verdict::SameSoFar => "same so far",
        Verdict::Differs => "differs",
        Verdict::NotReplayed => "not replayed",
    };
    let version = if replayed.pinned {
        ""
    } else {
        ", other version"
    };
    let mut text = format!(
        "{verdict:<13} {} {} {} ({} steps{version})\n",
        replayed.invocation, replayed.plugin, replayed.function, replayed.steps
    );
    if let Some(note) = &replayed.note {
        text.push_str(&format!("    {note}\n"));
    }
    if let Some(difference) = &replayed.difference {
        text.push_str(&compared(difference));
    }
    text
}

fn compared(difference: &Difference) -> String {
    let place = match (difference.sequence, difference.index) {
        (Some(sequence), 0) => format!("at step {sequence}"),
        (Some(sequence), index) => {
            format!("at step {sequence}, call {index} of those made together")
        }
        (None, _) => "at the end".to_owned(),
    };
    let mut text = format!("    {place}\n");
    let detailed = !difference.changes.is_empty();
    text.push_str(&format!(
        "      recorded: {}\n",
        side(&difference.recorded, detailed)
    ));
    text.push_str(&format!(
        "      replayed: {}\n",
        side(&difference.replayed, detailed)
    ));
    for change in &difference.changes {
        let path = if change.path.is_empty() {
            "/"
        } else {
            &change.path
        };
        text.push_str(&format!("      {path}\n"));
        for (sign, value) in [("-", &change.recorded), ("+", &change.replayed)] {
            if let Some(value) = value {
                text.push_str(&format!("        {sign} {}\n", shown(value)));
            }
        }
    }
    text
}

fn side(side: &Side, detailed: bool) -> String {
    match side {
        Side::Asked(asked) => {
            let call = format!("{} {}", asked.interface, asked.function);
            match detailed {
                true => call,
                false => format!("{call} {}", shown(&asked.arguments)),
            }
        }
        Side::Ended(end) if detailed => {
            let status = end.get("status").and_then(Value::as_str).unwrap_or("?");
            format!("it ended as {status}")
        }
        Side::Ended(end) => format!("it ended: {}", shown(end)),
    }
}

/// In one line, and no longer than people read.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut shown: String = text.chars().take(MOST_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
