//! Routes that plugins declare: `/api/v1/<name>` is one of their collections or tools. They
//! come and go with the plugins, so they are looked up for each request.

use super::Api;
use super::actions::{self, ActionRequest, Asked};
use super::activity;
use super::auth::{Client, Viewer};
use super::error::{ApiError, ApiResult};
use super::input::{IfNoneMatch, JsonBody, MaybeJson, Params, PathOf};
use super::{records, tools};
use axum::extract::{FromRequest as _, Request, State};
use axum::http::header::ALLOW;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use mandate_kernel::{CollectionEntry, RouteTarget};
use mandate_types::Problem;
use serde_json::Value;
use std::sync::Arc;

fn target(api: &Api, name: &str) -> ApiResult<RouteTarget> {
    let catalogue = api.kernel.catalogue();
    catalogue.route(name).cloned().ok_or_else(|| {
        let path = format!("/api/v1/{}", name.chars().take(80).collect::<String>());
        let near = api.document().near(&path);
        let hint = if near.is_empty() {
            "GET /openapi.json lists all".to_owned()
        } else {
            format!("did you mean {}?", near.join(", "))
        };
        Problem::not_found(format!("route {path}; {hint}")).into()
    })
}

fn collection(api: &Api, name: &str) -> ApiResult<Arc<CollectionEntry>> {
    match target(api, name)? {
        RouteTarget::Collection(collection) => Ok(records::collection(api, &collection)?),
        RouteTarget::Tool(tool) => Err(Problem::not_found(format!(
            "record below /api/v1/{name}, which calls the tool `{tool}`"
        ))
        .into()),
    }
}

/// `GET /api/v1/<name>`
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
    params: Params,
) -> ApiResult<Response> {
    match target(&api, &name)? {
        RouteTarget::Collection(of) => {
            let entry = records::collection(&api, &of)?;
            Ok(records::list_in(&api, &viewer, &entry, params)
                .await?
                .into_response())
        }
        // The front makes a problem of it.
        RouteTarget::Tool(_) => {
            Ok((StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")]).into_response())
        }
    }
}

/// `POST /api/v1/<name>`
pub async fn post(
    client: Client,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
    params: Params,
    request: Request,
) -> ApiResult<Response> {
    // What is not there is said before what is wrong with the body.
    let target = target(&api, &name)?;
    let JsonBody(body): JsonBody<Value> = JsonBody::from_request(request, &api).await?;
    match target {
        RouteTarget::Collection(of) => {
            let entry = records::collection(&api, &of)?;
            records::create_in(&api, &client, &entry, params, body).await
        }
        RouteTarget::Tool(tool) => Ok(tools::call_named(&api, &client, &tool, params, body)
            .await?
            .into_response()),
    }
}

/// `GET /api/v1/<name>/{id}`
pub async fn get(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf((name, id)): PathOf<(String, String)>,
    params: Params,
    has: IfNoneMatch,
) -> ApiResult<Response> {
    records::get_in(&api, &viewer, &*collection(&api, &name)?, &id, params, has).await
}

/// `PUT /api/v1/<name>/{id}`
pub async fn put(
    client: Client,
    State(api): State<Api>,
    PathOf((name, id)): PathOf<(String, String)>,
    params: Params,
    headers: HeaderMap,
    request: Request,
) -> ApiResult<Response> {
    let entry = collection(&api, &name)?;
    let JsonBody(body): JsonBody<Value> = JsonBody::from_request(request, &api).await?;
    records::update_in(&api, &client, &entry, &id, params, &headers, body).await
}

/// `DELETE /api/v1/<name>/{id}`
pub async fn delete(
    client: Client,
    State(api): State<Api>,
    PathOf((name, id)): PathOf<(String, String)>,
    params: Params,
    headers: HeaderMap,
) -> ApiResult<StatusCode> {
    let entry = collection(&api, &name)?;
    records::delete_in(&api, &client, &entry, &id, params, &headers).await
}

/// `GET /api/v1/<name>/{id}/activity`
pub async fn activity(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf((name, id)): PathOf<(String, String)>,
    params: Params,
) -> Result<impl IntoResponse, ApiError> {
    let entry = collection(&api, &name)?;
    activity::of(&api, &viewer, &entry, &id, params).await
}

/// `POST /api/v1/<name>/{id}/actions/{action}`
pub async fn action(
    client: Client,
    State(api): State<Api>,
    PathOf((name, id, action)): PathOf<(String, String, String)>,
    params: Params,
    headers: HeaderMap,
    request: Request,
) -> ApiResult<Response> {
    let entry = collection(&api, &name)?;
    let MaybeJson(request): MaybeJson<ActionRequest> =
        MaybeJson::from_request(request, &api).await?;
    let asked = Asked {
        id,
        name: action,
        request: request.unwrap_or_default(),
    };
    actions::start_in(&api, &client, &entry, params, &headers, asked).await
}
