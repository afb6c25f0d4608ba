//! SQL text with its arguments, rows read back, and what the errors of the database mean.

use crate::StoreError;
use futures::TryStreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Decode, Row as _, TypeInfo as _, ValueRef as _};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// A bound value. Cheap to clone, because a batch may have to be applied twice.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    Null,
    Int(i64),
    Real(f64),
    Text(Arc<str>),
    Blob(Arc<[u8]>),
}

impl Arg {
    pub(super) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Arc::from(text.as_ref()))
    }

    /// As JSON text.
    pub(super) fn json(value: &impl serde::Serialize) -> Self {
        // Plain data with text keys cannot fail to serialise.
        Self::Text(Arc::from(
            serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()),
        ))
    }

    /// A count; the database has no numbers above `i64::MAX`.
    pub(super) fn count(count: u64) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub(super) fn opt<T>(value: Option<T>, to: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Null, to)
    }

    pub(super) fn opt_text(value: Option<impl AsRef<str>>) -> Self {
        Self::opt(value, Self::text)
    }

    pub(super) fn bool(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<mandate_types::Timestamp> for Arg {
    fn from(time: mandate_types::Timestamp) -> Self {
        Self::Int(time.micros())
    }
}

impl From<mandate_types::MicroUsd> for Arg {
    fn from(money: mandate_types::MicroUsd) -> Self {
        Self::Int(money.0)
    }
}

/// A statement being put together: text from this crate, values only ever bound.
#[derive(Default)]
pub(super) struct Sql {
    text: String,
    args: Vec<Arg>,
}

impl Sql {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            args: Vec::new(),
        }
    }

    pub(super) fn with(text: &str, args: Vec<Arg>) -> Self {
        Self {
            text: text.to_owned(),
            args,
        }
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(super) fn bind(&mut self, arg: Arg) -> &mut Self {
        self.text.push('?');
        self.args.push(arg);
        self
    }

    /// Text with `?` in it, and what to bind there.
    pub(super) fn clause(&mut self, text: &str, arg: Arg) -> &mut Self {
        self.text.push_str(text);
        self.args.push(arg);
        self
    }

    /// `(?, ?, …)`
    pub(super) fn list(&mut self, args: impl IntoIterator<Item = Arg>) -> &mut Self {
        self.text.push('(');
        for (position, arg) in args.into_iter().enumerate() {
            if position > 0 {
                self.text.push_str(", ");
            }
            self.bind(arg);
        }
        self.text.push(')');
        self
    }

    pub(super) async fn all(self, pool: &SqlitePool) -> Result<Vec<SqliteRow>, StoreError> {
        let args = bound(&self.args).map_err(store_error)?;
        sqlx::query_with(AssertSqlSafe(self.text), args)
            .fetch_all(pool)
            .await
            .map_err(store_error)
    }

    /// What `read` makes of each row. Rows that may be many are never in memory all at once.
    pub(super) async fn each<T>(
        self,
        pool: &SqlitePool,
        read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let args = bound(&self.args).map_err(store_error)?;
        let mut rows = sqlx::query_with(AssertSqlSafe(self.text), args).fetch(pool);
        let mut all = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(store_error)? {
            all.push(read(&row)?);
        }
        Ok(all)
    }

    pub(super) async fn optional(self, pool: &SqlitePool) -> Result<Option<SqliteRow>, StoreError> {
        let args = bound(&self.args).map_err(store_error)?;
        sqlx::query_with(AssertSqlSafe(self.text), args)
            .fetch_optional(pool)
            .await
            .map_err(store_error)
    }
}

fn bound(args: &[Arg]) -> Result<SqliteArguments, sqlx::Error> {
    let mut all = SqliteArguments::default();
    for arg in args {
        match arg {
            Arg::Null => all.add(None::<i64>),
            Arg::Int(value) => all.add(*value),
            Arg::Real(value) => all.add(*value),
            Arg::Text(value) => all.add(Arc::clone(value)),
            Arg::Blob(value) => all.add(value.as_ref()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(all)
}

/// Runs a statement of the writer; how many rows it changed.
pub(super) async fn run(
    conn: &mut SqliteConnection,
    text: &'static str,
    args: &[Arg],
) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query_with(text, bound(args)?)
        .execute(conn)
        .await?
        .rows_affected())
}

/// As [`run`], for text that was put together and is kept for the next time.
pub(super) async fn run_text(
    conn: &mut SqliteConnection,
    text: Arc<str>,
    args: &[Arg],
) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query_with(AssertSqlSafe(text), bound(args)?)
        .execute(conn)
        .await?
        .rows_affected())
}

/// The first row of a statement of the writer.
pub(super) async fn first(
    conn: &mut SqliteConnection,
    text: &'static str,
    args: &[Arg],
) -> Result<Option<SqliteRow>, sqlx::Error> {
    sqlx::query_with(text, bound(args)?)
        .fetch_optional(conn)
        .await
}

/// All rows of a statement of the writer.
pub(super) async fn rows(
    conn: &mut SqliteConnection,
    text: &'static str,
    args: &[Arg],
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    sqlx::query_with(text, bound(args)?).fetch_all(conn).await
}

