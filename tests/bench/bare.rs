//! The floor of the journal: SQLite alone, by its own C interface, with the settings of the host's database.

use anyhow::{Context, bail, ensure};
use libsqlite3_sys as ffi;
use std::ffi::{CStr, CString, c_int};
use std::path::Path;
use std::ptr;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// The most rows that share a commit: as many as the host's.
const MOST: usize = 256;

/// A connection to one database.
pub struct Bare(*mut ffi::sqlite3);

// SAFETY: SQLite is compiled with its own locks; a connection may go from one thread to another.
unsafe impl Send for Bare {}

/// A prepared statement.
struct Statement<'c> {
    raw: *mut ffi::sqlite3_stmt,
    conn: &'c Bare,
}

impl Bare {
    /// Opens `file` as the host opens its database to write.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn open(file: &Path) -> anyhow::Result<Self> {
        let name = CString::new(file.to_str().context("the path is not text")?)?;
        let mut raw = ptr::null_mut();
        // SAFETY: `name` ends with a zero byte, and `raw` is where the connection is put.
        let code = unsafe { ffi::sqlite3_open(name.as_ptr(), &mut raw) };
        let conn = Self(raw);
        conn.check(code)?;
        conn.run(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;
             PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000;",
        )?;
        Ok(conn)
    }

    /// Runs statements that answer nothing.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn run(&self, statements: &str) -> anyhow::Result<()> {
        let text = CString::new(statements)?;
        let (none, nowhere) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the connection is open, the text ends with a zero byte, and nobody is called back.
        let code = unsafe { ffi::sqlite3_exec(self.0, text.as_ptr(), None, none, nowhere) };
        self.check(code)
    }

    /// The first column of the first row, as a number.
    ///
    /// # Errors
    /// SQLite's own, or that there is no row.
    pub fn number(&self, question: &str) -> anyhow::Result<f64> {
        let statement = self.prepare(question)?;
        ensure!(statement.next()?, "no row: {question}");
        // SAFETY: the statement stands on a row, which has a first column.
        Ok(unsafe { ffi::sqlite3_column_double(statement.raw, 0) })
    }

    /// Reads every column of every row; how many rows, and how many bytes of text and blobs.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn read_all(&self, question: &str) -> anyhow::Result<(u64, u64)> {
        let statement = self.prepare(question)?;
        let (mut rows, mut bytes) = (0, 0_u64);
        while statement.next()? {
            rows += 1;
            bytes += statement.row_bytes();
        }
        Ok((rows, bytes))
    }

    fn prepare(&self, text: &str) -> anyhow::Result<Statement<'_>> {
        let text = CString::new(text)?;
        let mut raw = ptr::null_mut();
        // SAFETY: the connection is open, the text ends with a zero byte, and `raw` is where the statement is put.
        let code = unsafe {
            ffi::sqlite3_prepare_v2(self.0, text.as_ptr(), -1, &mut raw, ptr::null_mut())
        };
        let statement = Statement { raw, conn: self };
        self.check(code)?;
        Ok(statement)
    }

    fn check(&self, code: c_int) -> anyhow::Result<()> {
        if code == ffi::SQLITE_OK {
            return Ok(());
        }
        // SAFETY: SQLite answers a text also for a connection that could not be opened.
        let text = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.0)) };
        bail!("SQLite: {}", text.to_string_lossy())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // SAFETY: statements borrow the connection, so that none is left.
        unsafe { ffi::sqlite3_close(self.0) };
    }
}

impl Statement<'_> {
    /// Goes to the next row, if there is one.
    fn next(&self) -> anyhow::Result<bool> {
        // SAFETY: the statement was prepared and is not finalised.
        match unsafe { ffi::sqlite3_step(self.raw) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            code => self.conn.check(code).map(|()| false),
        }
    }

    fn row_bytes(&self) -> u64 {
        // SAFETY: the statement stands on a row, and only columns that it has are asked for.
        unsafe {
            (0..ffi::sqlite3_column_count(self.raw))
                .map(|column| ffi::sqlite3_column_bytes(self.raw, column).unsigned_abs())
                .map(u64::from)
                .sum()
        }
    }

    /// Inserts a row of a number and a filler.
    fn insert(&self, number: i64, filler: &[u8]) -> anyhow::Result<()> {
        // SAFETY: the statement has two parameters, and the filler outlives the step.
        unsafe {
            let length = c_int::try_from(filler.len())?;
            ffi::sqlite3_bind_int64(self.raw, 1, number);
            ffi::sqlite3_bind_blob(self.raw, 2, filler.as_ptr().cast(), length, None);
        }
        self.next()?;
        // SAFETY: as above; a statement may be reset after each step.
        self.conn.check(unsafe { ffi::sqlite3_reset(self.raw) })
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: nothing uses it any more.
        unsafe { ffi::sqlite3_finalize(self.raw) };
    }
}

/// Rows per second, of so many bytes each, that `writers` insert who each wait until their row is committed before they
/// come with the next one; rows that wait at the same time share a commit.
///
/// # Errors
/// When a row cannot be written.
pub async fn inserts_per_second(
    file: &Path,
    row_bytes: usize,
    writers: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    let conn = Bare::open(file)?;
    // A log of writes that has its size is cheaper to write than one that grows; the host's has it.
    conn.run(
        "CREATE TABLE warm (filler BLOB NOT NULL); INSERT INTO warm VALUES (zeroblob(33554432));
         PRAGMA wal_checkpoint(RESTART);
         CREATE TABLE rows (number INTEGER PRIMARY KEY, filler BLOB NOT NULL);",
    )?;
    let (rows, waiting) = mpsc::channel(MOST);
    let writer = std::thread::spawn(move || write(&conn, row_bytes, waiting));
    let began = Instant::now();
    let writers = (0..writers).map(|_| {
        let rows = rows.clone();
        async move {
            let mut count = 0_u64;
            while began.elapsed() < time {
                let (written, answer) = oneshot::channel();
                rows.send(written).await?;
                answer.await?;
                count += 1;
            }
            anyhow::Ok(count)
        }
    });
    let counts = futures::future::try_join_all(writers).await;
    let took = began.elapsed();
    drop(rows);
    let ended = writer.join();
    ended.map_err(|_| anyhow::anyhow!("the writer of the floor panicked"))??;
    Ok(counts?.iter().sum::<u64>() as f64 / took.as_secs_f64())
}

/// Writes a row for each who waits, and answers once it is on disk.
fn write(
    conn: &Bare,
    row_bytes: usize,
    mut waiting: mpsc::Receiver<oneshot::Sender<()>>,
) -> anyhow::Result<()> {
    let filler = vec![0x5a; row_bytes];
    let insert = conn.prepare("INSERT INTO rows (number, filler) VALUES (?, ?)")?;
    let (begin, commit) = (conn.prepare("BEGIN IMMEDIATE")?, conn.prepare("COMMIT")?);
    let (mut group, mut number) = (Vec::with_capacity(MOST), 0);
    while waiting.blocking_recv_many(&mut group, MOST) > 0 {
        begin.once()?;
        for _ in &group {
            number += 1;
            insert.insert(number, &filler)?;
        }
        commit.once()?;
        for written in group.drain(..) {
            // Whoever does not wait any more needs no answer.
            let _ = written.send(());
        }
    }
    Ok(())
}

impl Statement<'_> {
    /// Runs it, so that it can be run again.
    fn once(&self) -> anyhow::Result<()> {
        self.next()?;
        // SAFETY: the statement was prepared and is not finalised.
        self.conn.check(unsafe { ffi::sqlite3_reset(self.raw) })
    }
}
