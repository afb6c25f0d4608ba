//! The only SQL. A trait per aggregate for what is read, one [`Commit`] for what is written
//! together; which database is behind them nobody outside knows.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod audit;
pub mod commit;
pub mod crash;
pub mod decision;
pub mod delivery;
pub mod event;
pub mod halt;
pub mod journal;
pub mod ledger;
pub mod notification;
pub mod plugin;
pub mod policy;
pub mod principal;
pub mod record;
pub mod series;
pub mod task;

mod sqlite;

#[doc(hidden)]
pub use sqlite::SqliteSettings;

use mandate_types::TenantId;
use std::path::Path;
use std::sync::Arc;

pub use audit::{ActQuery, AuditStore, AuditedAct, NewAct, SharedAudit, UnreadableAct};
pub use commit::{Commit, CommitError, Committed, Lease, Write};
pub use decision::{
    Decision, DecisionChange, DecisionQuery, DecisionRequest, DecisionStore, Question,
    QuestionQuery, Wait, WaitKey, Woken,
};
pub use delivery::{Delivery, DeliveryKey, DeliveryStatus, DeliveryStore};
pub use event::{Event, EventQuery, EventStore, NewEvent};
pub use halt::HaltStore;
pub use journal::{
    Ending, Execution, Invocation, JournalStore, LogLevel, LogLine, Step, StepAnswer,
};
pub use ledger::{LedgerEntry, LedgerQuery, LedgerStore, SpendingKind, Spent, SpentQuery};
pub use notification::{Notification, NotificationStatus, NotificationStore};
pub use plugin::{Installation, InstallationStatus, Package, PluginStore, TriggerState};
pub use policy::{PolicyStore, PolicyVersion};
pub use principal::{Principal, PrincipalStore};
pub use record::{
    Collection, Comparison, Condition, FieldKind, IndexedField, Order, Record, RecordPage,
    RecordQuery, RecordStore, RecordWrite,
};
pub use series::{SeriesSettings, SharedSeries};
pub use task::{Page, Task, TaskChange, TaskError, TaskQuery, TaskStore};

/// Why the store could not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk, the file or the server; the host is not ready while this lasts.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// The disk has no room for another write; reading goes on.
    #[error("the disk of the data directory is full: {0}")]
    Full(String),
    /// A cursor that this store did not give out.
    #[error("`cursor` is not one that this host gave out")]
    Cursor,
    /// A filter or order names a field that cannot be used so.
    #[error("{0}")]
    Query(String),
    /// A row does not read back; a mistake of ours or a file changed by hand.
    #[error("the database holds a row that cannot be read: {0}")]
    Corrupt(String),
    /// The key of a tenant is not there, or is another one: its journals are neither read nor written.
    #[error("{0}")]
    Key(String),
    /// The key of this tenant was destroyed, and nobody can read what was written under it.
    #[error("the journals of the tenant {0} were erased")]
    Erased(TenantId),
}

/// Everything that a host keeps.
pub trait Store:
    Commit
    + TaskStore
    + JournalStore
    + RecordStore
    + EventStore
    + PluginStore
    + PrincipalStore
    + PolicyStore
    + DeliveryStore
    + AuditStore
    + DecisionStore
    + LedgerStore
    + HaltStore
    + NotificationStore
{
}

/// A store that can be handed around.
pub type SharedStore = Arc<dyn Store>;

/// Opens the embedded store below `data_dir`, migrating it first; the directory is locked
/// against other hosts until the store is dropped.
///
/// # Errors
/// [`StoreError::Unavailable`] when the directory cannot be used or another host uses it.
pub async fn open_embedded(data_dir: &Path) -> Result<SharedStore, StoreError> {
    Ok(Arc::new(
        sqlite::SqliteStore::open(data_dir, &SqliteSettings::default()).await?,
    ))
}

/// As [`open_embedded`], with the settings of tests.
///
/// # Errors
/// As [`open_embedded`].
#[doc(hidden)]
pub async fn open_embedded_with(
    data_dir: &Path,
    settings: &SqliteSettings,
) -> Result<SharedStore, StoreError> {
    Ok(Arc::new(
        sqlite::SqliteStore::open(data_dir, settings).await?,
    ))
}

/// The audit below `data_dir`, to be read only: beside a running host too, and without taking
/// the directory from it. Whether there is one the first question tells.
pub fn read_audit(data_dir: &Path) -> SharedAudit {
    Arc::new(sqlite::AuditReader::new(data_dir))
}

/// Opens the telemetry below `data_dir`, which an open store has locked.
///
/// # Errors
/// [`StoreError::Unavailable`] when the directory cannot be used.
pub async fn open_telemetry(
    data_dir: &Path,
    settings: SeriesSettings,
) -> Result<SharedSeries, StoreError> {
    Ok(Arc::new(
        sqlite::TelemetryDb::open(data_dir, settings).await?,
    ))
}
