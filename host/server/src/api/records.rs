//! `/records`: the documents of the collections that plugins declare, as clients read and
//! write them. Plugins' own routes lead to the same functions.

use super::auth::{Caller, Client, Viewer};
use super::doc::{Changes, Finds, Reads};
use super::error::{ApiError, ApiResult};
use super::input::{IfNoneMatch, JsonBody, Params, PathOf, etag, if_match};
use super::record_filter;
use super::{Api, Listing};
use axum::Json;
use axum::extract::State;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use mandate_kernel::{CollectionEntry, RecordEditor};
use mandate_store::{CommitError, IndexedField, Record};
use mandate_types::{PluginName, Problem, TenantId};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// A collection as clients see it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CollectionView {
    /// Its name.
    pub name: String,
    /// The plugin that declares it.
    pub owner: PluginName,
    /// JSON Schema of the bodies.
    pub schema: Value,
    /// `INC-{8}`: the number is how many random digits stand there.
    pub id_pattern: String,
    /// What can be filtered and ordered by, besides `id`, `version`, `created_at`, `updated_at`.
    pub indexed: Vec<IndexedField>,
    /// Properties that `q` searches.
    pub full_text: Vec<String>,
    /// The tasks that can be given about one of its records.
    pub actions: Vec<ActionView>,
}

/// An action as clients see it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ActionView {
    /// `POST /records/{collection}/{id}/actions/{name}`.
    pub name: String,
    /// What a button says.
    pub title: String,
    /// The kind of the task.
    pub kind: String,
}

/// The collection `name`.
///
/// # Errors
/// 404 that names those there are.
pub fn collection(api: &Api, name: &str) -> Result<Arc<CollectionEntry>, Problem> {
    let catalogue = api.kernel.catalogue();
    catalogue.collection(name).ok_or_else(|| {
        let name: String = name.chars().take(80).collect();
        let known: Vec<&str> = catalogue
            .collections()
            .map(|entry| entry.declared.name.as_str())
            .collect();
        let known = if known.is_empty() {
            "no installed plugin declares any".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        Problem::not_found(format!("collection `{name}`; {known}"))
    })
}

/// The collections of this host, by name.
#[utoipa::path(
    get, path = "/api/v1/records", tag = "records",
    responses((status = 200, body = Listing<CollectionView>), Reads),
)]
pub async fn collections(_: Viewer, State(api): State<Api>) -> Json<Listing<CollectionView>> {
    let catalogue = api.kernel.catalogue();
    let views = catalogue.collections().map(|entry| {
        let declared = &entry.declared;
        CollectionView {
            name: declared.name.clone(),
            owner: declared.owner.clone(),
            schema: declared.schema.clone(),
            id_pattern: declared.id_pattern.clone(),
            indexed: declared.indexed.clone(),
            full_text: declared.full_text.clone(),
            actions: entry
                .actions
                .iter()
                .map(|action| ActionView {
                    name: action.name.clone(),
                    title: action.title.clone(),
                    kind: action.kind.clone(),
                })
                .collect(),
        }
    });
    Json(views.collect::<Vec<_>>().into())
}

/// Lists records, newest first.
///
/// Filters are `field=value` or `field.comparison=value`, with the comparisons `equal`,
/// `not_equal`, `less`, `at_most`, `greater`, `at_least`, `one_of` (a list with commas),
/// `contains` (lists of texts) and `missing` (`true` or `false`).
#[utoipa::path(
    get, path = "/api/v1/records/{collection}", tag = "records",
    params(
        ("collection" = String, Path),
        ("q" = Option<String>, Query, description = "Words that must all be there"),
        ("order" = Option<String>, Query, description = "`field`, or `-field` from high to low"),
        ("tenant" = Option<String>, Query),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
        ("cursor" = Option<String>, Query, description = "From the page before"),
    ),
    responses((status = 200, body = Listing<Record>), Finds),
)]
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
    params: Params,
) -> ApiResult<Json<Listing<Record>>> {
    list_in(&api, &viewer, &*collection(&api, &name)?, params).await
}

/// As [`list`], in a collection that was found already.
///
/// # Errors
/// The problem that the client is told.
pub async fn list_in(
    api: &Api,
    caller: &Caller,
    entry: &CollectionEntry,
    mut params: Params,
) -> ApiResult<Json<Listing<Record>>> {
    let tenants = caller.scope(params.parsed("tenant")?)?;
    let query = record_filter::query(&entry.declared, tenants, params)?;
    Ok(Json(
        api.store().find(&entry.declared, &query).await?.into(),
    ))
}

/// Creates a record. The body is the document.
#[utoipa::path(
    post, path = "/api/v1/records/{collection}", tag = "records",
    params(
        ("collection" = String, Path),
        ("id" = Option<String>, Query, description = "Its id; by the collection's pattern when absent"),
        ("tenant" = Option<String>, Query),
    ),
    request_body(content = Object, description = "By the collection's schema"),
    responses((status = 201, description = "Created; `Location` is the record", body = Record), Changes),
)]
pub async fn create(
    client: Client,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
    params: Params,
    JsonBody(body): JsonBody<Value>,
) -> ApiResult<Response> {
    create_in(&api, &client, &*collection(&api, &name)?, params, body).await
}

/// As [`create`], in a collection that was found already.
///
/// # Errors
/// The problem that the client is told.
pub async fn create_in(
    api: &Api,
    caller: &Caller,
    entry: &CollectionEntry,
    mut params: Params,
    body: Value,
) -> ApiResult<Response> {
    let (id, tenant) = (params.text("id")?, caller.tenant(params.parsed("tenant")?)?);
    params.finish()?;
    let change = editor(caller, entry, tenant).create(id, body)?;
    api.store().commit(None, change.writes).await?;
    let record = change.record;
    let location = format!("/api/v1/records/{}/{}", record.collection, record.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], tagged(record)).into_response())
}

