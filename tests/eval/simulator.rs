//! `simulator-eval`: how often the incident agents rank the true cause of simulated faults first, and put an end to it.

use anyhow::{Context, bail};
use mandate_tests::eval::simulated::{evaluate, tallies};
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

const USAGE: &str = "usage: simulator-eval [--faults N] [--seed N] [--parallel N]

--faults N      faults to inject (50), each into a simulated environment of its own
--seed N        what they follow from; another one each time when it is not given
--parallel N    environments at a time (8)";

struct Arguments {
    faults: usize,
    seed: u64,
    parallel: usize,
}

fn arguments() -> anyhow::Result<Option<Arguments>> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut arguments = Arguments {
        faults: 50,
        seed: now.as_secs() & 0xffff_ffff,
        parallel: 8,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || -> anyhow::Result<u64> {
            let value = words
                .next()
                .with_context(|| format!("{word} needs a number"))?;
            value
                .parse()
                .with_context(|| format!("{word} needs a whole number, not `{value}`"))
        };
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--faults" => arguments.faults = usize::try_from(number()?)?,
            "--seed" => arguments.seed = number()?,
            "--parallel" => arguments.parallel = usize::try_from(number()?)?.max(1),
            other => bail!("there is no option {other}\n{USAGE}"),
        }
    }
    Ok(Some(arguments))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments {
        faults,
        seed,
        parallel,
    } = arguments;
    println!("{faults} simulated faults, {parallel} at a time, seed {seed}");
    let began = Instant::now();
    let trials = evaluate(faults, seed, parallel, |trial| println!("{trial}")).await?;
    let (kinds, harmless, all) = tallies(&trials);
    println!("took {:.0} s", began.elapsed().as_secs_f64());
    for (kind, tally) in kinds {
        println!("{kind}: {tally}");
    }
    println!("without those that only a human may end: {harmless}");
    println!("{all}");
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
