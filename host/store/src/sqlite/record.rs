//! Reading records: which fields a query may name, and how they are compared and ordered.

use super::SqliteStore;
use super::cursor;
use super::sql::{Arg, Columns, Sql, corrupt};
use crate::StoreError;
use crate::record::{
    Collection, Comparison, Condition, FieldKind, Record, RecordPage, RecordQuery, RecordStore,
};
use mandate_types::{TenantId, Timestamp};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode as _, Row as _, TypeInfo as _, ValueRef as _};

/// What a field that a query names is in the database.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Time,
    Body(FieldKind),
}

struct Field {
    /// SQL; holds no text of a client.
    expression: String,
    kind: Kind,
}

/// The columns that every record has.
pub(super) const OWN_FIELDS: [&str; 4] = ["id", "version", "created_at", "updated_at"];

/// A field of the body, exactly as the indexes have it. `name` was checked when it was declared.
pub(super) fn body_field(name: &str) -> String {
    format!("json_extract(body, '$.{name}')")
}

fn field(collection: &Collection, name: &str) -> Result<Field, StoreError> {
    let own = |kind| {
        Ok(Field {
            expression: name.to_owned(),
            kind,
        })
    };
    match name {
        "id" => return own(Kind::Body(FieldKind::Text)),
        "version" => return own(Kind::Body(FieldKind::Number)),
        "created_at" | "updated_at" => return own(Kind::Time),
        _ => {}
    }
    match collection.indexed.iter().find(|known| known.name == name) {
        // Declared names were checked, but a declaration may also come from elsewhere.
        Some(known) if mandate_types::ids::is_collection(name) => Ok(Field {
            expression: body_field(name),
            kind: Kind::Body(known.kind),
        }),
        _ => {
            let known = OWN_FIELDS
                .into_iter()
                .chain(collection.indexed.iter().map(|known| known.name.as_str()))
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>();
            Err(StoreError::Query(format!(
                "`{}` is not an indexed field of `{}`; these are: {}",
                name.chars().take(80).collect::<String>(),
                collection.name,
                known.join(", ")
            )))
        }
    }
}

fn expected(name: &str, what: &str, value: &Value) -> StoreError {
    let shown: String = value.to_string().chars().take(80).collect();
    StoreError::Query(format!("`{name}`: expected {what}, not {shown}"))
}

/// The value as the database compares it.
fn value(name: &str, kind: Kind, value: &Value) -> Result<Arg, StoreError> {
    match (kind, value) {
        (Kind::Body(FieldKind::Text | FieldKind::Texts), Value::String(text)) => {
            Ok(Arg::text(text))
        }
        (Kind::Body(FieldKind::Text | FieldKind::Texts), _) => Err(expected(name, "a text", value)),
        (Kind::Body(FieldKind::Number), Value::Number(number)) => number
            .as_i64()
            .map(Arg::Int)
            .or_else(|| number.as_f64().map(Arg::Real))
            .ok_or_else(|| expected(name, "a number", value)),
        (Kind::Body(FieldKind::Number), _) => Err(expected(name, "a number", value)),
        (Kind::Body(FieldKind::Boolean), Value::Bool(yes)) => Ok(Arg::bool(*yes)),
        (Kind::Body(FieldKind::Boolean), _) => Err(expected(name, "true or false", value)),
        (Kind::Time, Value::String(text)) => Timestamp::parse(text)
            .map(Arg::from)
            .ok_or_else(|| expected(name, "an RFC 3339 time such as 2026-01-31T12:00:00Z", value)),
        (Kind::Time, _) => Err(expected(
            name,
            "an RFC 3339 time such as 2026-01-31T12:00:00Z",
            value,
        )),
    }
}

/// The most values of one `one_of`.
const MAX_ONE_OF: usize = 200;

