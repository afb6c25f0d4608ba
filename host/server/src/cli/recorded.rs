//! Recordings of executions on the command line: read from a file or a running host, written,
//! and the packages that they need.

use super::client::Connection;
use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mandate_kernel::replay::Recording;
use mandate_kernel::replay::recording::MOST_BYTES;
use mandate_plugin::Package;
use mandate_plugin::package::MAX_PACKAGE_BYTES;
use mandate_types::{Digest, ExecutionId};
use reqwest::Method;
use std::io::Read as _;
use std::path::Path;

/// Reads a file; of one that is too large, no more than is needed to know that.
///
/// # Errors
/// When it cannot be read or is no recording; the text names the file.
pub fn read(file: &Path) -> anyhow::Result<Recording> {
    let mut text = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(MOST_BYTES + 1).read_to_end(&mut text))
        .with_context(|| format!("cannot read {}", file.display()))?;
    if text.len() as u64 > MOST_BYTES {
        bail!("{} has more than {MOST_BYTES} bytes", file.display());
    }
    Recording::read(&text).with_context(|| format!("cannot use {}", file.display()))
}

/// Asks the host for an execution.
///
/// # Errors
/// When the host does not answer, or not with a recording.
pub async fn fetch(host: &Connection, execution: &str) -> anyhow::Result<Recording> {
    let id = ExecutionId::parse(execution)?;
    let request = host.request(Method::GET, &format!("/executions/{id}/export"))?;
    let text = host.bytes(request).await?;
    Recording::read(&text).context("the host's answer cannot be used")
}

/// A package: from the recording, or else from the host if there is one. None when nobody has it.
///
/// # Errors
/// When what was found is not what the digest says.
pub async fn package(
    recording: &Recording,
    digest: &Digest,
    host: Option<&Connection>,
) -> anyhow::Result<Option<Package>> {
    let inside = recording
        .packages
        .iter()
        .filter(|package| package.digest == *digest)
        .find_map(|package| package.bytes.as_ref());
    let bytes = match (inside, host) {
        (Some(text), _) if text.len() > MAX_PACKAGE_BYTES.div_ceil(3) * 4 + 4 => {
            bail!("the package {digest} in the recording is too large")
        }
        (Some(text), _) => STANDARD
            .decode(text)
            .with_context(|| format!("the package {digest} in the recording is not Base64"))?,
        (None, Some(host)) => {
            let request = host.request(Method::GET, &format!("/packages/{digest}"))?;
            host.bytes(request).await?
        }
        (None, None) => return Ok(None),
    };
    let package = Package::read(bytes).with_context(|| format!("the package {digest}"))?;
    if package.digest != *digest {
        bail!("what is called {digest} is the package {}", package.digest);
    }
    Ok(Some(package))
}

/// Puts the packages into the recording.
///
/// # Errors
/// When one of them is nowhere.
pub async fn with_packages(
    mut recording: Recording,
    host: Option<&Connection>,
) -> anyhow::Result<Recording> {
    let mut packages = recording.packages.clone();
    for one in &mut packages {
        let Some(package) = package(&recording, &one.digest, host).await? else {
            bail!("the package {} is not in the recording", one.digest);
        };
        one.bytes = Some(STANDARD.encode(&package.bytes));
    }
    recording.packages = packages;
    Ok(recording)
}
