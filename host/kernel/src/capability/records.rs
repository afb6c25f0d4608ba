//! Capability `records`: documents in collections, for the task's tenant only.

use super::{At, Capability, Fail, JsonText, Performed, Scope};
use crate::catalogue::CollectionEntry;
use crate::guest::{Guest, Told};
use crate::records::{RecordChange, RecordEditor, RecordError};
use mandate_policy::Refusal;
use mandate_runtime::bindings::records::records as wit;
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{Comparison, Condition, Order, Record, RecordQuery};
use mandate_types::ids::is_record_id;
use mandate_types::{Effects, TenantId};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

const INTERFACE: &str = "mandate:records/records";

fn entry(record: &Record) -> wit::Entry {
    wit::Entry {
        collection: record.collection.clone(),
        id: record.id.clone(),
        version: record.version,
        body: record.body.to_string(),
        created_at: record.created_at.micros().unsigned_abs(),
        updated_at: record.updated_at.micros().unsigned_abs(),
    }
}

fn collection(scope: &Scope, name: &str) -> Result<Arc<CollectionEntry>, Error> {
    scope.kernel.catalogue().collection(name).ok_or_else(|| {
        Error::NotFound(format!(
            "the collection `{name}`; no installed plugin declares it"
        ))
    })
}

fn editor<'a>(scope: &Scope, collection: &'a CollectionEntry) -> RecordEditor<'a> {
    RecordEditor {
        collection,
        tenant: scope.tree.tenant.clone(),
        by: scope.tree.principal.clone(),
        invocation: Some(scope.id.clone()),
        task: scope.tree.task.clone(),
    }
}

async fn present(scope: &Scope, collection: &str, id: &str) -> Result<Record, Fail> {
    let missing = || Error::NotFound(format!("the record `{collection}/{id}`"));
    if !is_record_id(id) {
        return Err(missing().into());
    }
    let record = scope
        .kernel
        .store()
        .record(collection, &scope.tree.tenant, id)
        .await?;
    Ok(record.ok_or_else(missing)?)
}

impl From<RecordError> for Fail {
    fn from(error: RecordError) -> Self {
        Self::Answer(match error {
            RecordError::Version { .. } => Error::Conflict(error.to_string()),
            other => Error::Invalid(other.to_string()),
        })
    }
}

fn written(change: RecordChange) -> Performed<wit::Entry> {
    Performed::written(entry(&change.record), change.writes)
}

#[derive(Serialize)]
struct Create {
    collection: String,
    id: Option<String>,
    body: JsonText,
}

impl Capability for Create {
    const INTERFACE: &'static str = INTERFACE;
    const FUNCTION: &'static str = "create";
    const EFFECTS: Effects = Effects::Internal;
    type Answer = wit::Entry;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        scope.plugin.grant().capabilities.write(&self.collection)
    }

    async fn perform(self, at: At) -> Result<Performed<wit::Entry>, Fail> {
        let collection = collection(&at.scope, &self.collection)?;
        let body = self.body.value("body")?;
        Ok(written(
            editor(&at.scope, &collection).create(self.id, body)?,
        ))
    }
}

#[derive(Serialize)]
struct Get {
    collection: String,
    id: String,
}

impl Capability for Get {
    const INTERFACE: &'static str = INTERFACE;
    const FUNCTION: &'static str = "get";
    type Answer = wit::Entry;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        scope.plugin.grant().capabilities.read(&self.collection)
    }

    async fn perform(self, at: At) -> Result<Performed<wit::Entry>, Fail> {
        let record = present(&at.scope, &self.collection, &self.id).await?;
        Ok(Performed::read(entry(&record)))
    }
}

#[derive(Serialize)]
struct Update {
    collection: String,
    id: String,
    version: u64,
    body: JsonText,
}

impl Capability for Update {
    const INTERFACE: &'static str = INTERFACE;
    const FUNCTION: &'static str = "update";
    const EFFECTS: Effects = Effects::Internal;
    type Answer = wit::Entry;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        scope.plugin.grant().capabilities.write(&self.collection)
    }

    async fn perform(self, at: At) -> Result<Performed<wit::Entry>, Fail> {
        let collection = collection(&at.scope, &self.collection)?;
        let body = self.body.value("body")?;
        let record = present(&at.scope, &self.collection, &self.id).await?;
        Ok(written(editor(&at.scope, &collection).update(
            record,
            self.version,
            body,
        )?))
    }
}

