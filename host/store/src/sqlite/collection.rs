//! Writing records and declaring collections: indexes over fields of the body, and the full text.

use super::apply::Refused;
use super::record::{OWN_FIELDS, body_field};
use super::sql::{self, Arg, Columns};
use crate::record::{Collection, FieldKind, IndexedField, Record};
use crate::{CommitError, StoreError};
use serde_json::Value;
use sqlx::sqlite::SqliteConnection;

pub(super) const COLUMNS: &str =
    "collection, tenant, id, version, body, created_at, updated_at, created_by, written_in";

pub(super) fn row(record: &Record) -> Vec<Arg> {
    vec![
        Arg::text(&record.collection),
        Arg::text(&record.tenant),
        Arg::text(&record.id),
        Arg::count(record.version),
        Arg::json(&record.body),
        record.created_at.into(),
        record.updated_at.into(),
        Arg::text(&record.created_by),
        Arg::opt_text(record.written_in.as_ref()),
    ]
}

/// The text of a record by which it is found.
fn full_text(collection: &Collection, body: &Value) -> String {
    let mut all = String::new();
    for name in &collection.full_text {
        match body.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => all.push_str(text),
            Some(other) => all.push_str(&other.to_string()),
        }
        all.push('\n');
    }
    all
}

const INSERT_TEXT: &str = "INSERT INTO records_text (rowid, text) VALUES (?, ?)";
const DELETE_TEXT: &str = "DELETE FROM records_text WHERE rowid = ?";

/// Creates a record of a collection with full text.
pub(super) async fn create(
    conn: &mut SqliteConnection,
    collection: &Collection,
    record: &Record,
    row: &[Arg],
) -> Result<(), Refused> {
    const CREATE: &str = "INSERT INTO records (collection, tenant, id, version, body, created_at, updated_at, \
        created_by, written_in) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number";
    if let Some(found) = sql::first(conn, CREATE, row).await? {
        let text = Arg::text(full_text(collection, &record.body));
        sql::run(
            conn,
            INSERT_TEXT,
            &[Arg::Int(found.get_int("number")?), text],
        )
        .await?;
    }
    Ok(())
}

/// Replaces the body of a record that has the version before.
pub(super) async fn update(
    conn: &mut SqliteConnection,
    collection: &Collection,
    record: &Record,
    body: &Arg,
) -> Result<(), Refused> {
    const UPDATE: &str = "UPDATE records SET version = ?, body = ?, updated_at = ?, written_in = ? \
        WHERE collection = ? AND tenant = ? AND id = ? AND version = ? RETURNING number";
    let before = record.version.saturating_sub(1);
    let args = [
        Arg::count(record.version),
        body.clone(),
        record.updated_at.into(),
        Arg::opt_text(record.written_in.as_ref()),
        Arg::text(&record.collection),
        Arg::text(&record.tenant),
        Arg::text(&record.id),
        Arg::count(before),
    ];
    let Some(found) = sql::first(conn, UPDATE, &args).await? else {
        return Err(stale(
            conn,
            [&record.collection, record.tenant.as_ref(), &record.id],
            before,
        )
        .await?
        .into());
    };
    if !collection.full_text.is_empty() {
        let number = Arg::Int(found.get_int("number")?);
        sql::run(conn, DELETE_TEXT, std::slice::from_ref(&number)).await?;
        let text = Arg::text(full_text(collection, &record.body));
        sql::run(conn, INSERT_TEXT, &[number, text]).await?;
    }
    Ok(())
}

/// Removes a record that has this version.
pub(super) async fn delete(
    conn: &mut SqliteConnection,
    collection: &Collection,
    key: [&str; 3],
    version: u64,
) -> Result<(), Refused> {
    const DELETE: &str = "DELETE FROM records WHERE collection = ? AND tenant = ? AND id = ? AND version = ? \
        RETURNING number";
    let mut args: Vec<_> = key.iter().map(Arg::text).collect();
    args.push(Arg::count(version));
    let Some(found) = sql::first(conn, DELETE, &args).await? else {
        return Err(stale(conn, key, version).await?.into());
    };
    if !collection.full_text.is_empty() {
        sql::run(conn, DELETE_TEXT, &[Arg::Int(found.get_int("number")?)]).await?;
    }
    Ok(())
}

