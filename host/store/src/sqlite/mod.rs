//! The embedded store: one SQLite file, one writer, a few readers.

mod apply;
mod audit;
mod budget;
mod bulk;
mod cache;
mod collection;
mod commit;
mod cursor;
mod decision;
mod delivery;
mod event;
mod halt;
mod journal;
mod ledger;
mod log;
mod notification;
mod op;
mod open;
mod plugin;
mod policy;
mod principal;
mod record;
mod sql;
mod suspend;
mod sweep;
mod task;
mod telemetry;
mod vault;
mod waits;
mod writer;

pub use audit::AuditReader;
pub use open::SqliteSettings;
pub use telemetry::TelemetryDb;

use crate::task::Page;
use crate::{Event, Store, StoreError};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, watch};

/// A store in one file below the data directory.
pub struct SqliteStore {
    readers: SqlitePool,
    tasks: Arc<cache::TaskCache>,
    jobs: mpsc::Sender<writer::Job>,
    events: broadcast::Sender<Arc<Event>>,
    acts: watch::Receiver<u64>,
    vault: Arc<vault::Vault>,
}

impl Store for SqliteStore {}

/// How many rows a page may have.
fn page_size(limit: u32) -> u32 {
    limit.clamp(1, 1000)
}

/// A page of `rows`, of which one more than the limit was asked for, to see if there is a next.
fn page<T>(
    rows: &[SqliteRow],
    limit: u32,
    read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
    cursor: impl Fn(&T) -> String,
) -> Result<Page<T>, StoreError> {
    let size = usize::try_from(page_size(limit)).unwrap_or(usize::MAX);
    let items = rows
        .iter()
        .take(size)
        .map(read)
        .collect::<Result<Vec<_>, _>>()?;
    let cursor = (rows.len() > size)
        .then(|| items.last().map(cursor))
        .flatten();
    Ok(Page { items, cursor })
}
