//! What is derived from one key of one tenant, and how values are sealed and opened under it.

use super::cell::{Cell, DIGEST, Head, Place, SALT};
use super::file::Root;
use crate::StoreError;
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::KeyInit as _;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use mandate_types::TenantId;
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// Keys of other starts of the host that are kept ready for reading.
const READY: usize = 64;

/// One key of a tenant, ready for use.
pub(in crate::sqlite) struct Keys {
    pub(super) generation: u32,
    /// Tells keys apart without telling anything of them.
    pub(super) id: String,
    derived: Hkdf<Sha256>,
    digests: Hmac<Sha256>,
    salt: [u8; SALT],
    cipher: Aes256Gcm,
    counter: AtomicU64,
    others: RwLock<HashMap<[u8; SALT], Arc<Aes256Gcm>>>,
}

impl Keys {
    pub(super) fn new(tenant: &TenantId, generation: u32, root: &Root) -> Result<Self, StoreError> {
        let derived = Hkdf::new(Some(b"mandate journal 1"), root.as_slice());
        let mut id = [0; 16];
        expand(&derived, &[b"id", tenant.as_str().as_bytes()], &mut id)?;
        let mut digests = Zeroizing::new([0; 32]);
        expand(&derived, &[b"digests"], digests.as_mut_slice())?;
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt)
            .map_err(|error| StoreError::Key(format!("no randomness: {error}")))?;
        Ok(Self {
            generation,
            id: hex::encode(id),
            digests: Hmac::new_from_slice(digests.as_slice()).map_err(|_| too_long())?,
            cipher: cipher(&derived, &salt)?,
            derived,
            salt,
            counter: AtomicU64::new(0),
            others: RwLock::default(),
        })
    }

    fn head(&self) -> Head {
        Head {
            generation: self.generation,
            salt: self.salt,
            counter: self.counter.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The cell that holds `value` at `place`.
    pub(super) fn seal(&self, place: &Place<'_>, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let cell = self.head().seal(&self.cipher, place, value);
        cell.ok_or_else(|| StoreError::Query("a value is too large to be sealed".to_owned()))
    }

    /// The cell that names, at `place`, a value kept apart.
    pub(super) fn name(
        &self,
        place: &Place<'_>,
        digest: &[u8; DIGEST],
    ) -> Result<Vec<u8>, StoreError> {
        let cell = self.head().name(&self.cipher, place, digest);
        cell.ok_or_else(too_long)
    }

    /// The value of a cell at `place`; of one kept apart, its digest.
    pub(super) fn open(&self, place: &Place<'_>, cell: &Cell<'_>) -> Result<Vec<u8>, StoreError> {
        let opened = if cell.salt == self.salt {
            cell.open(&self.cipher, place)
        } else {
            cell.open(&*self.other(cell.salt)?, place)
        };
        opened.ok_or_else(|| {
            let (column, row) = (place.column, String::from_utf8_lossy(place.row));
            StoreError::Corrupt(format!(
                "{column} of {row} was changed, or stood elsewhere when it was written"
            ))
        })
    }

    /// The digest under which a large value is kept; says nothing to who has not the key.
    pub(super) fn digest(&self, value: &[u8]) -> [u8; DIGEST] {
        let mut digest = self.digests.clone();
        digest.update(value);
        digest.finalize().into_bytes().into()
    }

    fn other(&self, salt: [u8; SALT]) -> Result<Arc<Aes256Gcm>, StoreError> {
        let ready = self.others.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(cipher) = ready.get(&salt) {
            return Ok(Arc::clone(cipher));
        }
        drop(ready);
        let cipher = Arc::new(cipher(&self.derived, &salt)?);
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        if others.len() >= READY {
            others.clear();
        }
        others.insert(salt, Arc::clone(&cipher));
        Ok(cipher)
    }
}

fn cipher(derived: &Hkdf<Sha256>, salt: &[u8; SALT]) -> Result<Aes256Gcm, StoreError> {
    let mut key = Zeroizing::new([0; 32]);
    expand(derived, &[b"cells", salt], key.as_mut_slice())?;
    Aes256Gcm::new_from_slice(key.as_slice()).map_err(|_| too_long())
}

fn expand(derived: &Hkdf<Sha256>, info: &[&[u8]], to: &mut [u8]) -> Result<(), StoreError> {
    derived.expand_multi_info(info, to).map_err(|_| too_long())
}

/// Never with the lengths that are used here.
fn too_long() -> StoreError {
    StoreError::Key("a key cannot be derived".to_owned())
}
