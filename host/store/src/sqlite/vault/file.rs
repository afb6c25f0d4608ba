//! The files that hold the tenants' keys: made before anything is written under them, and destroyed for good.

use crate::StoreError;
use mandate_types::TenantId;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a tenant's keys are derived from.
pub(super) type Root = Zeroizing<[u8; 32]>;

/// Where the key of a tenant is.
pub(super) fn path(dir: &Path, tenant: &TenantId) -> PathBuf {
    dir.join(format!("{tenant}.key"))
}

fn failed(path: &Path, error: &std::io::Error) -> StoreError {
    if error.kind() == ErrorKind::StorageFull {
        return StoreError::Full(error.to_string());
    }
    StoreError::Key(format!("{} cannot be used: {error}", path.display()))
}

/// The key in the file, if there is one.
pub(super) fn read(path: &Path) -> Result<Option<Root>, StoreError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, &error)),
    };
    let root = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| {
        StoreError::Key(format!(
            "{} is not a key of 32 bytes: put the file of the backup in its place",
            path.display()
        ))
    })?;
    Ok(Some(Zeroizing::new(root)))
}

/// Makes a key; once this returns it is on disk, name and all.
pub(super) fn make(path: &Path) -> Result<Root, StoreError> {
    let mut root = Zeroizing::new([0; 32]);
    getrandom::fill(root.as_mut_slice())
        .map_err(|error| StoreError::Key(format!("no randomness: {error}")))?;
    let written = (|| {
        if let Some(dir) = path.parent() {
            private_dir(dir)?;
        }
        // A half-written key must never have the name of a whole one.
        let draft = path.with_extension("new");
        let mut file = private(&draft)?;
        file.write_all(root.as_slice())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        sync_dir(path)
    })();
    written.map_err(|error| failed(path, &error))?;
    Ok(root)
}

/// Destroys a key, if it is there.
pub(super) fn destroy(path: &Path) -> Result<(), StoreError> {
    let gone = (|| {
        match OpenOptions::new().write(true).open(path) {
            Ok(mut file) => {
                file.write_all(&[0; 32])?;
                file.sync_all()?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        std::fs::remove_file(path)?;
        sync_dir(path)
    })();
    gone.map_err(|error| failed(path, &error))
}

fn private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir)?;
    sync_dir(dir)
}

fn private(path: &Path) -> std::io::Result<File> {
    // One that was left behind has whatever mode it has.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Brings the name of `path` to the disk.
fn sync_dir(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
