//! Compiled code on disk. It runs with the host's own rights, so its MAC is checked before
//! anything else looks at it.

use hmac::{Hmac, KeyInit, Mac};
use mandate_types::Digest;
use sha2::Sha256;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const MAC_BYTES: usize = 32;
const PURPOSE: &[u8] = b"mandate compiled component 1";

/// A folder of compiled components.
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; 32],
    /// What compiled code must be compatible with.
    engine: u64,
}

/// What the cache says about a component.
pub(crate) enum Found {
    /// Written by this host for an engine like this.
    Artifact(Vec<u8>),
    /// Never compiled for an engine like this.
    Nothing,
    /// There is a file, and it is not what this host wrote.
    Tampered,
}

impl Cache {
    pub(crate) fn new(dir: PathBuf, key: [u8; 32], engine: u64) -> Self {
        Self { dir, key, engine }
    }

    /// Where the compiled code of `digest` is kept.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.dir
            .join(format!("{digest}-{:016x}.cwasm", self.engine))
    }

    /// Reads and authenticates.
    pub(crate) fn get(&self, digest: &Digest) -> std::io::Result<Found> {
        let mut bytes = match std::fs::read(self.path(digest)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(error),
        };
        let Some((tag, artifact)) = bytes.split_at_checked(MAC_BYTES) else {
            return Ok(Found::Tampered);
        };
        if self
            .mac(digest, artifact)
            .is_none_or(|mac| mac.verify_slice(tag).is_err())
        {
            return Ok(Found::Tampered);
        }
        bytes.drain(..MAC_BYTES);
        Ok(Found::Artifact(bytes))
    }

    /// Writes, so that a reader sees all of it or nothing.
    pub(crate) fn put(&self, digest: &Digest, artifact: &[u8]) -> std::io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let Some(mac) = self.mac(digest, artifact) else {
            return Ok(());
        };
        std::fs::create_dir_all(&self.dir)?;
        let path = self.path(digest);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{count}.tmp", std::process::id()));
        let written = write(&temporary, &mac.finalize().into_bytes(), artifact)
            .and_then(|()| std::fs::rename(&temporary, &path));
        if written.is_err() {
            // The first error is the one that counts.
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }

    fn mac(&self, digest: &Digest, artifact: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key).ok()?;
        mac.update(PURPOSE);
        mac.update(digest.as_str().as_bytes());
        mac.update(&self.engine.to_be_bytes());
        mac.update(artifact);
        Some(mac)
    }
}

fn write(path: &Path, tag: &[u8], artifact: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(tag)?;
    file.write_all(artifact)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cache: &Cache, digest: &Digest) -> Option<Vec<u8>> {
        match cache.get(digest).unwrap() {
            Found::Artifact(bytes) => Some(bytes),
            Found::Nothing => None,
            Found::Tampered => panic!("tampered"),
        }
    }

    #[test]
    fn what_was_put_is_found_by_the_same_host_only() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"guest");
        let cache = Cache::new(dir.path().join("new"), [1; 32], 7);
        assert_eq!(found(&cache, &digest), None);
        cache.put(&digest, b"code").unwrap();
        assert_eq!(found(&cache, &digest).as_deref(), Some(b"code".as_slice()));
        let other_engine = Cache::new(dir.path().join("new"), [1; 32], 8);
        assert_eq!(found(&other_engine, &digest), None);
        let other_key = Cache::new(dir.path().join("new"), [2; 32], 7);
        assert!(matches!(other_key.get(&digest).unwrap(), Found::Tampered));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"guest");
        let cache = Cache::new(dir.path().to_owned(), [1; 32], 7);
        cache.put(&digest, b"code").unwrap();
        let good = std::fs::read(cache.path(&digest)).unwrap();
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            std::fs::write(cache.path(&digest), bad).unwrap();
            assert!(
                matches!(cache.get(&digest).unwrap(), Found::Tampered),
                "byte {position}"
            );
        }
        std::fs::write(cache.path(&digest), &good[..10]).unwrap();
        assert!(matches!(cache.get(&digest).unwrap(), Found::Tampered));
        std::fs::copy(cache.path(&digest), cache.path(&Digest::of(b"other"))).unwrap();
        assert!(matches!(
            cache.get(&Digest::of(b"other")).unwrap(),
            Found::Tampered
        ));
    }
}