fn editor<'a>(caller: &Caller, entry: &'a CollectionEntry, tenant: TenantId) -> RecordEditor<'a> {
    RecordEditor {
        collection: entry,
        tenant,
        by: caller.name.clone(),
        invocation: None,
        task: None,
    }
}

/// The record with its ETag.
fn tagged(record: Record) -> ([(axum::http::HeaderName, HeaderValue); 1], Json<Record>) {
    ([(ETAG, etag(record.version))], Json(record))
}

/// The record, as the caller may see it.
///
/// # Errors
/// 404 when it does not exist, for this caller.
pub async fn seen(
    api: &Api,
    caller: &Caller,
    entry: &CollectionEntry,
    id: &str,
    tenant: Option<TenantId>,
) -> ApiResult<Record> {
    let (tenant, collection) = (caller.tenant(tenant)?, &entry.declared.name);
    let record = api.store().record(collection, &tenant, id).await?;
    record.ok_or_else(|| {
        let id: String = id.chars().take(128).collect();
        Problem::not_found(format!(
            "record `{collection}/{id}` of the tenant `{tenant}`"
        ))
        .into()
    })
}

/// One record.
#[utoipa::path(
    get, path = "/api/v1/records/{collection}/{id}", tag = "records",
    params(
        ("collection" = String, Path), ("id" = String, Path),
        ("tenant" = Option<String>, Query),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what the caller has"),
    ),
    responses(
        (status = 200, description = "`ETag` is its version", body = Record),
        (status = 304, description = "The caller has it already"),
        Finds,
    ),
)]
pub async fn get(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf((name, id)): PathOf<(String, String)>,
    params: Params,
    has: IfNoneMatch,
) -> ApiResult<Response> {
    get_in(&api, &viewer, &*collection(&api, &name)?, &id, params, has).await
}

/// As [`get`], in a collection that was found already.
///
/// # Errors
/// The problem that the client is told.
pub async fn get_in(
    api: &Api,
    caller: &Caller,
    entry: &CollectionEntry,
    id: &str,
    mut params: Params,
    has: IfNoneMatch,
) -> ApiResult<Response> {
    let tenant = params.parsed("tenant")?;
    params.finish()?;
    let record = seen(api, caller, entry, id, tenant).await?;
    let tag = etag(record.version);
    if has.has(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    Ok(tagged(record).into_response())
}

/// Replaces a record's document.
#[utoipa::path(
    put, path = "/api/v1/records/{collection}/{id}", tag = "records",
    params(
        ("collection" = String, Path), ("id" = String, Path),
        ("tenant" = Option<String>, Query),
        ("If-Match" = String, Header, description = "The ETag that the caller has read; 428 without, 412 when it is not the present one"),
    ),
    request_body(content = Object, description = "By the collection's schema"),
    responses((status = 200, body = Record), Changes),
)]
pub async fn update(
    client: Client,
    State(api): State<Api>,
    PathOf((name, id)): PathOf<(String, String)>,
    params: Params,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Value>,
) -> ApiResult<Response> {
    update_in(
        &api,
        &client,
        &*collection(&api, &name)?,
        &id,
        params,
        &headers,
        body,
    )
    .await
}

/// As [`update`], in a collection that was found already.
///
/// # Errors
/// The problem that the client is told.
pub async fn update_in(
    api: &Api,
    caller: &Caller,
    entry: &CollectionEntry,
    id: &str,
    mut params: Params,
    headers: &HeaderMap,
    body: Value,
) -> ApiResult<Response> {
    let tenant = params.parsed("tenant")?;
    params.finish()?;
    let version = if_match(headers)?;
    let record = seen(api, caller, entry, id, tenant).await?;
    let change = editor(caller, entry, record.tenant.clone()).update(record, version, body)?;
    api.store()
        .commit(None, change.writes)
        .await
        .map_err(lost)?;
    Ok(tagged(change.record).into_response())
}

/// Somebody else was quicker, between our look and our write.
fn lost(error: CommitError) -> ApiError {
    match error {
        CommitError::Conflict(reason) => ApiError::precondition(format!("{reason}: read it again")),
        other => other.into(),
    }
}

/// Removes a record.
#[utoipa::path(
    delete, path = "/api/v1/records/{collection}/{id}", tag = "records",
    params(
        ("collection" = String, Path), ("id" = String, Path),
        ("tenant" = Option<String>, Query),
        ("If-Match" = String, Header, description = "The ETag that the caller has read; 428 without, 412 when it is not the present one"),
    ),
    responses((status = 204, description = "Removed"), Changes),
)]
pub async fn delete(
    client: Client,
    State(api): State<Api>,
    PathOf((name, id)): PathOf<(String, String)>,
    params: Params,
    headers: HeaderMap,
) -> ApiResult<StatusCode> {
    delete_in(
        &api,
        &client,
        &*collection(&api, &name)?,
        &id,
        params,
        &headers,
    )
    .await
}

/// As [`delete`], in a collection that was found already.
///
/// # Errors
/// The problem that the client is told.
pub async fn delete_in(
    api: &Api,
    caller: &Caller,
    entry: &CollectionEntry,
    id: &str,
    mut params: Params,
    headers: &HeaderMap,
) -> ApiResult<StatusCode> {
    let tenant = params.parsed("tenant")?;
    params.finish()?;
    let version = if_match(headers)?;
    let record = seen(api, caller, entry, id, tenant).await?;
    let change = editor(caller, entry, record.tenant.clone()).delete(record, version)?;
    api.store()
        .commit(None, change.writes)
        .await
        .map_err(lost)?;
    Ok(StatusCode::NO_CONTENT)
}