/// What an error of the database means to a caller.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    match code(&error) {
        Some(13) => StoreError::Full(error.to_string()),
        // The shared-memory file could not grow, which is how a full disk shows on opening.
        Some(4874) => StoreError::Full(error.to_string()),
        Some(code) if code & 0xff == 11 || code & 0xff == 26 => {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// SQLite's extended result code.
fn code(error: &sqlx::Error) -> Option<i32> {
    error
        .as_database_error()
        .and_then(|e| e.code())
        .and_then(|code| code.parse().ok())
}

/// Whether the error concerns the whole database, so that no other commit would succeed either:
/// busy, locked, out of memory, read-only, interrupted, I/O, corrupt, full, cannot open, not a
/// database, or no answer from it at all.
pub(super) fn concerns_all(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) | sqlx::Error::RowNotFound => false,
        _ => code(error)
            .is_none_or(|code| matches!(code & 0xff, 5 | 6 | 7 | 8 | 9 | 10 | 11 | 13 | 14 | 26)),
    }
}

/// Whether a key is taken.
pub(super) fn is_taken(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|e| e.is_unique_violation())
}

/// Whether a row that must exist does not: a broken reference, or a column looked up in vain.
pub(super) fn is_missing(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|e| {
        matches!(
            e.kind(),
            sqlx::error::ErrorKind::ForeignKeyViolation | sqlx::error::ErrorKind::NotNullViolation
        )
    })
}

/// Reading columns by name; what does not read back is [`StoreError::Corrupt`].
pub(super) trait Columns {
    fn get_text(&self, name: &str) -> Result<String, StoreError>;
    fn get_opt_text(&self, name: &str) -> Result<Option<String>, StoreError>;
    fn get_int(&self, name: &str) -> Result<i64, StoreError>;
    fn get_opt_int(&self, name: &str) -> Result<Option<i64>, StoreError>;
    fn get_opt_real(&self, name: &str) -> Result<Option<f64>, StoreError>;
    fn get_blob(&self, name: &str) -> Result<Vec<u8>, StoreError>;
    /// A column that may hold text or bytes: whether it is text, and what it holds.
    fn get_raw(&self, name: &str) -> Result<Option<(bool, &[u8])>, StoreError>;

    fn get_count(&self, name: &str) -> Result<u64, StoreError> {
        u64::try_from(self.get_int(name)?).map_err(|e| corrupt(name, e))
    }

    fn get_small(&self, name: &str) -> Result<u32, StoreError> {
        u32::try_from(self.get_int(name)?).map_err(|e| corrupt(name, e))
    }

    fn get_bool(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.get_int(name)? != 0)
    }

    fn get_time(&self, name: &str) -> Result<mandate_types::Timestamp, StoreError> {
        Ok(mandate_types::Timestamp::from_micros(self.get_int(name)?))
    }

    fn get_opt_time(&self, name: &str) -> Result<Option<mandate_types::Timestamp>, StoreError> {
        Ok(self
            .get_opt_int(name)?
            .map(mandate_types::Timestamp::from_micros))
    }

    /// An id or a word of a closed set.
    fn get_id<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, StoreError> {
        self.get_text(name)?.parse().map_err(|e| corrupt(name, e))
    }

    fn get_opt_id<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.get_opt_text(name)?
            .map(|text| text.parse().map_err(|e| corrupt(name, e)))
            .transpose()
    }

    fn get_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, StoreError> {
        serde_json::from_str(&self.get_text(name)?).map_err(|e| corrupt(name, e))
    }

    fn get_opt_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.get_opt_text(name)?
            .map(|text| serde_json::from_str(&text).map_err(|e| corrupt(name, e)))
            .transpose()
    }

    fn get_value(&self, name: &str) -> Result<Value, StoreError> {
        self.get_json(name)
    }
}

impl Columns for SqliteRow {
    fn get_text(&self, name: &str) -> Result<String, StoreError> {
        self.try_get(name).map_err(|e| corrupt(name, e))
    }
    fn get_opt_text(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.try_get(name).map_err(|e| corrupt(name, e))
    }
    fn get_int(&self, name: &str) -> Result<i64, StoreError> {
        self.try_get(name).map_err(|e| corrupt(name, e))
    }
    fn get_opt_int(&self, name: &str) -> Result<Option<i64>, StoreError> {
        self.try_get(name).map_err(|e| corrupt(name, e))
    }
    fn get_opt_real(&self, name: &str) -> Result<Option<f64>, StoreError> {
        self.try_get(name).map_err(|e| corrupt(name, e))
    }
    fn get_blob(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.try_get(name).map_err(|e| corrupt(name, e))
    }
    fn get_raw(&self, name: &str) -> Result<Option<(bool, &[u8])>, StoreError> {
        let value = self.try_get_raw(name).map_err(|e| corrupt(name, e))?;
        if value.is_null() {
            return Ok(None);
        }
        let text = value.type_info().name() == "TEXT";
        let bytes = <&[u8] as Decode<Sqlite>>::decode(value).map_err(|e| corrupt(name, e))?;
        Ok(Some((text, bytes)))
    }
}

/// A column that does not read back.
pub(super) fn corrupt(name: &str, error: impl Display) -> StoreError {
    StoreError::Corrupt(format!("column `{name}`: {error}"))
}
