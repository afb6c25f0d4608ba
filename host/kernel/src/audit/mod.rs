//! The sealer: chains the acts of the audit soon after they were committed and signs where the
//! chain is, with a key and into a file that are outside of the database. Who can write the
//! database alone can change nothing there unnoticed.

mod chain;
mod directory;
#[cfg(test)]
mod tests;
mod verify;

pub use directory::{FileError, Found, VerifyError, head_of, verify_directory};
pub use verify::{Fault, Mark, Verified, Verifier};

use directory::Directory;
use ed25519_dalek::SigningKey;
use mandate_store::{CommitError, NewAct, SharedStore, StoreError, UnreadableAct, Write};
use mandate_types::{Act, Actor, Checkpoint, Digest, Timestamp};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long acts may wait so that more are sealed with them.
const SOON: Duration = Duration::from_millis(500);
/// When to try again after a failure.
const AGAIN: Duration = Duration::from_secs(5);
/// Acts that are sealed at once.
const PORTION: u32 = 1_000;

/// Why acts could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The key or the signed head.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An act was changed by hand before it was sealed.
    #[error(transparent)]
    Unreadable(#[from] UnreadableAct),
}

impl From<CommitError> for AuditError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => Self::Store(error),
            other => Self::Store(StoreError::Unavailable(other.to_string())),
        }
    }
}

/// The audit of a running host.
pub struct Audit {
    store: SharedStore,
    directory: Arc<Directory>,
    key: SigningKey,
    /// How far acts are sealed.
    head: Mutex<Checkpoint>,
}

impl Audit {
    /// Over the acts in `store`, with the key and the signed head below `data_dir`. Both are made
    /// when there are none. Where head and acts do not agree the host starts all the same: it
    /// goes on record, and the head that does not fit is kept.
    ///
    /// # Errors
    /// [`AuditError`] when key, head or database cannot be read or written.
    pub async fn open(store: SharedStore, data_dir: &Path) -> Result<Arc<Self>, AuditError> {
        let directory = Arc::new(Directory::new(data_dir));
        let signed = directory.head();
        let (key, made) = match directory.key()? {
            Some(key) => (key, false),
            None => (directory.make_key()?, true),
        };
        let (seq, hash) = match store.last_sealed().await {
            Ok(Some(sealed)) => sealed,
            Ok(None) => (0, chain::beginning()),
            // The hash itself was spoilt: all from the beginning is sealed again, and does not agree.
            Err(StoreError::Corrupt(_)) => (0, chain::beginning()),
            Err(error) => return Err(error.into()),
        };
        let found = chain::sign(&key, seq, hash);
        let audit = Arc::new(Self {
            store,
            directory,
            key,
            head: Mutex::new(found.clone()),
        });
        let acts = audit.start(signed, &found, made).await?;
        let put = async {
            if !acts.is_empty() {
                let writes = acts.into_iter().map(|act| Write::Audit(Box::new(act)));
                audit.store.commit(None, writes.collect()).await?;
            }
            audit.seal().await
        };
        match put.await {
            Ok(_) => {}
            // A host must start on a full disk, so that somebody can make room.
            Err(AuditError::Store(StoreError::Full(why))) => {
                tracing::error!(%why, "acts of this start are not on record, and sealing goes on when there is room");
            }
            Err(error) => return Err(error),
        }
        Ok(audit)
    }