fn condition(sql: &mut Sql, collection: &Collection, wanted: &Condition) -> Result<(), StoreError> {
    let name = wanted.field.as_str();
    let Field { expression, kind } = field(collection, name)?;
    let many = kind == Kind::Body(FieldKind::Texts);
    if many != (wanted.comparison == Comparison::Contains) {
        return Err(StoreError::Query(if many {
            format!("`{name}` holds a list of texts: only `contains` works on it")
        } else {
            format!("`{name}` does not hold a list: `contains` does not work on it")
        }));
    }
    let operator = match wanted.comparison {
        Comparison::Equal if wanted.value.is_null() => {
            sql.push(&format!(" AND {expression} IS NULL"));
            return Ok(());
        }
        Comparison::NotEqual if wanted.value.is_null() => {
            sql.push(&format!(" AND {expression} IS NOT NULL"));
            return Ok(());
        }
        Comparison::OneOf => {
            let Value::Array(items) = &wanted.value else {
                return Err(expected(name, "a list of values", &wanted.value));
            };
            if items.len() > MAX_ONE_OF {
                return Err(StoreError::Query(format!(
                    "`{name}`: expected at most {MAX_ONE_OF} values, not {}",
                    items.len()
                )));
            }
            let items: Vec<_> = items
                .iter()
                .map(|item| value(name, kind, item))
                .collect::<Result<_, _>>()?;
            sql.push(&format!(" AND {expression} IN ")).list(items);
            return Ok(());
        }
        Comparison::Contains => {
            let item = value(name, kind, &wanted.value)?;
            sql.clause(
                &format!(
                    " AND EXISTS (SELECT 1 FROM json_each(body, '$.{name}') AS item WHERE item.value = ?)"
                ),
                item,
            );
            return Ok(());
        }
        // A record without the field is not equal either.
        Comparison::NotEqual => "IS NOT",
        Comparison::Equal => "=",
        Comparison::Less => "<",
        Comparison::AtMost => "<=",
        Comparison::Greater => ">",
        Comparison::AtLeast => ">=",
    };
    let value = value(name, kind, &wanted.value)?;
    sql.clause(&format!(" AND {expression} {operator} ?"), value);
    Ok(())
}

