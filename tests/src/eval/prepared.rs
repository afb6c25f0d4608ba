//! Hosts that have the whole incident system installed: it is installed once, and each host begins with a copy.

use super::desk::{Desk, ENVIRONMENT_PLUGINS, INCIDENT_PLUGINS, build_missing};
use crate::Host;
use crate::host::{DataDir, Options};
use anyhow::Context;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Over which hosts start quickly: everything in it is compiled.
static TEMPLATE: OnceCell<Arc<DataDir>> = OnceCell::const_new();

/// A host of its own with all plugins, whose waits are short; its data are gone afterwards.
///
/// # Errors
/// When a plugin is not built, or not taken.
pub async fn host() -> anyhow::Result<Host> {
    let template = TEMPLATE.get_or_try_init(template).await?;
    let dir = tempfile::Builder::new()
        .prefix("mandate-tests-")
        .tempdir()?
        .keep();
    let data = DataDir::at(&dir);
    copy(template.path(), &dir).context("the prepared data could not be copied")?;
    Ok(Host::over(data, &Options::default()))
}

async fn template() -> anyhow::Result<Arc<DataDir>> {
    build_missing(&INCIDENT_PLUGINS)?;
    build_missing(&ENVIRONMENT_PLUGINS)?;
    let host = Host::start();
    let desk = Desk::new(host.admin(), "default");
    for plugin in ENVIRONMENT_PLUGINS.iter().chain(&INCIDENT_PLUGINS) {
        desk.install(plugin).await?;
    }
    let quickly = json!({"verify_after_seconds": 5});
    desk.settings("incident-commander", &quickly).await?;
    Ok(host.stop())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
