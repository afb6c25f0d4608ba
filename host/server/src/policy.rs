//! The policy of a host: which version counts, and how another one comes to. A version that is
//! broken never does; the last good one stays.

use anyhow::Context;
use mandate_kernel::Kernel;
use mandate_policy::{Policy, PolicyError};
use mandate_store::{CommitError, NewAct, PolicyVersion, SharedStore, StoreError, Write};
use mandate_types::{Act, Actor, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the source of a version begins that came from the configured file.
const FILE: &str = "file:";

/// The most versions that are looked back to.
const VERSIONS: u32 = 1_000;

/// `[policy]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// A file that is put as the policy at a start, if it changed since it last was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// Why another policy does not count.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// It is broken.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// It was not written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// What there is was not read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The policy that a host starts with: the newest that was put, after the file of the
/// configuration if that is new. A broken file is told loudly, and the last good version counts.
///
/// # Errors
/// When the database does not answer, or none of the versions in it can be used: the host does
/// not start with another policy than somebody wanted.
pub async fn at_start(store: &SharedStore, config: &PolicyConfig) -> anyhow::Result<Arc<Policy>> {
    if let Some(file) = &config.file
        && let Err(error) = from_file(store, file).await
    {
        tracing::error!(
            file = %file.display(),
            error = format!("{error:#}"),
            "the policy file is refused; the policy before it stays"
        );
    }
    let versions = store.policies(None, VERSIONS).await?;
    if versions.is_empty() {
        return Ok(Arc::new(Policy::read("")?));
    }
    for version in &versions {
        match Policy::read(&version.text) {
            Ok(policy) => return Ok(Arc::new(policy)),
            Err(error) => tracing::error!(
                generation = version.generation,
                %error,
                "this version of the policy cannot be used any more; the one before it is taken"
            ),
        }
    }
    anyhow::bail!("none of the versions of the policy can be used by this host any more")
}

/// Puts a file as the policy, unless it is as it was when it was put before: what was changed over
/// the API since then stays.
async fn from_file(store: &SharedStore, file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).context("it cannot be read")?;
    let source = format!("{FILE}{}", Digest::of(text.as_bytes()));
    let versions = store.policies(None, VERSIONS).await?;
    let before = versions
        .iter()
        .find(|version| version.source.starts_with(FILE));
    if before.is_some_and(|before| before.source == source) {
        return Ok(());
    }
    let policy = Policy::read(&text)?;
    let version = PolicyVersion {
        generation: versions.first().map_or(0, |newest| newest.generation) + 1,
        digest: policy.digest().clone(),
        text,
        source,
        put_by: Actor::host(),
        put_at: Timestamp::now(),
    };
    tracing::info!(
        file = %file.display(),
        generation = version.generation,
        "the policy comes from this file"
    );
    store
        .commit(None, writes(version, versions.first()))
        .await?;
    Ok(())
}

/// Checks `text`, keeps it as the next version after `read`, and judges by it from then on.
///
/// # Errors
/// [`PutError`]; the policy is as before then.
pub async fn put(
    kernel: &Kernel,
    text: String,
    read: u64,
    by: Actor,
) -> Result<PolicyVersion, PutError> {
    // Rules are tried, which takes its time.
    let compiled = tokio::task::spawn_blocking(move || Policy::read(&text).map(|it| (it, text)));
    let (policy, text) = compiled
        .await
        .map_err(|error| PolicyError::Syntax(error.to_string()))??;
    let store = kernel.store();
    let before = store.policy().await?;
    let version = PolicyVersion {
        generation: read.saturating_add(1),
        digest: policy.digest().clone(),
        text,
        source: "api".to_owned(),
        put_by: by,
        put_at: Timestamp::now(),
    };
    store
        .commit(None, writes(version.clone(), before.as_ref()))
        .await?;
    kernel.set_policy(Arc::new(policy));
    Ok(version)
}

fn writes(version: PolicyVersion, before: Option<&PolicyVersion>) -> Vec<Write> {
    let act = NewAct {
        at: version.put_at,
        actor: version.put_by.clone(),
        act: Act::POLICY_CHANGED,
        subject: format!("policy/{}", version.generation),
        tenant: None,
        data: json!({
            "digest": version.digest,
            "before": before.map(|before| &before.digest),
            "source": version.source,
        }),
    };
    vec![
        Write::PutPolicy(Box::new(version)),
        Write::Audit(Box::new(act)),
    ]
}
