//! The tenants' keys. Arguments, answers and seeds of journals are sealed under the key of their tenant, which is a
//! file beside the database and never in it: who destroys the file has erased the journals.

mod cell;
mod file;
mod keys;
mod open;
mod seal;
mod store;

use crate::StoreError;
use mandate_types::TenantId;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

pub(super) use cell::Place;
use keys::Keys;
pub(super) use open::Opened;
pub(super) use seal::{CONTENT_COLUMNS, CONTENT_KNOWN, Sealer, erased_by};
pub(super) use store::{ERASE, LIST, PUT, listed};

/// A key that the database lists.
#[derive(Clone)]
pub(super) struct Listed {
    pub(super) generation: u32,
    pub(super) id: String,
    pub(super) erased: bool,
}

/// The keys of one tenant: at most one that counts, and those that were destroyed.
struct Ring {
    path: PathBuf,
    listed: Vec<Listed>,
    /// None if nothing was written since the last one was destroyed.
    live: Option<Result<Arc<Keys>, StoreError>>,
}

impl Ring {
    fn load(dir: &Path, tenant: &TenantId, listed: Vec<Listed>) -> Self {
        let path = file::path(dir, tenant);
        let live = listed.iter().find(|key| !key.erased);
        let live = live.map(|key| read(&path, tenant, key));
        Self { path, listed, live }
    }

    fn live(&self) -> Option<&Arc<Keys>> {
        self.live.as_ref().and_then(|live| live.as_ref().ok())
    }

    fn was_erased(&self, id: &str) -> bool {
        self.listed.iter().any(|key| key.erased && key.id == id)
    }
}

fn read(path: &Path, tenant: &TenantId, key: &Listed) -> Result<Arc<Keys>, StoreError> {
    let file = path.display();
    let Some(root) = file::read(path)? else {
        return Err(StoreError::Key(format!(
            "{file} is missing, and without it nobody can read the journals of the tenant {tenant}: put the file of \
             the backup there, or give them up with `mandate tenant erase {tenant}`"
        )));
    };
    let keys = Keys::new(tenant, key.generation, &root)?;
    if keys.id != key.id {
        return Err(StoreError::Key(format!(
            "{file} is not the key under which the journals of the tenant {tenant} were written: put the file of the \
             backup in its place"
        )));
    }
    Ok(Arc::new(keys))
}

/// All keys, in memory: nothing is read from a file, or derived, while work is done.
pub(super) struct Vault {
    dir: PathBuf,
    rings: RwLock<HashMap<TenantId, Arc<Ring>>>,
    /// Held by whoever makes or destroys a key.
    changing: tokio::sync::Mutex<()>,
}

impl Vault {
    /// Reads the keys that the database lists. One that is not there concerns its tenant only.
    pub(super) fn open(dir: PathBuf, listed: HashMap<TenantId, Vec<Listed>>) -> Self {
        let mut rings = HashMap::new();
        for (tenant, listed) in listed {
            let ring = Ring::load(&dir, &tenant, listed);
            match &ring.live {
                Some(Err(error)) => {
                    tracing::error!(%tenant, %error, "the key of a tenant cannot be used")
                }
                Some(Ok(_)) => {}
                None => destroy_remains(&ring, &tenant),
            }
            rings.insert(tenant, Arc::new(ring));
        }
        Self {
            dir,
            rings: RwLock::new(rings),
            changing: tokio::sync::Mutex::default(),
        }
    }

    fn ring(&self, tenant: &TenantId) -> Option<Arc<Ring>> {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.get(tenant).map(Arc::clone)
    }

    fn live(&self, tenant: &TenantId) -> Option<Arc<Keys>> {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.get(tenant)?.live().map(Arc::clone)
    }

    fn set(&self, tenant: &TenantId, ring: Ring) -> Arc<Ring> {
        let ring = Arc::new(ring);
        let mut rings = self.rings.write().unwrap_or_else(PoisonError::into_inner);
        rings.insert(tenant.clone(), Arc::clone(&ring));
        ring
    }

    /// Reads the key once more that could not be used: somebody may have put the file back.
    fn again(&self, tenant: &TenantId, known: &Arc<Ring>) -> Result<Arc<Keys>, StoreError> {
        let ring = Ring::load(&self.dir, tenant, known.listed.clone());
        let live = ring.live.clone();
        let mut rings = self.rings.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = rings.get_mut(tenant)
            && Arc::ptr_eq(entry, known)
        {
            *entry = Arc::new(ring);
        }
        live.unwrap_or_else(|| Err(StoreError::Erased(tenant.clone())))
    }
}

/// The host may have ended between the record that a key was destroyed and the deed.
fn destroy_remains(ring: &Ring, tenant: &TenantId) {
    let remains = file::read(&ring.path).and_then(|root| match root {
        Some(root) if ring.was_erased(&Keys::new(tenant, 0, &root)?.id) => {
            file::destroy(&ring.path)
        }
        _ => Ok(()),
    });
    if let Err(error) = remains {
        tracing::error!(%tenant, %error, "a key that was to be destroyed may still be there");
    }
}