/// What FTS5 looks for: every word quoted, so that nothing a person types is an operator.
/// None when there is no word in `text`.
fn words(text: &str) -> Option<String> {
    let words: Vec<_> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The condition of the rows after the cursor's: empty fields come first in ascending order.
fn after(sql: &mut Sql, expression: &str, descending: bool, [key, number]: [Arg; 2]) {
    let sign = if descending { "<" } else { ">" };
    let tie = format!(" {expression} IS ? AND number {sign} ");
    match (&key, descending) {
        (Arg::Null, true) => sql.push(" AND (0"),
        (Arg::Null, false) => sql.push(&format!(" AND ({expression} IS NOT NULL")),
        (_, true) => sql
            .clause(&format!(" AND ({expression} < ?"), key.clone())
            .push(&format!(" OR {expression} IS NULL")),
        (_, false) => sql.clause(&format!(" AND ({expression} > ?"), key.clone()),
    };
    sql.clause(&format!(" OR ({tie}"), key)
        .bind(number)
        .push("))");
}

fn read(row: &SqliteRow) -> Result<Record, StoreError> {
    Ok(Record {
        collection: row.get_text("collection")?,
        id: row.get_text("id")?,
        tenant: row.get_id("tenant")?,
        version: row.get_count("version")?,
        body: row.get_value("body")?,
        created_at: row.get_time("created_at")?,
        updated_at: row.get_time("updated_at")?,
        created_by: row.get_id("created_by")?,
        written_in: row.get_opt_id("written_in")?,
    })
}

/// The value that the row was ordered by, of whatever type it is.
fn read_key(row: &SqliteRow) -> Result<Arg, StoreError> {
    let raw = row
        .try_get_raw("sort_key")
        .map_err(|e| corrupt("sort_key", e))?;
    let kind = raw.type_info().name().to_owned();
    match kind.as_str() {
        _ if raw.is_null() => Ok(Arg::Null),
        "INTEGER" => i64::decode(raw)
            .map(Arg::Int)
            .map_err(|e| corrupt("sort_key", e)),
        "REAL" => f64::decode(raw)
            .map(Arg::Real)
            .map_err(|e| corrupt("sort_key", e)),
        _ => <&str>::decode(raw)
            .map(Arg::text)
            .map_err(|e| corrupt("sort_key", e)),
    }
}

#[async_trait::async_trait]
impl RecordStore for SqliteStore {
    async fn collections(&self) -> Result<Vec<Collection>, StoreError> {
        let sql = Sql::new("SELECT declaration FROM collections ORDER BY name");
        sql.all(&self.readers)
            .await?
            .iter()
            .map(|row| row.get_json("declaration"))
            .collect()
    }

    async fn record(
        &self,
        collection: &str,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<Record>, StoreError> {
        let sql = Sql::with(
            "SELECT * FROM records WHERE collection = ? AND tenant = ? AND id = ?",
            vec![Arg::text(collection), Arg::text(tenant), Arg::text(id)],
        );
        sql.optional(&self.readers)
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }

    async fn find(
        &self,
        collection: &Collection,
        query: &RecordQuery,
    ) -> Result<RecordPage, StoreError> {
        if !mandate_types::ids::is_collection(&collection.name) {
            return Err(StoreError::Query(
                "that is not the name of a collection".to_owned(),
            ));
        }
        let (name, descending) = match &query.order {
            Some(order) => (order.field.as_str(), order.descending),
            None => ("created_at", true),
        };
        let Field { expression, kind } = field(collection, name)?;
        if kind == Kind::Body(FieldKind::Texts) {
            return Err(StoreError::Query(format!(
                "`{name}` holds a list of texts: records cannot be ordered by it"
            )));
        }
        let direction = if descending { "DESC" } else { "ASC" };
        let listing = format!("records {} {name} {direction}", collection.name);
        // The name is written out, not bound: only so are the partial indexes found.
        let mut sql = Sql::new(&format!(
            "SELECT *, {expression} AS sort_key FROM records WHERE collection = '{}'",
            collection.name
        ));
        if let Some(tenants) = &query.tenants {
            sql.push(" AND tenant IN ")
                .list(tenants.iter().map(Arg::text));
        }
        for wanted in &query.conditions {
            condition(&mut sql, collection, wanted)?;
        }
        if let Some(text) = query.text.as_deref().filter(|text| !text.trim().is_empty()) {
            if collection.full_text.is_empty() {
                return Err(StoreError::Query(format!(
                    "`{}` has no full-text fields, so it cannot be searched by words",
                    collection.name
                )));
            }
            match words(text) {
                Some(words) => sql.clause(
                    " AND number IN (SELECT rowid FROM records_text WHERE records_text MATCH ?)",
                    Arg::text(words),
                ),
                None => sql.push(" AND 0"),
            };
        }
        if let Some(text) = &query.cursor {
            after(
                &mut sql,
                &expression,
                descending,
                cursor::decode(&listing, text)?,
            );
        }
        sql.push(&format!(
            " ORDER BY {expression} {direction}, number {direction} LIMIT "
        ))
        .bind(Arg::Int(i64::from(super::page_size(query.limit)) + 1));
        let rows = sql.all(&self.readers).await?;
        let page = super::page(
            &rows,
            query.limit,
            |row| Ok((read_key(row)?, row.get_int("number")?, read(row)?)),
            |(key, number, _)| cursor::encode(&listing, &[key.clone(), Arg::Int(*number)]),
        )?;
        Ok(RecordPage {
            items: page
                .items
                .into_iter()
                .map(|(_, _, record)| record)
                .collect(),
            cursor: page.cursor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_typed_is_an_operator() {
        assert_eq!(words("disk  full").unwrap(), "\"disk\" \"full\"");
        assert_eq!(words("a\" OR b*").unwrap(), "\"a\"\"\" \"OR\" \"b*\"");
        assert_eq!(words("a\0b").unwrap(), "\"a\" \"b\"");
        assert!(words(" *** \" ").is_none());
    }
}
