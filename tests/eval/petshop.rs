//! `petshop-eval DIR`: how often the incident agents rank the true cause of PetShop's faults first.

use anyhow::{Context, bail};
use mandate_tests::eval::petshop::evaluate;
use mandate_tests::eval::rename::{Names, renamed};
use mandate_tests::eval::split::Split;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: petshop-eval DIR [--rename SEED] [--parallel N]

DIR holds graph.csv, noissue/metrics.csv, and train/issue_* or test/issue_* (or both).
--rename SEED   give every component a random name, and shuffle the graph and the columns
--parallel N    incidents at a time (8)";

struct Arguments {
    dir: PathBuf,
    rename: Option<u64>,
    parallel: usize,
}

fn arguments() -> anyhow::Result<Option<Arguments>> {
    let (mut dir, mut rename, mut parallel) = (None, None, 8);
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let mut number = |name: &str| -> anyhow::Result<u64> {
            let value = words
                .next()
                .with_context(|| format!("{name} needs a number"))?;
            let value = value.to_string_lossy().parse();
            value.with_context(|| format!("{name} needs a whole number"))
        };
        match word.to_str() {
            Some("--help" | "-h") => return Ok(None),
            Some("--rename") => rename = Some(number("--rename")?),
            Some("--parallel") => parallel = usize::try_from(number("--parallel")?)?.max(1),
            Some(other) if other.starts_with("--") => bail!("there is no option {other}\n{USAGE}"),
            _ if dir.is_none() => dir = Some(PathBuf::from(word)),
            _ => bail!("one folder at a time\n{USAGE}"),
        }
    }
    let dir = dir.with_context(|| format!("which folder?\n{USAGE}"))?;
    Ok(Some(Arguments {
        dir,
        rename,
        parallel,
    }))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (mut split, mut names) = (Split::read(&arguments.dir)?, Names::default());
    if let Some(seed) = arguments.rename {
        (split, names) = renamed(&split, seed);
    }
    let all = evaluate(&split, &names, arguments.parallel, |row| println!("{row}")).await?;
    println!(
        "random order of {} components: {}",
        split.components.len(),
        all.guess
    );
    println!("{}", all.score);
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match arguments() {
        Ok(Some(arguments)) => run(arguments).await,
        Ok(None) => {
            println!("{USAGE}");
            Ok(())
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