    /// What a start has to put on record: a new key, a head that does not fit, acts that the host
    /// before did not seal.
    async fn start(
        &self,
        signed: Result<Option<Checkpoint>, FileError>,
        found: &Checkpoint,
        made: bool,
    ) -> Result<Vec<NewAct>, AuditError> {
        let mut acts = Vec::new();
        let before = signed.as_ref().ok().and_then(Option::as_ref);
        if made {
            let data = json!({"key": found.key, "before": before.map(|head| &head.key)});
            acts.push(own(Act::AUDIT_KEY_MADE, data));
        }
        let last = *self.store.acts_written().borrow();
        let covered = before.map_or(0, |head| head.seq).max(found.seq);
        if last > covered {
            let data = json!({"first": covered + 1, "last": last});
            acts.push(own(Act::AUDIT_SEALED_LATE, data));
        }
        let why = match &signed {
            Err(error) => Some(error.to_string()),
            Ok(None) => (found.seq > 0).then(|| "the signed head is missing".to_owned()),
            Ok(Some(head)) => self.disagreement(head, found, made).await?,
        };
        if let Some(why) = why {
            let kept = self.directory.set_aside()?;
            tracing::error!(
                why,
                kept,
                "the audit is not what was signed; `mandate audit verify` says more"
            );
            let data = json!({
                "why": why, "kept": kept, "head": before.map(place), "found": place(found),
            });
            acts.push(own(Act::AUDIT_MISMATCH, data));
        }
        Ok(acts)
    }

    /// Why the signed head is not that of what is in the database.
    async fn disagreement(
        &self,
        head: &Checkpoint,
        found: &Checkpoint,
        made: bool,
    ) -> Result<Option<String>, AuditError> {
        if !chain::is_signed(head) {
            return Ok(Some("the head has a wrong signature".to_owned()));
        }
        if head.key != found.key && !made {
            return Ok(Some("the head is signed with another key".to_owned()));
        }
        if head.seq < found.seq {
            return Ok(Some("the head is older than the audit".to_owned()));
        }
        // Sealed in the head, but not in the database: the host ended between the two.
        let (mut seq, mut hash) = (found.seq, found.hash.clone());
        while seq < head.seq {
            let acts = self.store.acts_after(seq, 1).await?;
            let Some(act) = acts.into_iter().next() else {
                return Ok(Some(format!("the audit ends at act {seq}")));
            };
            let act = act?;
            (seq, hash) = (act.seq, chain::link(&hash, &act));
        }
        let agrees = seq == head.seq && hash == head.hash;
        Ok((!agrees).then(|| format!("the hash of act {} is another", head.seq)))
    }

    /// Seals what is committed, and returns where that is.
    ///
    /// # Errors
    /// [`AuditError`]; what is not sealed now will be later.
    pub async fn seal(&self) -> Result<Checkpoint, AuditError> {
        let mut head = self.head.lock().await;
        loop {
            let acts = self.store.acts_after(head.seq, PORTION).await?;
            let (mut seq, mut hash) = (head.seq, head.hash.clone());
            let mut hashes: Vec<(u64, Digest)> = Vec::with_capacity(acts.len());
            for act in acts {
                let act = act?;
                hash = chain::link(&hash, &act);
                seq = act.seq;
                hashes.push((seq, hash.clone()));
            }
            if hashes.is_empty() {
                return Ok(head.clone());
            }
            let next = chain::sign(&self.key, seq, hash);
            // The head first: what the database calls sealed is always covered by it.
            let (directory, signed) = (Arc::clone(&self.directory), next.clone());
            let written = tokio::task::spawn_blocking(move || directory.put_head(&signed));
            written.await.map_err(FileError::interrupted)??;
            let seal = Write::SealActs(hashes);
            self.store.commit(None, vec![seal]).await?;
            *head = next;
        }
    }

    /// Seals acts soon after they come, for as long as the host runs.
    pub async fn keep_sealed(self: Arc<Self>) {
        let mut written = self.store.acts_written();
        while written.changed().await.is_ok() {
            tokio::time::sleep(SOON).await;
            written.mark_unchanged();
            while let Err(error) = self.seal().await {
                tracing::error!(%error, "the audit cannot be sealed; trying again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

fn place(head: &Checkpoint) -> Value {
    json!({"seq": head.seq, "hash": head.hash})
}

fn own(act: &'static str, data: Value) -> NewAct {
    NewAct {
        at: Timestamp::now(),
        actor: Actor::host(),
        act,
        subject: "audit".to_owned(),
        tenant: None,
        data,
    }
}
