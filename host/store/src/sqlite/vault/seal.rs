//! Sealing what one commit writes, on the task of whoever commits. Large values are taken out of their rows.

use super::cell::{DIGEST, Place};
use super::keys::Keys;
use crate::commit::Write;
use crate::sqlite::sql::Arg;
use crate::{StoreError, TaskError};
use mandate_types::TenantId;
use serde::Serialize;
use std::sync::Arc;

/// Values of this many bytes are kept once per tenant.
const LARGE: usize = 1024;

/// For whom `writes` hold something to be sealed.
pub(super) fn tenants(writes: &[Write]) -> Vec<&TenantId> {
    let mut tenants: Vec<&TenantId> = Vec::new();
    for write in writes {
        let tenant = match write {
            Write::StartInvocation(invocation) => &invocation.tenant,
            Write::EndInvocation { ending, .. } => &ending.tenant,
            Write::Step(step) => &step.tenant,
            Write::AnswerStep(answer) => &answer.tenant,
            _ => continue,
        };
        if !tenants.contains(&tenant) {
            tenants.push(tenant);
        }
    }
    tenants
}

/// Whose journals `writes` erase.
pub(in crate::sqlite) fn erased_by(writes: &[Write]) -> Vec<TenantId> {
    let erased = writes.iter().filter_map(|write| match write {
        Write::EraseJournals { tenant, .. } => Some(tenant.clone()),
        _ => None,
    });
    erased.collect()
}

/// Columns of a large value's row, as [`Sealer::contents`] gives them.
pub(in crate::sqlite) const CONTENT_COLUMNS: &str = "tenant, digest, refs, bytes";

/// One that is there already is only named once more.
pub(in crate::sqlite) const CONTENT_KNOWN: &str =
    " ON CONFLICT (tenant, digest) DO UPDATE SET refs = refs + 1";

/// As JSON; plain data with text keys cannot fail to serialise.
fn text(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec())
}

/// Where a large value stands: under its digest.
pub(super) fn content_place(digest: &[u8]) -> Place<'_> {
    Place {
        column: "contents.bytes",
        row: digest,
        sequence: 0,
        index: 0,
    }
}

/// Seals the values of one commit.
pub(in crate::sqlite) struct Sealer {
    pub(super) keys: Vec<(TenantId, Arc<Keys>)>,
    contents: Vec<Vec<Arg>>,
}

impl Sealer {
    pub(super) fn new(keys: Vec<(TenantId, Arc<Keys>)>) -> Self {
        Self {
            keys,
            contents: Vec::new(),
        }
    }

    fn keys(&self, tenant: &TenantId) -> Result<Arc<Keys>, StoreError> {
        let found = self.keys.iter().find(|(whose, _)| whose == tenant);
        let found = found.map(|(_, keys)| Arc::clone(keys));
        found.ok_or_else(|| {
            StoreError::Key(format!("the key of the tenant {tenant} is not at hand"))
        })
    }

    /// `value`, in its row however large.
    pub(in crate::sqlite) fn bytes(
        &self,
        tenant: &TenantId,
        place: &Place<'_>,
        value: &[u8],
    ) -> Result<Arg, StoreError> {
        Ok(Arg::Blob(self.keys(tenant)?.seal(place, value)?.into()))
    }

    /// `value` as JSON; a large one is kept apart.
    pub(in crate::sqlite) fn json(
        &mut self,
        tenant: &TenantId,
        place: &Place<'_>,
        value: &impl Serialize,
    ) -> Result<Arg, StoreError> {
        let text = text(value);
        let keys = self.keys(tenant)?;
        if text.len() < LARGE {
            return Ok(Arg::Blob(keys.seal(place, &text)?.into()));
        }
        let digest: [u8; DIGEST] = keys.digest(&text);
        let content = keys.seal(&content_place(&digest), &text)?;
        self.contents.push(vec![
            Arg::text(tenant),
            Arg::Blob(digest.as_slice().into()),
            Arg::Int(1),
            Arg::Blob(content.into()),
        ]);
        Ok(Arg::Blob(keys.name(place, &digest)?.into()))
    }

    /// As [`Self::json`], where there may be nothing.
    pub(in crate::sqlite) fn opt_json(
        &mut self,
        tenant: &TenantId,
        place: &Place<'_>,
        value: Option<&impl Serialize>,
    ) -> Result<Arg, StoreError> {
        value.map_or(Ok(Arg::Null), |value| self.json(tenant, place, value))
    }

    /// How something failed, in its row however long.
    pub(in crate::sqlite) fn failure(
        &self,
        tenant: &TenantId,
        place: &Place<'_>,
        error: Option<&TaskError>,
    ) -> Result<Arg, StoreError> {
        error.map_or(Ok(Arg::Null), |error| {
            self.bytes(tenant, place, &text(error))
        })
    }

    /// The rows of large values that were taken out since the last time.
    pub(in crate::sqlite) fn contents(&mut self) -> impl Iterator<Item = Vec<Arg>> {
        self.contents.drain(..)
    }
}
