//! `/tools`: what can be called, and calling it.

use super::auth::{Caller, Client, Viewer};
use super::doc::{Changes, Finds, Reads};
use super::error::ApiResult;
use super::input::{JsonBody, Params, PathOf};
use super::{Api, Listing};
use crate::task::tool::ToolAnswer;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mandate_kernel::Active;
use mandate_plugin::ToolDescription;
use mandate_policy::ToolTerms;
use mandate_store::InstallationStatus;
use mandate_types::{Digest, Effects, PluginName, Problem};
use serde::Serialize;
use serde_json::Value;

/// A tool.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Tool {
    /// `plugin.tool`, as it is called.
    pub name: String,
    /// What it does.
    pub summary: String,
    /// The plugin that provides it.
    pub plugin: PluginName,
    /// What it declares to do to the world.
    pub effects: Effects,
    /// What the operator accepted of it; without that it cannot be called.
    pub accepted: Option<ToolTerms>,
    /// JSON Schema of the arguments.
    pub arguments: Value,
    /// Of the plugin.
    pub version: String,
    /// The exact component.
    pub digest: Digest,
    /// Whether it takes work.
    pub status: InstallationStatus,
}

/// A tool with all its schemas.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ToolDetail {
    /// The tool.
    #[serde(flatten)]
    pub tool: Tool,
    /// JSON Schema of the result.
    pub result: Value,
}

fn tool(active: &Active, described: &ToolDescription) -> Tool {
    let manifest = &active.loaded.manifest;
    let name = &described.name;
    Tool {
        name: format!("{}.{name}", active.name()),
        summary: described.summary.clone(),
        plugin: active.name().clone(),
        effects: manifest
            .tool(name)
            .map_or(Effects::Irreversible, |declared| declared.effects),
        accepted: active.terms(name).cloned(),
        arguments: described.arguments.clone(),
        version: manifest.plugin.version.clone(),
        digest: active.installation.digest.clone(),
        status: active.installation.status,
    }
}

/// The tools of this host, by name.
#[utoipa::path(
    get, path = "/api/v1/tools", tag = "tools",
    responses((status = 200, body = Listing<Tool>), Reads),
)]
pub async fn list(_: Viewer, State(api): State<Api>) -> Json<Listing<Tool>> {
    let catalogue = api.kernel.catalogue();
    let mut tools = Vec::new();
    for active in catalogue.plugins() {
        if let mandate_plugin::Description::Tools(described) = &active.loaded.description {
            tools.extend(described.iter().map(|one| tool(active, one)));
        }
    }
    Json(tools.into())
}

/// One tool, with the schemas of its arguments and result.
#[utoipa::path(
    get, path = "/api/v1/tools/{name}", tag = "tools",
    params(("name" = String, Path, description = "`plugin.tool`")),
    responses((status = 200, body = ToolDetail), Finds),
)]
pub async fn get(
    _: Viewer,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
) -> ApiResult<Json<ToolDetail>> {
    let catalogue = api.kernel.catalogue();
    let found = catalogue.tool(&name).and_then(|(active, short)| {
        active
            .loaded
            .description
            .tool(short)
            .map(|described| (active, described))
    });
    let Some((active, described)) = found else {
        return Err(
            Problem::not_found(format!("tool `{name}`; GET /api/v1/tools lists them")).into(),
        );
    };
    Ok(Json(ToolDetail {
        tool: tool(active, described),
        result: described.result.clone(),
    }))
}

/// Calls a tool.
///
/// The body is its arguments. The call passes the same seam as an agent's, in an execution of
/// its own whose steps can be read.
#[utoipa::path(
    post, path = "/api/v1/tools/{name}/call", tag = "tools",
    params(
        ("name" = String, Path, description = "`plugin.tool`"),
        ("tenant" = Option<String>, Query),
    ),
    request_body(content = Object, description = "By the tool's schema of arguments"),
    responses(
        (status = 200, body = ToolAnswer),
        (status = 202, description = "A human is asked first", body = ToolAnswer),
        (status = 502, description = "The tool failed", body = Problem, content_type = "application/problem+json"),
        Changes,
    ),
)]
pub async fn call(
    client: Client,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
    params: Params,
    JsonBody(arguments): JsonBody<Value>,
) -> ApiResult<(StatusCode, Json<ToolAnswer>)> {
    call_named(&api, &client, &name, params, arguments).await
}

/// Calls the tool `plugin.tool` for a caller.
///
/// # Errors
/// As [`crate::task::Tasks::call_tool`].
pub async fn call_named(
    api: &Api,
    caller: &Caller,
    name: &str,
    mut params: Params,
    arguments: Value,
) -> ApiResult<(StatusCode, Json<ToolAnswer>)> {
    let tenant = caller.tenant(params.parsed("tenant")?)?;
    params.finish()?;
    let answer = api
        .tasks
        .call_tool(name, arguments, tenant, caller.name.clone())
        .await?;
    let status = if answer.waiting {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(answer)))
}
