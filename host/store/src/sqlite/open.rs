//! Opening: the lock on the data directory, the migrations, the connections.

use super::SqliteStore;
use super::cache::TaskCache;
use super::ledger;
use super::sql::store_error;
use super::vault::{self, Vault};
use super::writer::Writer;
use crate::StoreError;
use mandate_types::Timestamp;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, SqlSafeStr as _};
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};

/// Numbered as their files; never edited once they have landed.
const MIGRATIONS: &[Numbered] = &[
    (
        1,
        "tables",
        include_str!("../../../../migrations/sqlite/0001_tables.sql"),
    ),
    (
        2,
        "calls",
        include_str!("../../../../migrations/sqlite/0002_calls.sql"),
    ),
    (
        3,
        "deliveries",
        include_str!("../../../../migrations/sqlite/0003_deliveries.sql"),
    ),
    (
        4,
        "decisions",
        include_str!("../../../../migrations/sqlite/0004_decisions.sql"),
    ),
    (
        5,
        "audit",
        include_str!("../../../../migrations/sqlite/0005_audit.sql"),
    ),
    (
        6,
        "vault",
        include_str!("../../../../migrations/sqlite/0006_vault.sql"),
    ),
    (
        7,
        "pins",
        include_str!("../../../../migrations/sqlite/0007_pins.sql"),
    ),
    (
        8,
        "halts",
        include_str!("../../../../migrations/sqlite/0008_halts.sql"),
    ),
    (
        9,
        "policies",
        include_str!("../../../../migrations/sqlite/0009_policies.sql"),
    ),
    (
        10,
        "notifications",
        include_str!("../../../../migrations/sqlite/0010_notifications.sql"),
    ),
    (
        11,
        "budgets",
        include_str!("../../../../migrations/sqlite/0011_budgets.sql"),
    ),
    (
        12,
        "attempts",
        include_str!("../../../../migrations/sqlite/0012_attempts.sql"),
    ),
];

/// How many connections only read.
const READERS: u32 = 4;
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 256;
/// How long a statement waits for another one's lock.
const BUSY: Duration = Duration::from_secs(5);
/// How many commits may wait before callers do.
const QUEUE: usize = 1024;
/// How far a subscriber may fall behind before it must read the events from the database.
const BACKLOG: usize = 16_384;
/// How long a host that is just stopping may take to release the data directory.
const LOCK_FOR: Duration = Duration::from_secs(2);

/// What tests set.
#[derive(Clone, Debug, Default)]
pub struct SqliteSettings {
    /// The most pages (of 4 KiB) that the file may have: a full disk, for tests.
    pub max_pages: Option<u32>,
}

impl SqliteStore {
    /// Opens `mandate.db` below `data_dir`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the directory cannot be used or another host uses it,
    /// [`StoreError::Full`] when there is no room even to open it.
    pub async fn open(data_dir: &Path, settings: &SqliteSettings) -> Result<Self, StoreError> {
        create_dir(data_dir)?;
        let lock = lock(data_dir).await?;
        let file = data_dir.join("mandate.db");
        let mut options = writing(&file, STATEMENTS)
            .foreign_keys(true)
            .pragma("cache_size", "-65536");
        if let Some(pages) = settings.max_pages {
            options = options.pragma("max_page_count", pages.to_string());
        }
        keep_private(&file)?;
        let mut conn = connect(&options, &data_dir.join("reserve")).await?;
        migrate(&mut conn, &file, MIGRATIONS).await?;
        let lost = ledger::lose_calls_of_clients(&mut conn, Timestamp::now());
        lost.await.map_err(store_error)?;
        let known = Writer::load(&mut conn).await?;
        let keys = super::sql::rows(&mut conn, vault::LIST, &[]).await;
        let keys = vault::listed(&keys.map_err(store_error)?)?;
        let vault = Arc::new(Vault::open(data_dir.join("keys"), keys));
        let readers = reading(&file, STATEMENTS);
        let tasks = Arc::new(TaskCache::new());
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let (events, _) = broadcast::channel(BACKLOG);
        let (last_act, acts) = watch::channel(known.last_act);
        let writer = Writer {
            conn,
            options,
            known,
            texts: HashMap::new(),
            tasks: Arc::clone(&tasks),
            events: events.clone(),
            last_act,
            lock,
        };
        tokio::spawn(writer.run(waiting));
        Ok(Self {
            readers,
            tasks,
            jobs,
            events,
            acts,
            vault,
        })
    }
}

