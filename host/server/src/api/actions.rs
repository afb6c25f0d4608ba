//! Record actions: a button that gives a task about a record.

use super::Api;
use super::auth::{Caller, Client};
use super::doc::Changes;
use super::error::ApiResult;
use super::input::{MaybeJson, Params, PathOf};
use super::{records, tasks};
use crate::task::NewTask;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use mandate_kernel::CollectionEntry;
use mandate_plugin::validate;
use mandate_store::{Record, Task};
use mandate_types::{Problem, Subject};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What may be said to an action.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ActionRequest {
    /// Members of the task's input, besides `record`.
    #[schema(value_type = Object)]
    pub input: Map<String, Value>,
    /// 0–9, 9 first.
    pub priority: Option<u8>,
    /// For the agent and for people.
    pub description: String,
}

/// Starts a record's action: a task of the declared kind, whose subject is the record.
///
/// The task's input is the `input` that is given, and with it `record` (`collection`, `id`,
/// `version`, `body`) unless the agent's schema refuses that member. `Prefer: wait=N` and
/// `Idempotency-Key` work as for tasks.
#[utoipa::path(
    post, path = "/api/v1/records/{collection}/{id}/actions/{name}", tag = "records",
    params(
        ("collection" = String, Path), ("id" = String, Path), ("name" = String, Path),
        ("tenant" = Option<String>, Query),
        ("Idempotency-Key" = Option<String>, Header),
        ("Prefer" = Option<String>, Header, description = "`wait=N`, as for tasks"),
    ),
    request_body = Option<ActionRequest>,
    responses((status = 202, body = Task), (status = 200, body = Task), Changes),
)]
pub async fn start(
    client: Client,
    State(api): State<Api>,
    PathOf((collection, id, name)): PathOf<(String, String, String)>,
    params: Params,
    headers: HeaderMap,
    MaybeJson(request): MaybeJson<ActionRequest>,
) -> ApiResult<Response> {
    let entry = records::collection(&api, &collection)?;
    let asked = Asked {
        id,
        name,
        request: request.unwrap_or_default(),
    };
    start_in(&api, &client, &entry, params, &headers, asked).await
}

/// An action of a record.
pub struct Asked {
    /// Of the record.
    pub id: String,
    /// Of the action.
    pub name: String,
    /// What was said.
    pub request: ActionRequest,
}

/// As [`start`], in a collection that was found already.
///
/// # Errors
/// 404 for a record or action that does not exist; as for submitting a task.
pub async fn start_in(
    api: &Api,
    caller: &Caller,
    entry: &CollectionEntry,
    mut params: Params,
    headers: &HeaderMap,
    asked: Asked,
) -> ApiResult<Response> {
    let tenant = params.parsed("tenant")?;
    params.finish()?;
    let collection = &entry.declared.name;
    let Some(action) = entry
        .actions
        .iter()
        .find(|action| action.name == asked.name)
    else {
        let known: Vec<&str> = entry
            .actions
            .iter()
            .map(|action| action.name.as_str())
            .collect();
        let known = if known.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has {}", known.join(", "))
        };
        let name: String = asked.name.chars().take(80).collect();
        return Err(
            Problem::not_found(format!("action `{name}` of `{collection}`; {known}")).into(),
        );
    };
    let record = records::seen(api, caller, entry, &asked.id, tenant).await?;
    let catalogue = api.kernel.catalogue();
    let agent = catalogue.agents_for(&action.kind).next();
    let accepted = |input: &Value| {
        let schemas = agent.and_then(|agent| agent.loaded.agent.as_ref());
        schemas.is_none_or(|schemas| validate(&schemas.input, input).is_ok())
    };
    let subject = Subject::of(collection, &record.id)
        .map_err(|error| Problem::internal(error.to_string()))?;
    let new = NewTask {
        kind: action.kind.clone(),
        title: Some(action.title.clone()),
        description: asked.request.description,
        priority: asked.request.priority,
        subject: Some(subject),
        tenant: Some(record.tenant.clone()),
        input: input(asked.request.input, &record, accepted),
        ..NewTask::default()
    };
    tasks::accept(api, caller, headers, new).await
}

/// The given members with the record, or without it where only that is accepted.
fn input(given: Map<String, Value>, record: &Record, accepted: impl Fn(&Value) -> bool) -> Value {
    let mut with_record = given.clone();
    let about = json!({
        "collection": record.collection,
        "id": record.id,
        "version": record.version,
        "body": record.body,
    });
    with_record.entry("record").or_insert(about);
    let (with_record, given) = (Value::Object(with_record), Value::Object(given));
    if !accepted(&with_record) && accepted(&given) {
        given
    } else {
        with_record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::{PrincipalName, TenantId, Timestamp};

    #[test]
    fn the_record_is_added_where_it_is_accepted() {
        let at = Timestamp::from_micros(0);
        let record = Record {
            collection: "incidents".into(),
            id: "INC-1".into(),
            tenant: TenantId::default(),
            version: 3,
            body: json!({"state": "open"}),
            created_at: at,
            updated_at: at,
            created_by: PrincipalName::parse("p").unwrap(),
            written_in: None,
        };
        let given = || Map::from_iter([("depth".to_owned(), json!(2))]);
        let all = input(given(), &record, |_| true);
        assert_eq!(all["record"]["version"], 3);
        assert_eq!(all["depth"], 2);
        let strict = input(given(), &record, |input| input.get("record").is_none());
        assert_eq!(strict, json!({"depth": 2}));
        // Nothing fits: the error should speak of the usual form.
        assert!(input(given(), &record, |_| false).get("record").is_some());
    }
}
