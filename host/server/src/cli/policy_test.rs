//! `mandate policy test`: whether a policy is whole, and does what its cases expect. No host.

use anyhow::{Context, anyhow, bail};
use mandate_policy::{Cases, Policy};
use std::path::{Path, PathBuf};

/// `mandate policy test`
#[derive(clap::Args)]
pub struct Args {
    /// The policy, in TOML or JSON
    file: PathBuf,
    /// Cases, in TOML or JSON: facts, and what is expected of them
    cases: Option<PathBuf>,
}

/// Prints a line per case.
///
/// # Errors
/// When the policy is broken, or a case is not met.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (_, policy) = read_policy(&args.file)?;
    let Some(file) = &args.cases else {
        println!("{} is a policy", args.file.display());
        return Ok(());
    };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let cases = Cases::read(&text).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    let mut missed = 0;
    for case in &cases.cases {
        let verdict = case
            .judge(&policy)
            .map_err(|error| anyhow!("{}: {}: {error}", file.display(), case.name))?;
        let met = case.is_met(&verdict);
        println!(
            "{:<6} {:<40} {:<9} level {}  {}",
            if met { "ok" } else { "MISSED" },
            case.name,
            verdict.outcome.as_str(),
            verdict.level,
            verdict.rule
        );
        if !met {
            missed += 1;
            let rule = case.rule.as_deref().map(|rule| format!(" by {rule}"));
            let level = case.level.map(|level| format!(" at level {level}"));
            println!(
                "       expected {}{}{}; {}",
                case.expect,
                rule.unwrap_or_default(),
                level.unwrap_or_default(),
                verdict.reason
            );
        }
    }
    if missed > 0 {
        bail!("{missed} of {} cases are not met", cases.cases.len());
    }
    println!("{} cases are met", cases.cases.len());
    Ok(())
}

/// A policy's file, as text and ready to judge.
///
/// # Errors
/// When it cannot be read or is broken; the message has the place.
pub fn read_policy(file: &Path) -> anyhow::Result<(String, Policy)> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let policy = Policy::read(&text).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    Ok((text, policy))
}