/// Why a record does not have the version that it should.
async fn stale(
    conn: &mut SqliteConnection,
    key: [&str; 3],
    wanted: u64,
) -> Result<CommitError, Refused> {
    const VERSION: &str =
        "SELECT version FROM records WHERE collection = ? AND tenant = ? AND id = ?";
    let [collection, _, id] = key;
    let args: Vec<_> = key.iter().map(Arg::text).collect();
    Ok(match sql::first(conn, VERSION, &args).await? {
        None => CommitError::NotFound(format!("record {collection}/{id}")),
        Some(row) => CommitError::Conflict(format!(
            "the record {collection}/{id} has version {}, not {wanted}: read it again",
            row.get_int("version")?
        )),
    })
}

/// Whether a declaration can be stored: its names become part of SQL.
///
/// # Errors
/// [`StoreError::Query`] naming the wrong name.
pub(super) fn check(collection: &Collection) -> Result<(), StoreError> {
    let fields = collection
        .indexed
        .iter()
        .map(|field| &field.name)
        .chain(&collection.full_text);
    for name in std::iter::once(&collection.name).chain(fields) {
        if !mandate_types::ids::is_collection(name) {
            return Err(StoreError::Query(format!(
                "`{}` cannot name a collection or an indexed field: expected at most 64 lower-case letters, digits and `_`, beginning with a letter",
                name.chars().take(80).collect::<String>()
            )));
        }
    }
    if let Some(field) = collection
        .indexed
        .iter()
        .find(|f| OWN_FIELDS.contains(&f.name.as_str()))
    {
        return Err(StoreError::Query(format!(
            "`{}` cannot be an indexed field of `{}`: every record has a field of this name already, and it is indexed",
            field.name, collection.name
        )));
    }
    Ok(())
}

fn index_name(collection: &str, field: &str) -> String {
    // The dot keeps `a_b` + `c` apart from `a` + `b_c`.
    format!("\"records.{collection}.{field}\"")
}

/// An index over a whole list would find nothing by one of its items.
fn has_index(field: &IndexedField) -> bool {
    field.kind != FieldKind::Texts
}

/// Stores a declaration that was checked, and makes the indexes what it says.
pub(super) async fn declare(
    conn: &mut SqliteConnection,
    before: Option<&Collection>,
    collection: &Collection,
) -> Result<(), Refused> {
    const PUT: &str = "INSERT INTO collections (name, owner, declaration) VALUES (?, ?, ?) \
        ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, declaration = excluded.declaration";
    let name = collection.name.as_str();
    if let Some(before) = before.filter(|b| b.owner != collection.owner && !b.retired) {
        return Err(CommitError::Conflict(format!(
            "the collection `{name}` is declared by the plugin {}: a collection has exactly one owner",
            before.owner
        ))
        .into());
    }
    let args = [
        Arg::text(name),
        Arg::text(&collection.owner),
        Arg::json(collection),
    ];
    sql::run(conn, PUT, &args).await?;

    let new: Vec<_> = collection
        .indexed
        .iter()
        .filter(|field| has_index(field))
        .collect();
    let old = before.map(|b| b.indexed.as_slice()).unwrap_or_default();
    for gone in old
        .iter()
        .filter(|old| new.iter().all(|new| new.name != old.name))
    {
        let text = format!("DROP INDEX IF EXISTS {}", index_name(name, &gone.name));
        sql::run_text(conn, text.into(), &[]).await?;
    }
    for field in new {
        let text = format!(
            "CREATE INDEX IF NOT EXISTS {} ON records ({}, tenant) WHERE collection = '{name}'",
            index_name(name, &field.name),
            body_field(&field.name)
        );
        sql::run_text(conn, text.into(), &[]).await?;
    }
    if before.is_some_and(|b| b.full_text != collection.full_text) {
        search_again(conn, collection).await?;
    }
    Ok(())
}

/// Builds the full text of a collection anew, after its full-text fields changed.
async fn search_again(conn: &mut SqliteConnection, collection: &Collection) -> Result<(), Refused> {
    let name = [Arg::text(&collection.name)];
    const CLEAR: &str =
        "DELETE FROM records_text WHERE rowid IN (SELECT number FROM records WHERE collection = ?)";
    sql::run(conn, CLEAR, &name).await?;
    if collection.full_text.is_empty() {
        return Ok(());
    }
    let fields: Vec<_> = collection
        .full_text
        .iter()
        .map(|field| format!("coalesce({}, '')", body_field(field)))
        .collect();
    let text = format!(
        "INSERT INTO records_text (rowid, text) SELECT number, {} FROM records WHERE collection = ?",
        fields.join(" || char(10) || ")
    );
    sql::run_text(conn, text.into(), &name).await?;
    Ok(())
}
