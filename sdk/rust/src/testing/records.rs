//! Collections in memory, with versions, conflicts and queries.

use crate::Timestamp;
use crate::bindings::imports::mandate::records::records::{
    Comparison, Condition, Entry, Page, Query,
};
use crate::error::Error;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What every record can be filtered and ordered by.
const OWN_FIELDS: [&str; 4] = ["id", "version", "created_at", "updated_at"];
/// Those of them that are times, which queries write in RFC 3339.
const TIMES: [&str; 2] = ["created_at", "updated_at"];

/// All collections.
#[derive(Default)]
pub struct Records {
    /// Whether collections that nobody declared exist all the same.
    any: bool,
    collections: BTreeMap<String, Declared>,
    /// Oldest first.
    entries: Vec<Entry>,
    created: u64,
}

struct Declared {
    id_pattern: String,
    /// `None`: all fields.
    indexed: Option<BTreeSet<String>>,
    /// `None`: all text fields.
    full_text: Option<Vec<String>>,
}

impl Records {
    pub fn any() -> Self {
        Self {
            any: true,
            ..Self::default()
        }
    }

    pub fn declare(&mut self, name: &str, id_pattern: &str) {
        let declared = Declared {
            id_pattern: id_pattern.to_owned(),
            indexed: None,
            full_text: None,
        };
        self.collections.insert(name.to_owned(), declared);
    }

    pub fn declare_with(
        &mut self,
        name: &str,
        id_pattern: &str,
        indexed: BTreeSet<String>,
        full_text: Vec<String>,
    ) {
        let declared = Declared {
            id_pattern: id_pattern.to_owned(),
            indexed: Some(indexed),
            full_text: Some(full_text),
        };
        self.collections.insert(name.to_owned(), declared);
    }

    fn declared(&mut self, name: &str) -> Result<&Declared, Error> {
        if self.any && !self.collections.contains_key(name) {
            self.declare(name, "ID-{8}");
        }
        self.collections
            .get(name)
            .ok_or_else(|| Error::NotFound(format!("there is no collection `{name}`")))
    }

    pub fn entries(&self, collection: &str) -> Vec<Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.collection == collection)
            .cloned()
            .collect()
    }

    pub fn create(
        &mut self,
        collection: &str,
        id: Option<&str>,
        body: &str,
        now: Timestamp,
    ) -> Result<Entry, Error> {
        let pattern = self.declared(collection)?.id_pattern.clone();
        let id = match id {
            Some(id) => id.to_owned(),
            None => {
                self.created += 1;
                numbered(&pattern, self.created)
            }
        };
        if self
            .entries
            .iter()
            .any(|entry| entry.collection == collection && entry.id == id)
        {
            return Err(Error::Conflict(format!(
                "the id `{collection}/{id}` is taken"
            )));
        }
        let entry = Entry {
            collection: collection.to_owned(),
            id,
            version: 1,
            body: an_object(body)?,
            created_at: now,
            updated_at: now,
        };
        self.entries.push(entry.clone());
        Ok(entry)
    }

    fn position(&mut self, collection: &str, id: &str) -> Result<usize, Error> {
        self.declared(collection)?;
        self.entries
            .iter()
            .position(|entry| entry.collection == collection && entry.id == id)
            .ok_or_else(|| Error::NotFound(format!("there is no `{collection}/{id}`")))
    }

    fn present(&mut self, collection: &str, id: &str, version: u64) -> Result<usize, Error> {
        let position = self.position(collection, id)?;
        match self.entries.get(position) {
            Some(entry) if entry.version != version => Err(Error::Conflict(format!(
                "`{collection}/{id}` has version {}, not {version}",
                entry.version
            ))),
            _ => Ok(position),
        }
    }

    pub fn get(&mut self, collection: &str, id: &str) -> Result<Entry, Error> {
        let position = self.position(collection, id)?;
        self.entries
            .get(position)
            .cloned()
            .ok_or_else(|| Error::NotFound(id.to_owned()))
    }

    pub fn update(
        &mut self,
        collection: &str,
        id: &str,
        version: u64,
        body: &str,
        now: Timestamp,
    ) -> Result<Entry, Error> {
        let position = self.present(collection, id, version)?;
        let body = an_object(body)?;
        let entry = self
            .entries
            .get_mut(position)
            .ok_or_else(|| Error::NotFound(id.to_owned()))?;
        entry.version += 1;
        entry.body = body;
        entry.updated_at = now;
        Ok(entry.clone())
    }

    pub fn delete(&mut self, collection: &str, id: &str, version: u64) -> Result<(), Error> {
        let position = self.present(collection, id, version)?;
        self.entries.remove(position);
        Ok(())
    }

    pub fn find(&mut self, query: &Query) -> Result<Page, Error> {
        if !(1..=1000).contains(&query.limit) {
            return Err(Error::Invalid(format!(
                "limit: expected 1 to 1000, not {}",
                query.limit
            )));
        }
        let declared = self.declared(&query.collection)?;
        let named = query.where_.iter().map(|condition| &condition.field);
        for field in named.chain(query.order.iter().map(|order| &order.field)) {
            let indexed = declared
                .indexed
                .as_ref()
                .is_none_or(|indexed| indexed.contains(field));
            if !indexed && !OWN_FIELDS.contains(&field.as_str()) {
                let collection = &query.collection;
                return Err(Error::Invalid(format!(
                    "the field `{field}` of `{collection}` is not indexed"
                )));
            }
        }
        let full_text = declared.full_text.clone();
        let mut found: Vec<(Entry, Value)> = Vec::new();
        for entry in self.entries(&query.collection) {
            let body: Value = serde_json::from_str(&entry.body)?;
            let mut fits = query
                .text
                .as_ref()
                .is_none_or(|words| has_words(&body, full_text.as_deref(), words));
            for condition in &query.where_ {
                fits = fits && holds(condition, &entry, &body)?;
            }
            if fits {
                found.push((entry, body));
            }
        }
        match &query.order {
            None => found.reverse(),
            Some(order) => found.sort_by(|(a, a_body), (b, b_body)| {
                let by_field = compare(
                    &field(a, a_body, &order.field),
                    &field(b, b_body, &order.field),
                )
                .unwrap_or(Ordering::Equal);
                if order.descending {
                    by_field.reverse()
                } else {
                    by_field
                }
            }),
        }
        let from = match &query.cursor {
            None => 0,
            Some(cursor) => cursor
                .parse::<usize>()
                .map_err(|_| Error::invalid("cursor: not one of an earlier page"))?,
        };
        let limit = query.limit as usize;
        let more = found.len() > from + limit;
        Ok(Page {
            entries: found
                .into_iter()
                .skip(from)
                .take(limit)
                .map(|(entry, _)| entry)
                .collect(),
            cursor: more.then(|| (from + limit).to_string()),
        })
    }
}

