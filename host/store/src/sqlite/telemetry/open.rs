//! Opening: the migrations, what is in memory from what is on disk, the thread that writes.

use super::golden::Golden;
use super::heads::Heads;
use super::topology::{Topology, WINDOW};
use super::writer::{Numbers, Writer};
use super::{QUEUE, TelemetryDb, ahead, block, rows};
use crate::StoreError;
use crate::series::{Edge, Key, SeriesSettings};
use crate::sqlite::open::{Numbered, connect, keep_private, migrate, reading, writing};
use crate::sqlite::sql::{self, Arg, Columns as _, store_error};
use mandate_types::TenantId;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnection, SqliteRow};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, RwLock};
use tokio::sync::mpsc;

/// Numbered as their files; never edited once they have landed.
const MIGRATIONS: [Numbered; 1] = [(
    1,
    "tables",
    include_str!("../../../../../migrations/sqlite-telemetry/0001_tables.sql"),
)];

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 128;
/// Rows ahead that are read at once.
const PAGE: i64 = 16;

impl TelemetryDb {
    /// Opens `telemetry.db` below `data_dir`, which the caller has locked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the directory cannot be used, [`StoreError::Full`] when
    /// there is no room even to open it.
    pub async fn open(data_dir: &Path, settings: SeriesSettings) -> Result<Self, StoreError> {
        let file = data_dir.join("telemetry.db");
        let options = writing(&file, STATEMENTS)
            // Before there is a table: so the file can become smaller again.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .pragma("cache_size", "-32768");
        keep_private(&file)?;
        let mut conn = connect(&options, &data_dir.join("telemetry.reserve")).await?;
        migrate(&mut conn, &file, &MIGRATIONS).await?;
        let Loaded {
            heads,
            numbers,
            ahead,
            topology,
        } = load(&mut conn).await?;
        let readers = reading(&file, STATEMENTS);
        let heads = Arc::new(RwLock::new(heads));
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let retention = settings.retention;
        let writer = Writer {
            conn,
            options,
            settings,
            heads: heads.clone(),
            topology,
            golden: Golden::default(),
            numbers,
            ahead,
        };
        spawn(writer, waiting)?;
        Ok(Self {
            readers,
            heads,
            jobs,
            retention,
        })
    }
}

fn spawn(writer: Writer, waiting: mpsc::Receiver<super::writer::Job>) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| {
        StoreError::Unavailable(format!(
            "the thread that writes telemetry cannot start: {error}"
        ))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(failed)?;
    std::thread::Builder::new()
        .name("telemetry".to_owned())
        .spawn(move || runtime.block_on(writer.run(waiting)))
        .map(drop)
        .map_err(failed)
}

async fn all(
    conn: &mut SqliteConnection,
    text: &'static str,
) -> Result<Vec<SqliteRow>, StoreError> {
    sql::rows(conn, text, &[]).await.map_err(store_error)
}

/// What is in memory, as it follows from what is on disk.
pub(super) struct Loaded {
    pub(super) heads: Heads,
    pub(super) numbers: Numbers,
    /// Bytes in rows ahead.
    pub(super) ahead: usize,
    pub(super) topology: Topology,
}

/// Reads what is on disk.
pub(super) async fn load(conn: &mut SqliteConnection) -> Result<Loaded, StoreError> {
    let mut heads = Heads::default();
    let mut numbers = numbers(conn).await?;
    load_series(conn, &mut heads).await?;
    let ahead = replay(conn, &mut heads, &mut numbers).await?;
    let topology = load_topology(conn).await?;
    Ok(Loaded {
        heads,
        numbers,
        ahead,
        topology,
    })
}

