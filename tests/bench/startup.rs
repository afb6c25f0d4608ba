//! How long a host takes to be ready.

use crate::host::{self, Host, on_one_thread};
use crate::report::{Measure, Unit, median};
use std::path::Path;
use tempfile::TempDir;

const COLD_STARTS: usize = 3;
const WARM_STARTS: usize = 5;

/// From nothing: makes the data directory and its keys, compiles and installs the first plugins.
///
/// # Errors
/// When the host does not become ready.
pub fn cold() -> anyhow::Result<Measure> {
    let plugins = plugins()?;
    on_one_thread(async {
        let mut times = Vec::new();
        for _ in 0..COLD_STARTS {
            let dir = tempfile::tempdir()?;
            let host = Host::start(&dir, Some(plugins.path())).await?;
            times.push(host.started_in.as_secs_f64());
        }
        Ok(measure(median(times)?))
    })
}

/// Again, on what an earlier start left.
///
/// # Errors
/// When the host does not become ready.
pub fn warm() -> anyhow::Result<Measure> {
    let plugins = plugins()?;
    on_one_thread(async {
        let dir = tempfile::tempdir()?;
        Host::start(&dir, Some(plugins.path()))
            .await?
            .stop()
            .await?;
        let mut times = Vec::new();
        for _ in 0..WARM_STARTS {
            let host = Host::start(&dir, Some(plugins.path())).await?;
            times.push(host.started_in.as_secs_f64());
            host.stop().await?;
        }
        Ok(measure(median(times)?))
    })
}

/// A folder with the first plugins only, so that a further one changes no figure.
fn plugins() -> anyhow::Result<TempDir> {
    let dir = tempfile::tempdir()?;
    for id in ["text", "research"] {
        copy(&host::plugin(id)?, dir.path())?;
    }
    Ok(dir)
}

fn copy(file: &Path, to: &Path) -> anyhow::Result<()> {
    if let Some(name) = file.file_name() {
        std::fs::copy(file, to.join(name))?;
    }
    Ok(())
}

fn measure(seconds: f64) -> Measure {
    Measure {
        unit: Unit::Microseconds,
        value: seconds * 1e6,
        floor: None,
    }
}
