//! Documents in named collections, as types.

use crate::Timestamp;
use crate::bindings::imports::mandate::records::records as wire;
use crate::error::Error;
use crate::port::Port;
use crate::{from_json, to_json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

pub use wire::Comparison;

/// How often [`Collection::change`] tries again when somebody else was quicker.
const CHANGE_ATTEMPTS: u32 = 5;

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record<T> {
    /// Its id.
    pub id: String,
    /// 1 when created, one more with each change.
    pub version: u64,
    /// The document.
    pub body: T,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl<T: DeserializeOwned> Record<T> {
    fn from_wire(entry: wire::Entry) -> Result<Self, Error> {
        Ok(Self {
            body: from_json(&format!("{}/{}", entry.collection, entry.id), &entry.body)?,
            id: entry.id,
            version: entry.version,
            created_at: entry.created_at,
            updated_at: entry.updated_at,
        })
    }
}

/// A collection whose bodies are `T`; from [`Host::records`](crate::Host::records).
pub struct Collection<'h, T> {
    port: &'h Port,
    name: String,
    bodies: PhantomData<fn() -> T>,
}

impl<'h, T> Collection<'h, T> {
    pub(crate) fn new(port: &'h Port, name: &str) -> Self {
        Self {
            port,
            name: name.to_owned(),
            bodies: PhantomData,
        }
    }

    /// Removes a record that is still as it was read.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it changed since; [`Error::NotFound`]; [`Error::Denied`].
    pub fn delete(&self, record: &Record<T>) -> Result<(), Error> {
        self.port.delete(&self.name, &record.id, record.version)
    }

    /// Records that fulfil conditions; newest first unless ordered otherwise.
    pub fn find(&self) -> Find<'h, T> {
        Find {
            port: self.port,
            query: wire::Query {
                collection: self.name.clone(),
                where_: Vec::new(),
                text: None,
                order: None,
                limit: 100,
                cursor: None,
            },
            problem: None,
            bodies: PhantomData,
        }
    }
}

impl<T: Serialize + DeserializeOwned> Collection<'_, T> {
    /// A new record, with an id after the collection's pattern.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the body does not fit the schema; [`Error::Denied`].
    pub fn create(&self, body: &T) -> Result<Record<T>, Error> {
        Record::from_wire(
            self.port
                .create(&self.name, None, &to_json("body", body)?)?,
        )
    }

    /// A new record with an id of one's own.
    ///
    /// # Errors
    /// As [`Collection::create`]; [`Error::Conflict`] if the id is taken.
    pub fn create_as(&self, id: &str, body: &T) -> Result<Record<T>, Error> {
        Record::from_wire(
            self.port
                .create(&self.name, Some(id), &to_json("body", body)?)?,
        )
    }

    /// Writes the body of a record that is still as it was read, and returns it with its new version.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it changed since; [`Error::Invalid`]; [`Error::NotFound`]; [`Error::Denied`].
    pub fn update(&self, record: &Record<T>) -> Result<Record<T>, Error> {
        let body = to_json("body", &record.body)?;
        Record::from_wire(
            self.port
                .update(&self.name, &record.id, record.version, &body)?,
        )
    }

    /// Reads, changes and writes a record, again if somebody else was quicker.
    ///
    /// # Errors
    /// As [`Collection::update`]; [`Error::Conflict`] only after several tries.
    pub fn change(&self, id: &str, mut change: impl FnMut(&mut T)) -> Result<Record<T>, Error> {
        let mut attempt = 1;
        loop {
            let mut record = self.get(id)?;
            change(&mut record.body);
            match self.update(&record) {
                Err(Error::Conflict(_)) if attempt < CHANGE_ATTEMPTS => attempt += 1,
                done => return done,
            }
        }
    }
}

impl<T: DeserializeOwned> Collection<'_, T> {
    /// One record.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Denied`]; [`Error::Invalid`] if its body is not a `T`.
    pub fn get(&self, id: &str) -> Result<Record<T>, Error> {
        Record::from_wire(self.port.get(&self.name, id)?)
    }
}

/// A query being written; from [`Collection::find`].
pub struct Find<'h, T> {
    port: &'h Port,
    query: wire::Query,
    problem: Option<Error>,
    bodies: PhantomData<fn() -> T>,
}

/// A page of records.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The records.
    pub records: Vec<Record<T>>,
    /// Where the next page begins; `None` on the last.
    pub cursor: Option<String>,
}

impl<T> Find<'_, T> {
    /// Only where a field compares so to a value. The field is an indexed one, or `id`, `version`,
    /// `created_at`, `updated_at`.
    pub fn filter(mut self, field: &str, comparison: Comparison, value: impl Serialize) -> Self {
        match to_json(field, &value) {
            Ok(value) => {
                self.query.where_.push(wire::Condition {
                    field: field.to_owned(),
                    comparison,
                    value,
                });
            }
            // Kept until the query is sent, so that conditions can be chained.
            Err(problem) => self.problem = Some(problem),
        }
        self
    }

    /// Only where a field is equal to a value.
    pub fn equal(self, field: &str, value: impl Serialize) -> Self {
        self.filter(field, Comparison::Equal, value)
    }

    /// Only with all of these words in the full-text fields.
    pub fn text(mut self, words: impl Into<String>) -> Self {
        self.query.text = Some(words.into());
        self
    }

    /// From low to high by a field.
    pub fn ascending(mut self, field: &str) -> Self {
        self.query.order = Some(wire::Order {
            field: field.to_owned(),
            descending: false,
        });
        self
    }

    /// From high to low by a field.
    pub fn descending(mut self, field: &str) -> Self {
        self.query.order = Some(wire::Order {
            field: field.to_owned(),
            descending: true,
        });
        self
    }

    /// At most so many on a page, 1–1000; 100 otherwise.
    pub fn limit(mut self, limit: u32) -> Self {
        self.query.limit = limit;
        self
    }

    /// Goes on after an earlier page.
    pub fn after(mut self, cursor: impl Into<String>) -> Self {
        self.query.cursor = Some(cursor.into());
        self
    }
}

impl<T: DeserializeOwned> Find<'_, T> {
    /// One page.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a field that is not indexed or a body that is not a `T`; [`Error::Denied`].
    pub fn page(self) -> Result<Page<T>, Error> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let page = self.port.find(&self.query)?;
        Ok(Page {
            records: page
                .entries
                .into_iter()
                .map(Record::from_wire)
                .collect::<Result<_, _>>()?,
            cursor: page.cursor,
        })
    }

    /// The first one, if there is any.
    ///
    /// # Errors
    /// As [`Find::page`].
    pub fn first(self) -> Result<Option<Record<T>>, Error> {
        Ok(self.limit(1).page()?.records.into_iter().next())
    }

    /// The records of all pages, up to `most`.
    ///
    /// # Errors
    /// As [`Find::page`].
    pub fn all(mut self, most: usize) -> Result<Vec<Record<T>>, Error> {
        let mut records = Vec::new();
        loop {
            let page = Find::<T> {
                port: self.port,
                query: self.query.clone(),
                problem: self.problem.take(),
                bodies: PhantomData,
            }
            .page()?;
            records.extend(page.records);
            self.query.cursor = page.cursor;
            if records.len() >= most || self.query.cursor.is_none() {
                records.truncate(most);
                return Ok(records);
            }
        }
    }
}