/// The last numbers that were given out, whether or not they are still in use.
async fn numbers(conn: &mut SqliteConnection) -> Result<Numbers, StoreError> {
    let mut numbers = Numbers::default();
    for row in all(conn, "SELECT name, seq FROM sqlite_sequence").await? {
        let last = row.get_int("seq")?;
        match row.get_text("name")?.as_str() {
            "series" => numbers.series = last,
            "blocks" => numbers.block = last,
            "ahead" => numbers.ahead = last,
            _ => {}
        }
    }
    Ok(numbers)
}

/// The series, and of each the points of its open block.
async fn load_series(conn: &mut SqliteConnection, heads: &mut Heads) -> Result<(), StoreError> {
    for row in all(conn, "SELECT id, tenant, key FROM series").await? {
        let key = Key::from_bytes(&row.get_blob("key")?);
        heads.insert(row.get_int("id")?, row.get_id("tenant")?, key);
    }
    for row in all(conn, "SELECT id, series, data FROM blocks WHERE open = 1").await? {
        let (id, series) = (row.get_int("id")?, row.get_int("series")?);
        match block::decode(&row.get_blob("data")?) {
            Ok(points) => {
                heads.add(series, &points);
                if let Some(entry) = heads.series.get_mut(&series) {
                    entry.head.open = Some(id);
                    entry.head.dirty = false;
                }
            }
            Err(error) => {
                tracing::warn!(block = id, %error, "a block of telemetry is damaged; its points are missing");
            }
        }
    }
    Ok(())
}

/// Points that were accepted and are in no block yet; how many bytes their rows have.
async fn replay(
    conn: &mut SqliteConnection,
    heads: &mut Heads,
    numbers: &mut Numbers,
) -> Result<usize, StoreError> {
    const SEALED: &str = "SELECT series, MAX(ahead) AS ahead FROM blocks WHERE id > (SELECT block FROM checkpoint) GROUP BY series";
    const ROWS: &str = "SELECT seq, data FROM ahead WHERE seq > ? ORDER BY seq LIMIT ?";
    let mut sealed = HashMap::new();
    for row in all(conn, SEALED).await? {
        sealed.insert(row.get_int("series")?, row.get_int("ahead")?);
    }
    let (mut after, mut bytes) = (0, 0);
    loop {
        let rows = sql::rows(conn, ROWS, &[Arg::Int(after), Arg::Int(PAGE)])
            .await
            .map_err(store_error)?;
        if rows.is_empty() {
            return Ok(bytes);
        }
        for row in rows {
            after = row.get_int("seq")?;
            numbers.ahead = numbers.ahead.max(after);
            let data = row.get_blob("data")?;
            bytes += data.len();
            match ahead::decode(&data) {
                Ok(portions) => {
                    for (series, points) in portions {
                        if sealed.get(&series).is_none_or(|sealed| *sealed < after) {
                            heads.add(series, &points);
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(row = after, %error, "a row of telemetry is damaged; its points are missing");
                }
            }
        }
    }
}

/// Edges that spans have shown, and the latest spans.
async fn load_topology(conn: &mut SqliteConnection) -> Result<Topology, StoreError> {
    const EDGES: &str = "SELECT tenant, caller, callee, seen FROM edges WHERE given = 0";
    const SPANS: &str = "SELECT * FROM (SELECT * FROM spans ORDER BY id DESC LIMIT ?) ORDER BY id";
    let mut topology = Topology::default();
    for row in all(conn, EDGES).await? {
        let edge = Edge {
            caller: row.get_text("caller")?,
            callee: row.get_text("callee")?,
        };
        topology.know(row.get_id("tenant")?, edge, row.get_int("seen")?);
    }
    let latest = i64::try_from(WINDOW / 4).unwrap_or(i64::MAX);
    let spans = sql::rows(conn, SPANS, &[Arg::Int(latest)]).await;
    let mut seen = HashMap::new();
    for row in spans.map_err(store_error)? {
        let tenant: TenantId = row.get_id("tenant")?;
        let span = rows::read_span(&row)?;
        topology.observe(&tenant, std::slice::from_ref(&span), &mut seen);
    }
    Ok(topology)
}