fn an_object(body: &str) -> Result<String, Error> {
    match serde_json::from_str(body)? {
        Value::Object(_) => Ok(body.to_owned()),
        _ => Err(Error::invalid("body: expected a JSON object")),
    }
}

/// `NOTE-{8}` and 3 is `NOTE-00000003`: the real host's ids are random.
fn numbered(pattern: &str, number: u64) -> String {
    let parts = pattern.split_once('{').and_then(|(before, rest)| {
        let (width, after) = rest.split_once('}')?;
        Some((before, width.parse::<usize>().ok()?, after))
    });
    match parts {
        Some((before, width, after)) => format!("{before}{number:0width$}{after}"),
        None => format!("{pattern}{number}"),
    }
}

fn field(entry: &Entry, body: &Value, name: &str) -> Value {
    match name {
        "id" => Value::from(entry.id.as_str()),
        "version" => Value::from(entry.version),
        "created_at" => Value::from(entry.created_at),
        "updated_at" => Value::from(entry.updated_at),
        _ => body.get(name).cloned().unwrap_or(Value::Null),
    }
}

fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64()?.partial_cmp(&other.as_f64()?),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

fn holds(condition: &Condition, entry: &Entry, body: &Value) -> Result<bool, Error> {
    let mut wanted: Value = serde_json::from_str(&condition.value)?;
    if TIMES.contains(&condition.field.as_str()) {
        wanted = super::times::in_micros(&wanted).ok_or_else(|| {
            Error::Invalid(format!(
                "`{}`: expected an RFC 3339 time such as 2026-01-31T12:00:00Z, not {wanted}",
                condition.field
            ))
        })?;
    }
    let field = field(entry, body, &condition.field);
    let order = compare(&field, &wanted);
    Ok(match condition.comparison {
        // What is not there is equal to null, as on the real host.
        Comparison::Equal if wanted.is_null() => field.is_null(),
        Comparison::NotEqual if wanted.is_null() => !field.is_null(),
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::OneOf => match &wanted {
            Value::Array(items) => items
                .iter()
                .any(|item| compare(&field, item) == Some(Ordering::Equal)),
            _ => {
                return Err(Error::Invalid(format!(
                    "{}: one-of expects an array",
                    condition.field
                )));
            }
        },
        Comparison::Contains => field
            .as_array()
            .is_some_and(|items| items.contains(&wanted)),
    })
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

fn has_words(body: &Value, full_text: Option<&[String]>, wanted: &str) -> bool {
    let texts: Vec<&str> = match full_text {
        Some(fields) => fields
            .iter()
            .filter_map(|name| body.get(name)?.as_str())
            .collect(),
        None => body
            .as_object()
            .map(|body| body.values().filter_map(Value::as_str).collect())
            .unwrap_or_default(),
    };
    let there: BTreeSet<String> = texts.into_iter().flat_map(words).collect();
    words(wanted).all(|word| there.contains(&word))
}