/// A migration: its number, its name, its statements.
pub(super) type Numbered = (i64, &'static str, &'static str);

/// How the one connection that writes is opened; it keeps so many prepared statements.
pub(super) fn writing(file: &Path, statements: usize) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .statement_cache_capacity(statements)
        .pragma("temp_store", "memory")
        // Fewer, larger checkpoints: a page written often is copied once.
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

/// The connections that only read.
pub(super) fn reading(file: &Path, statements: usize) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .busy_timeout(BUSY)
        .statement_cache_capacity(statements)
        .disable_statement_logging();
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options)
}

/// Brings the tables of `file` to what this host knows.
pub(super) async fn migrate(
    conn: &mut SqliteConnection,
    file: &Path,
    migrations: &[Numbered],
) -> Result<(), StoreError> {
    let migrations = migrations.iter().map(|&(number, name, text)| {
        let kind = MigrationType::Simple;
        Migration::new(number, name.into(), kind, text.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
        .run_direct(None, conn, false)
        .await
        .map_err(|error| migration_error(error, file))
}

/// Makes the file, so that only this user can read it even where the directory is open to
/// others; SQLite gives its other files the same mode.
pub(super) fn keep_private(file: &Path) -> Result<(), StoreError> {
    let mut options = File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(file).map(drop).map_err(|error| {
        StoreError::Unavailable(format!("{} cannot be used: {error}", file.display()))
    })
}

/// A little room that is given back when there is none left at all: even opening needs some, for
/// the memory that the connections share.
const RESERVE: usize = 256 << 10;

pub(super) async fn connect(
    options: &SqliteConnectOptions,
    reserve: &Path,
) -> Result<SqliteConnection, StoreError> {
    let conn = match options.connect().await.map_err(store_error) {
        Err(StoreError::Full(error)) if reserve.exists() => {
            tracing::warn!(%error, "the disk is full: opening with the room kept in reserve");
            std::fs::remove_file(reserve).map_err(|e| StoreError::Full(e.to_string()))?;
            options.connect().await.map_err(store_error)?
        }
        other => other?,
    };
    let kept = std::fs::metadata(reserve).is_ok_and(|file| file.len() == RESERVE as u64);
    if !kept && std::fs::write(reserve, vec![0_u8; RESERVE]).is_err() {
        // Half a reserve would only take the room that others need.
        drop(std::fs::remove_file(reserve));
    }
    Ok(conn)
}

fn migration_error(error: sqlx::migrate::MigrateError, file: &Path) -> StoreError {
    use sqlx::migrate::MigrateError;
    match error {
        MigrateError::Execute(error) => store_error(error),
        MigrateError::VersionMissing(version) => StoreError::Unavailable(format!(
            "{} was written by a newer host (migration {version} is not known here): use that version or a newer one",
            file.display()
        )),
        other => StoreError::Unavailable(format!("{}: {other}", file.display())),
    }
}

fn create_dir(data_dir: &Path) -> Result<(), StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        // It holds seeds and tokens.
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(data_dir).map_err(|error| {
        StoreError::Unavailable(format!(
            "the data directory {} cannot be made: {error}",
            data_dir.display()
        ))
    })
}

/// Takes the directory for this host, as long as the file is open.
async fn lock(data_dir: &Path) -> Result<File, StoreError> {
    let path = data_dir.join("lock");
    let failed = |error: std::io::Error| {
        StoreError::Unavailable(format!("{} cannot be used: {error}", path.display()))
    };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    let start = tokio::time::Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_FOR => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&path).unwrap_or_default();
                let holder = if holder.is_empty() {
                    "a process unknown"
                } else {
                    holder.trim()
                };
                return Err(StoreError::Unavailable(format!(
                    "the data directory {} is in use by another host ({holder}): stop that one, or give this one another --data-dir",
                    data_dir.display()
                )));
            }
        }
    }
    // For the message above only; a full disk must not keep the host from opening.
    let written = file
        .set_len(0)
        .and_then(|()| file.write_all(format!("process {}\n", std::process::id()).as_bytes()));
    if let Err(error) = written {
        tracing::warn!(%error, "the lock file does not say who holds it");
    }
    Ok(file)
}
