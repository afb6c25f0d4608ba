//! What of the audit is outside of the database: the key that signs, and the newest signed head.

use super::chain;
use super::verify::{Fault, Mark, Verified, Verifier};
use ed25519_dalek::SigningKey;
use mandate_store::StoreError;
use mandate_types::{Checkpoint, Timestamp};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The key that signs: 32 bytes, for nobody else to read.
const KEY: &str = "audit.key";
/// Where the chain is.
const HEAD: &str = "audit.head";
/// Acts that are read at once.
const PORTION: u32 = 1_000;
/// More than any head is long.
const LONGEST: u64 = 4_096;

/// A file of the audit that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} {what}", file.display())]
pub struct FileError {
    file: PathBuf,
    what: String,
}

impl FileError {
    pub(super) fn interrupted(error: tokio::task::JoinError) -> Self {
        Self {
            file: PathBuf::from(HEAD),
            what: format!("was not written: {error}"),
        }
    }
}

/// The files below a data directory.
pub struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self(data_dir.to_owned())
    }

    fn fault(&self, file: &str, what: impl Into<String>) -> FileError {
        FileError {
            file: self.0.join(file),
            what: what.into(),
        }
    }

    /// The key; none if none was made yet.
    pub(super) fn key(&self) -> Result<Option<SigningKey>, FileError> {
        match std::fs::read(self.0.join(KEY)) {
            Ok(bytes) => {
                let bytes = <[u8; 32]>::try_from(bytes.as_slice())
                    .map_err(|_| self.fault(KEY, "is not a key of 32 bytes; put it back from the backup, or remove it: then a new one is made, and that goes on record"))?;
                Ok(Some(SigningKey::from_bytes(&bytes)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fault(KEY, format!("cannot be read: {error}"))),
        }
    }

    pub(super) fn make_key(&self) -> Result<SigningKey, FileError> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| self.fault(KEY, format!("cannot be made: {error}")))?;
        self.replace(KEY, &bytes)?;
        Ok(SigningKey::from_bytes(&bytes))
    }

    /// The signed head; none if nothing was sealed yet.
    pub(super) fn head(&self) -> Result<Option<Checkpoint>, FileError> {
        self.checkpoint(HEAD)
    }

    fn checkpoint(&self, file: &str) -> Result<Option<Checkpoint>, FileError> {
        let path = self.0.join(file);
        let cannot = |error: std::io::Error| self.fault(file, format!("cannot be read: {error}"));
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot(error)),
            Ok(found) if found.len() > LONGEST => {
                return Err(self.fault(file, "is not a checkpoint"));
            }
            Ok(_) => {}
        }
        let bytes = std::fs::read(&path).map_err(cannot)?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| self.fault(file, format!("is not a checkpoint: {error}")))
    }

    pub(super) fn put_head(&self, head: &Checkpoint) -> Result<(), FileError> {
        let text = serde_json::to_vec(head)
            .map_err(|error| self.fault(HEAD, format!("cannot be written: {error}")))?;
        self.replace(HEAD, &text)
    }

    /// Writes a file whole or not at all, also when the power fails.
    fn replace(&self, file: &str, bytes: &[u8]) -> Result<(), FileError> {
        let (path, new) = (self.0.join(file), self.0.join(format!("{file}.new")));
        let written = || -> std::io::Result<()> {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut writing = options.open(&new)?;
            writing.write_all(bytes)?;
            writing.sync_all()?;
            std::fs::rename(&new, &path)?;
            File::open(&self.0)?.sync_all()
        };
        written().map_err(|error| self.fault(file, format!("cannot be written: {error}")))
    }

    /// Keeps the head that does not fit beside the one that follows; how it is called then.
    pub(super) fn set_aside(&self) -> Result<Option<String>, FileError> {
        let kept = format!("{HEAD}.{}", Timestamp::now().micros());
        match std::fs::rename(self.0.join(HEAD), self.0.join(&kept)) {
            Ok(()) => Ok(Some(kept)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fault(HEAD, format!("cannot be renamed: {error}"))),
        }
    }

    /// The heads that did not fit, by name.
    fn aside(&self) -> Result<Vec<String>, FileError> {
        let cannot = |error: std::io::Error| self.fault("", format!("cannot be read: {error}"));
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.0).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name();
            let name = name.to_string_lossy();
            let number = name
                .strip_prefix(HEAD)
                .and_then(|rest| rest.strip_prefix('.'));
            if number.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit())) {
                names.push(name.into_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

/// The newest signed head below a data directory; none if nothing was sealed yet.
///
/// # Errors
/// When the file cannot be read.
pub fn head_of(data_dir: &Path) -> Result<Option<Checkpoint>, FileError> {
    Directory::new(data_dir).head()
}

/// What was found of the audit below a data directory.
#[derive(Debug)]
pub struct Found {
    /// What the verification says.
    pub verified: Verified,
    /// The newest signed head; none if nothing was ever sealed.
    pub head: Option<Checkpoint>,
}

/// Why an audit could not be verified, or what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not what it was.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Its files.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies the audit below a data directory, whether a host runs over it or not, against the
/// signed heads that are there and `against`. `key` is the one that all must be signed with; that
/// of the directory counts when none is named.
///
/// # Errors
/// [`VerifyError::Fault`] is the first thing that is wrong.
pub async fn verify_directory(
    data_dir: &Path,
    against: Vec<(String, Checkpoint)>,
    key: Option<String>,
) -> Result<Found, VerifyError> {
    let (directory, audit) = (
        Directory::new(data_dir),
        mandate_store::read_audit(data_dir),
    );
    // In this order, because a running host writes the head before it seals.
    let sealed = match audit.last_sealed().await {
        Ok(sealed) => sealed.map_or(0, |(seq, _)| seq),
        // The row is named below.
        Err(StoreError::Corrupt(_)) => 0,
        Err(error) => return Err(error.into()),
    };
    let head = directory.head()?;
    let own = directory.key()?.map(|key| chain::public_key(&key));
    let key = key
        .or(own)
        .or_else(|| head.as_ref().map(|head| head.key.clone()));
    let mut marks = Vec::new();
    for name in directory.aside()? {
        if let Some(checkpoint) = directory.checkpoint(&name)? {
            let name = format!("the head that was set aside as {name}");
            marks.push(Mark {
                name,
                checkpoint,
                key: None,
            });
        }
    }
    let heads = head
        .iter()
        .map(|head| ("the signed head".to_owned(), head.clone()));
    marks.extend(heads.chain(against).map(|(name, checkpoint)| Mark {
        name,
        checkpoint,
        key: key.clone(),
    }));
    let mut verifier = Verifier::new(marks)?;
    let mut after = 0;
    loop {
        let acts = audit.acts_after(after, PORTION).await?;
        if acts.is_empty() {
            break;
        }
        for act in acts {
            after = act.as_ref().map_or_else(|bad| bad.seq, |act| act.seq);
            verifier.next(act)?;
        }
    }
    let verified = verifier.end()?;
    match &head {
        None if sealed > 0 => Err(Fault::NoHead { sealed }.into()),
        Some(head) if head.seq < sealed => Err(Fault::OldHead {
            mark: "the signed head".to_owned(),
            seq: head.seq,
            sealed,
        }
        .into()),
        _ => Ok(Found { verified, head }),
    }
}
