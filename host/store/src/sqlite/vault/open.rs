//! Opening what rows hold, sealed or as it was written before anything was sealed.

use super::cell::{Cell, LEAST, Place};
use super::{Vault, seal};
use crate::StoreError;
use crate::sqlite::sql::{Columns as _, corrupt};
use mandate_types::TenantId;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use std::borrow::Cow;
use std::sync::Arc;

/// What a column holds.
pub(in crate::sqlite) enum Opened<'r> {
    /// Null.
    Nothing,
    /// What was sealed under a key that was destroyed.
    Erased,
    /// This, and whether it was sealed.
    Value(Cow<'r, [u8]>, bool),
}

impl Opened<'_> {
    /// The value as JSON, if there is any; `erased` is set if it was erased.
    pub(in crate::sqlite) fn json<T: DeserializeOwned>(
        &self,
        name: &str,
        erased: &mut bool,
    ) -> Result<Option<T>, StoreError> {
        match self {
            Self::Nothing => Ok(None),
            Self::Erased => {
                *erased = true;
                Ok(None)
            }
            Self::Value(text, _) => serde_json::from_slice(text)
                .map(Some)
                .map_err(|error| corrupt(name, error)),
        }
    }
}

impl Vault {
    /// What `place` holds in `row`. A large value is looked for in a column of the same name with `_apart` behind it.
    pub(in crate::sqlite) fn read<'r>(
        &self,
        row: &'r SqliteRow,
        tenant: &TenantId,
        place: &Place<'_>,
    ) -> Result<Opened<'r>, StoreError> {
        let name = place.column.rsplit('.').next().unwrap_or(place.column);
        let Some((text, bytes)) = row.get_raw(name)? else {
            return Ok(Opened::Nothing);
        };
        // Seeds that were not sealed are bytes too, fewer than any cell has.
        if text || bytes.len() < LEAST {
            return Ok(Opened::Value(Cow::Borrowed(bytes), false));
        }
        let opened = self.open_cell(tenant, place, bytes, || {
            let apart = row.get_raw(&format!("{name}_apart"))?;
            Ok(apart.map(|(_, bytes)| bytes))
        })?;
        Ok(opened.map_or(Opened::Erased, |value| {
            Opened::Value(Cow::Owned(value), true)
        }))
    }

    /// The value of a cell, where `apart` finds what is kept under the digest that it names; none if it was erased.
    fn open_cell<'r>(
        &self,
        tenant: &TenantId,
        place: &Place<'_>,
        cell: &[u8],
        apart: impl FnOnce() -> Result<Option<&'r [u8]>, StoreError>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let damaged = |what: &str| {
            let row = String::from_utf8_lossy(place.row);
            StoreError::Corrupt(format!("{} of {row} {what}", place.column))
        };
        let parsed = Cell::parse(cell).ok_or_else(|| damaged("is no sealed value"))?;
        let known = self.ring(tenant);
        let ring = known.ok_or_else(|| damaged("belongs to a tenant without a key"))?;
        let mut listed = ring.listed.iter();
        match listed.find(|key| key.generation == parsed.generation) {
            None => return Err(damaged("was sealed under a key that is not listed")),
            Some(key) if key.erased => return Ok(None),
            Some(_) => {}
        }
        let keys = match &ring.live {
            Some(Ok(keys)) => Arc::clone(keys),
            _ => self.again(tenant, &ring)?,
        };
        let value = keys.open(place, &parsed)?;
        if !parsed.kept_apart {
            return Ok(Some(value));
        }
        let content = apart()?.ok_or_else(|| damaged("names a content that is not there"))?;
        let content = Cell::parse(content)
            .filter(|content| !content.kept_apart && content.generation == parsed.generation)
            .ok_or_else(|| damaged("names a content that is no sealed value"))?;
        keys.open(&seal::content_place(&value), &content).map(Some)
    }
}