#[derive(Serialize)]
struct Delete {
    collection: String,
    id: String,
    version: u64,
}

impl Capability for Delete {
    const INTERFACE: &'static str = INTERFACE;
    const FUNCTION: &'static str = "delete";
    const EFFECTS: Effects = Effects::Internal;
    type Answer = ();

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        scope.plugin.grant().capabilities.write(&self.collection)
    }

    async fn perform(self, at: At) -> Result<Performed<()>, Fail> {
        let collection = collection(&at.scope, &self.collection)?;
        let record = present(&at.scope, &self.collection, &self.id).await?;
        let change = editor(&at.scope, &collection).delete(record, self.version)?;
        Ok(Performed::written((), change.writes))
    }
}

/// The query as the store takes it, which is also how the journal shows it. Values that are
/// not JSON are journalled as the text they are.
#[derive(Serialize)]
struct Find {
    #[serde(flatten)]
    query: RecordQuery,
    #[serde(skip)]
    wrong: Option<Error>,
}

impl Find {
    fn new(query: wit::Query, tenant: &TenantId) -> Self {
        let mut wrong = None;
        let conditions = query
            .where_
            .into_iter()
            .map(|condition| {
                let text = JsonText::new(condition.value.clone());
                let value = text.value(&condition.field).unwrap_or_else(|error| {
                    wrong = Some(error);
                    Value::String(condition.value)
                });
                let comparison = comparison(condition.comparison);
                Condition {
                    field: condition.field,
                    comparison,
                    value,
                }
            })
            .collect();
        if !(1..=1000).contains(&query.limit) {
            wrong = Some(Error::Invalid("limit: expected 1 to 1000".to_owned()));
        }
        let query = RecordQuery {
            collection: query.collection,
            tenants: Some(vec![tenant.clone()]),
            conditions,
            text: query.text,
            order: query.order.map(|o| Order {
                field: o.field,
                descending: o.descending,
            }),
            limit: query.limit,
            cursor: query.cursor,
        };
        Self { query, wrong }
    }
}

impl Capability for Find {
    const INTERFACE: &'static str = INTERFACE;
    const FUNCTION: &'static str = "find";
    type Answer = wit::Page;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        scope
            .plugin
            .grant()
            .capabilities
            .read(&self.query.collection)
    }

    async fn perform(self, at: At) -> Result<Performed<wit::Page>, Fail> {
        if let Some(wrong) = self.wrong {
            return Err(wrong.into());
        }
        let collection = collection(&at.scope, &self.query.collection)?;
        let page = at
            .scope
            .kernel
            .store()
            .find(&collection.declared, &self.query)
            .await?;
        Ok(Performed::read(wit::Page {
            entries: page.items.iter().map(entry).collect(),
            cursor: page.cursor,
        }))
    }
}

fn comparison(comparison: wit::Comparison) -> Comparison {
    match comparison {
        wit::Comparison::Equal => Comparison::Equal,
        wit::Comparison::NotEqual => Comparison::NotEqual,
        wit::Comparison::Less => Comparison::Less,
        wit::Comparison::AtMost => Comparison::AtMost,
        wit::Comparison::Greater => Comparison::Greater,
        wit::Comparison::AtLeast => Comparison::AtLeast,
        wit::Comparison::OneOf => Comparison::OneOf,
        wit::Comparison::Contains => Comparison::Contains,
    }
}

impl wit::Host for Guest {
    async fn create(
        &mut self,
        collection: String,
        id: Option<String>,
        body: String,
    ) -> Told<Result<wit::Entry, Error>> {
        let body = JsonText::new(body);
        self.step(Create {
            collection,
            id,
            body,
        })
        .await
    }

    async fn get(&mut self, collection: String, id: String) -> Told<Result<wit::Entry, Error>> {
        self.step(Get { collection, id }).await
    }

    async fn update(
        &mut self,
        collection: String,
        id: String,
        version: u64,
        body: String,
    ) -> Told<Result<wit::Entry, Error>> {
        let body = JsonText::new(body);
        self.step(Update {
            collection,
            id,
            version,
            body,
        })
        .await
    }

    async fn delete(
        &mut self,
        collection: String,
        id: String,
        version: u64,
    ) -> Told<Result<(), Error>> {
        self.step(Delete {
            collection,
            id,
            version,
        })
        .await
    }

    async fn find(&mut self, query: wit::Query) -> Told<Result<wit::Page, Error>> {
        let find = Find::new(query, &self.scope.tree.tenant);
        self.step(find).await
    }
}
