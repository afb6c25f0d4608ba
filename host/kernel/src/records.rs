//! Changes of records, as guests and clients make them alike: validated, numbered, and with
//! the event that tells of them.

use crate::catalogue::CollectionEntry;
use mandate_plugin::validate;
use mandate_store::{NewEvent, Record, RecordWrite, Write};
use mandate_types::ids::is_record_id;
use mandate_types::{
    EventKind, FieldProblem, InvocationId, PrincipalName, Subject, TaskId, TenantId, Timestamp,
};
use serde_json::{Value, json};

/// Why a record cannot be changed so.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// The body does not satisfy the collection's schema.
    #[error("the body is not valid for the collection: {}", list(.0))]
    Body(Vec<FieldProblem>),
    /// The id has not the form of a record id.
    #[error("`{0}` is not a record id: expected 1–128 letters, digits and `-_.:@`")]
    Id(String),
    /// The version is not the present one.
    #[error("version {given} is not the present one, which is {present}: read the record again")]
    Version {
        /// What was given.
        given: u64,
        /// What is stored.
        present: u64,
    },
}

/// Field problems as one line.
pub fn list(problems: &[FieldProblem]) -> String {
    let each: Vec<String> = problems
        .iter()
        .map(|p| {
            let field = if p.field.is_empty() {
                "the value"
            } else {
                &p.field
            };
            format!("{field}: expected {}", p.expected)
        })
        .collect();
    each.join("; ")
}

/// A change that is ready to be committed.
#[derive(Debug, Clone)]
pub struct RecordChange {
    /// The record as it will be; as it was, for a deletion.
    pub record: Record,
    /// What to commit.
    pub writes: Vec<Write>,
}

/// Makes changes on behalf of somebody.
pub struct RecordEditor<'a> {
    /// Where.
    pub collection: &'a CollectionEntry,
    /// For whom.
    pub tenant: TenantId,
    /// Who is at the root of the change.
    pub by: PrincipalName,
    /// The invocation that makes it; none for clients.
    pub invocation: Option<InvocationId>,
    /// The task that the invocation works on.
    pub task: Option<TaskId>,
}

impl RecordEditor<'_> {
    /// A new record. Without an id it gets one after the collection's pattern.
    ///
    /// # Errors
    /// [`RecordError`] when id or body are not valid.
    pub fn create(&self, id: Option<String>, body: Value) -> Result<RecordChange, RecordError> {
        let id = id.unwrap_or_else(|| from_pattern(&self.collection.declared.id_pattern));
        if !is_record_id(&id) {
            return Err(RecordError::Id(id));
        }
        self.check(&body)?;
        let now = Timestamp::now();
        let record = Record {
            collection: self.collection.declared.name.clone(),
            id,
            tenant: self.tenant.clone(),
            version: 1,
            body,
            created_at: now,
            updated_at: now,
            created_by: self.by.clone(),
            written_in: self.invocation.clone(),
        };
        Ok(self.change(record, "created", RecordWrite::Create))
    }

    /// The record with another body.
    ///
    /// # Errors
    /// [`RecordError`] when the body is not valid or `version` is not the present one.
    pub fn update(
        &self,
        present: Record,
        version: u64,
        body: Value,
    ) -> Result<RecordChange, RecordError> {
        check_version(&present, version)?;
        self.check(&body)?;
        let record = Record {
            version: version.saturating_add(1),
            body,
            updated_at: Timestamp::now(),
            written_in: self.invocation.clone(),
            ..present
        };
        Ok(self.change(record, "updated", RecordWrite::Update))
    }

    /// The record's removal.
    ///
    /// # Errors
    /// [`RecordError`] when `version` is not the present one.
    pub fn delete(&self, present: Record, version: u64) -> Result<RecordChange, RecordError> {
        check_version(&present, version)?;
        Ok(
            self.change(present, "deleted", |record| RecordWrite::Delete {
                collection: record.collection,
                tenant: record.tenant,
                id: record.id,
                version: record.version,
            }),
        )
    }

    fn check(&self, body: &Value) -> Result<(), RecordError> {
        validate(&self.collection.validator, body).map_err(RecordError::Body)
    }

    fn change(
        &self,
        record: Record,
        action: &str,
        write: impl FnOnce(Record) -> RecordWrite,
    ) -> RecordChange {
        let subject = Subject::of(&record.collection, &record.id).ok();
        let event = NewEvent {
            time: Timestamp::now(),
            kind: EventKind::RECORD_CHANGED.to_owned(),
            subject,
            task: self.task.clone(),
            tenant: record.tenant.clone(),
            data: json!({
                "collection": record.collection,
                "id": record.id,
                "version": record.version,
                "action": action,
                "invocation": self.invocation,
            }),
        };
        let writes = vec![
            Write::Record(Box::new(write(record.clone()))),
            Write::Event(Box::new(event)),
        ];
        RecordChange { record, writes }
    }
}

fn check_version(present: &Record, given: u64) -> Result<(), RecordError> {
    if present.version == given {
        Ok(())
    } else {
        Err(RecordError::Version {
            given,
            present: present.version,
        })
    }
}

/// `INC-{8}` with random digits in the place of `{8}`.
fn from_pattern(pattern: &str) -> String {
    let mut id = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((digits, after)) = after.split_once('}') else {
            break;
        };
        id.push_str(before);
        let digits = digits.parse::<usize>().unwrap_or(8).min(32);
        id.extend(std::iter::repeat_with(random_digit).take(digits));
        rest = after;
    }
    id.push_str(rest);
    id
}

/// Bytes above 249 are drawn again, so that every digit is as likely as any other.
fn random_digit() -> char {
    loop {
        let byte = getrandom::u32().map_or(0, |n| n % 256);
        if byte < 250 {
            return char::from_digit(byte % 10, 10).unwrap_or('0');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_their_pattern() {
        let id = from_pattern("INC-{8}");
        assert_eq!(id.len(), 12);
        assert!(
            id.strip_prefix("INC-")
                .unwrap()
                .bytes()
                .all(|b| b.is_ascii_digit())
        );
        assert_ne!(from_pattern("N{12}"), from_pattern("N{12}"));
        assert_eq!(from_pattern("fixed"), "fixed");
    }
}
