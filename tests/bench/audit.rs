//! How long it takes to find out whether anything of a long audit was changed.

use crate::bare::Bare;
use crate::report::{Measure, Unit, median};
use anyhow::{anyhow, ensure};
use mandate_kernel::audit::{Audit, verify_directory};
use mandate_store::{NewAct, Write, open_embedded};
use mandate_types::{Act, Actor, Timestamp};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

const ACTS: usize = 100_000;
/// Acts that are written together.
const PORTION: usize = 1_000;
const ROUNDS: usize = 3;

/// The time to verify a hundred thousand acts that are sealed, hash by hash; the floor is to read them with SQLite alone.
///
/// # Errors
/// When the audit is not whole.
pub fn verify() -> anyhow::Result<Measure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let dir = tempfile::tempdir()?;
    runtime.block_on(written(dir.path()))?;
    let (mut values, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let found = runtime.block_on(verify_directory(dir.path(), Vec::new(), None));
        values.push(began.elapsed().as_secs_f64() * 1e6);
        let acts = found.map_err(|error| anyhow!("{error}"))?.verified.acts;
        // The host has acts of its own.
        ensure!(acts >= ACTS as u64, "{acts} acts were verified");
        let conn = Bare::open(&dir.path().join("mandate.db"))?;
        let began = Instant::now();
        let (rows, _) = conn.read_all("SELECT * FROM audit ORDER BY seq")?;
        floors.push(began.elapsed().as_secs_f64() * 1e6);
        ensure!(rows == acts, "{rows} acts were read");
    }
    Ok(Measure {
        unit: Unit::Microseconds,
        value: median(values)?,
        floor: Some(median(floors)?),
    })
}

/// Writes the acts, and seals them.
async fn written(dir: &Path) -> anyhow::Result<()> {
    let store = open_embedded(dir).await?;
    let audit = Audit::open(store.clone(), dir).await?;
    for first in (0..ACTS).step_by(PORTION) {
        let acts = (first..first + PORTION).map(|n| {
            Write::Audit(Box::new(NewAct {
                at: Timestamp::now(),
                actor: Actor::host(),
                act: Act::GRANT_CHANGED,
                subject: format!("plugin/p-{n}"),
                tenant: None,
                data: json!({"before": {"limits": {"steps": n}}, "after": {"limits": {"steps": n + 1}}}),
            }))
        });
        store.commit(None, acts.collect()).await?;
    }
    audit.seal().await?;
    Ok(())
}
