//! `/plugins`: installing, granting, stopping and removing, on the running host.

use super::auth::{Operator, Viewer};
use super::doc::{Changes, Finds, Reads};
use super::error::{ApiError, ApiResult, to_its_end};
use super::input::{self, JsonBody, Params, PathOf, content_type};
use super::plugin_view::{Plugin, PluginDetail, detail, plugin};
use super::{Api, Listing};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use mandate_kernel::{Active, InstallError, InstallRequest};
use mandate_policy::Grant;
use mandate_store::InstallationStatus;
use mandate_types::{PluginName, Problem};
use serde_json::{Value, json};

fn plugin_name(name: &str) -> Result<PluginName, Problem> {
    PluginName::parse(name)
        .map_err(|_| Problem::not_found(format!("plugin `{name}`; GET /api/v1/plugins lists them")))
}

async fn shown(api: &Api, active: &Active) -> ApiResult<Json<PluginDetail>> {
    Ok(Json(
        detail(api, &active.installation, Some(active), true).await?,
    ))
}

/// What is installed, by name.
#[utoipa::path(
    get, path = "/api/v1/plugins", tag = "plugins",
    responses((status = 200, body = Listing<Plugin>), Reads),
)]
pub async fn list(_: Viewer, State(api): State<Api>) -> ApiResult<Json<Listing<Plugin>>> {
    let catalogue = api.kernel.catalogue();
    let mut installations = api.store().installations().await?;
    installations.sort_by(|a, b| a.name.cmp(&b.name));
    let plugins = installations.iter().map(|installation| {
        plugin(
            installation,
            catalogue
                .plugin(installation.name.as_str())
                .map(|active| &**active),
        )
    });
    Ok(Json(plugins.collect::<Vec<_>>().into()))
}

/// One plugin: manifest, grant, and what it asks for in words.
#[utoipa::path(
    get, path = "/api/v1/plugins/{name}", tag = "plugins",
    params(("name" = String, Path)),
    responses((status = 200, body = PluginDetail), Finds),
)]
pub async fn get(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
) -> ApiResult<Json<PluginDetail>> {
    let name = plugin_name(&name)?;
    let operator = viewer.role >= mandate_types::Role::Operator;
    let catalogue = api.kernel.catalogue();
    if let Some(active) = catalogue.plugin(name.as_str()) {
        return Ok(Json(
            detail(&api, &active.installation, Some(active), operator).await?,
        ));
    }
    let installations = api.store().installations().await?;
    match installations
        .iter()
        .find(|installation| installation.name == name)
    {
        Some(installation) => Ok(Json(detail(&api, installation, None, operator).await?)),
        None => {
            let what = format!("plugin `{name}`; GET /api/v1/plugins lists them");
            Err(Problem::not_found(what).into())
        }
    }
}

/// Installs a plugin, or another version of one.
///
/// The body is the file. Everything is checked and compiled before anything changes. Without
/// `accept=true` a new plugin is granted nothing, and another version keeps what it had.
#[utoipa::path(
    post, path = "/api/v1/plugins", tag = "plugins",
    params(
        ("name" = Option<String>, Query, description = "The name on this host; the plugin's id when absent"),
        ("accept" = Option<bool>, Query, description = "Grant all that the manifest asks for"),
        ("settings" = Option<String>, Query, description = "JSON, by the manifest's schema of settings"),
    ),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses(
        (status = 201, description = "Installed", body = PluginDetail),
        (status = 200, description = "Another version of what was installed", body = PluginDetail),
        Changes,
    ),
)]
pub async fn install(
    operator: Operator,
    State(api): State<Api>,
    mut params: Params,
    request: Request,
) -> ApiResult<axum::response::Response> {
    let (name, accept) = (params.text("name")?, params.parsed::<bool>("accept")?);
    let settings = params.text("settings")?;
    params.finish()?;
    let settings = settings
        .map(|text| serde_json::from_str::<Value>(&text))
        .transpose()
        .map_err(|error| Problem::invalid_field("settings", format!("JSON: {error}")))?;
    if let Some(name) = &name {
        PluginName::parse(name).map_err(|error| {
            Problem::invalid(error.to_string()).with_field("name", error.to_string())
        })?;
    }
    match content_type(request.headers()).as_deref() {
        None | Some("application/wasm" | "application/octet-stream") => {}
        Some(other) => return Err(ApiError::media_type(other, "application/wasm")),
    }
    let seconds = api.settings.body_seconds.saturating_mul(10);
    let bytes = input::body(request, &api, api.settings.plugin_body_limit, seconds).await?;
    let (kernel, by) = (api.kernel.clone(), operator.name.clone());
    let work = to_its_end(async move {
        let staged = kernel.stage(bytes.into()).await?;
        let name = name.unwrap_or_else(|| staged.loaded.manifest.plugin.id.clone());
        let known = kernel.catalogue().plugin(&name).is_some();
        let accept = accept.unwrap_or(false);
        let request = InstallRequest {
            name: Some(name),
            grant: None,
            accept,
            settings,
            by,
        };
        let active = kernel.activate(staged, request).await?;
        Ok::<_, InstallError>((active, known))
    });
    let (active, known) = work.await?;
    let status = if known {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let location = format!("/api/v1/plugins/{}", active.name());
    Ok((status, [(LOCATION, location)], shown(&api, &active).await?).into_response())
}

/// Changes what a plugin is allowed.
///
/// The body is the whole grant, or `{"accept": true}` for all that the manifest asks for. A
/// `generation` other than 0 must be the present one; without `limits` they stay as they are.
#[utoipa::path(
    put, path = "/api/v1/plugins/{name}/grant", tag = "plugins",
    params(("name" = String, Path)),
    request_body = Grant,
    responses((status = 200, body = PluginDetail), Changes),
)]
pub async fn grant(
    operator: Operator,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
    JsonBody(body): JsonBody<Value>,
) -> ApiResult<Json<PluginDetail>> {
    let name = plugin_name(&name)?;
    let catalogue = api.kernel.catalogue();
    let active = catalogue.plugin(name.as_str());
    let grant = match (body.get("accept"), active) {
        (Some(accept), active) => {
            let alone = body.as_object().is_some_and(|body| body.len() == 1);
            if accept != &Value::Bool(true) || !alone {
                let expected = "`true` and nothing beside it, or a whole grant without it";
                return Err(Problem::invalid_field("/accept", expected).into());
            }
            let active = active.ok_or_else(|| {
                Problem::not_found(format!(
                    "loaded plugin `{name}`; GET /api/v1/plugins lists them"
                ))
            })?;
            mandate_kernel::asked_for(&active.loaded.manifest)
        }
        (None, active) => {
            let mut body = body;
            // Who says nothing of limits leaves them: the host's defaults may be wider.
            if let (Some(fields), Some(active)) = (body.as_object_mut(), active)
                && !fields.contains_key("limits")
            {
                fields.insert("limits".to_owned(), json!(active.grant().limits));
            }
            let grant: Grant = input::parse(body.to_string().as_bytes())?;
            let present = active.map(|active| active.grant().generation);
            if grant.generation != 0 && present.is_some_and(|present| present != grant.generation) {
                return Err(ApiError::precondition(format!(
                    "generation {} is not the present one: read the plugin again",
                    grant.generation
                )));
            }
            grant
        }
    };
    change(&api, &operator, name, Some(grant), None, None).await
}

/// Fills in a plugin's settings.
#[utoipa::path(
    put, path = "/api/v1/plugins/{name}/settings", tag = "plugins",
    params(("name" = String, Path)),
    request_body(content = Object, description = "By the manifest's schema of settings"),
    responses((status = 200, body = PluginDetail), Changes),
)]
pub async fn settings(
    operator: Operator,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
    JsonBody(settings): JsonBody<Value>,
) -> ApiResult<Json<PluginDetail>> {
    change(
        &api,
        &operator,
        plugin_name(&name)?,
        None,
        Some(settings),
        None,
    )
    .await
}

/// Makes the version before the active one again.
#[utoipa::path(
    post, path = "/api/v1/plugins/{name}/rollback", tag = "plugins",
    params(("name" = String, Path)),
    responses((status = 200, body = PluginDetail), Changes),
)]
pub async fn roll_back(
    operator: Operator,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
) -> ApiResult<Json<PluginDetail>> {
    let (kernel, by) = (api.kernel.clone(), operator.name.clone());
    let name = plugin_name(&name)?;
    let work = to_its_end(async move { kernel.roll_back(&name, by).await });
    shown(&api, &*work.await?).await
}

/// One change of an installation, with what it is afterwards.
async fn change(
    api: &Api,
    operator: &Operator,
    name: PluginName,
    grant: Option<Grant>,
    settings: Option<Value>,
    status: Option<InstallationStatus>,
) -> ApiResult<Json<PluginDetail>> {
    let (kernel, by) = (api.kernel.clone(), operator.name.clone());
    let work = to_its_end(async move {
        kernel
            .change_installation(&name, grant, settings, status, by)
            .await
    });
    shown(api, &*work.await?).await
}

/// Gives a plugin no new work; what runs goes on.
#[utoipa::path(
    post, path = "/api/v1/plugins/{name}/quarantine", tag = "plugins",
    params(("name" = String, Path)),
    responses((status = 200, body = PluginDetail), Changes),
)]
pub async fn quarantine(
    operator: Operator,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
) -> ApiResult<Json<PluginDetail>> {
    let status = Some(InstallationStatus::Quarantined);
    change(&api, &operator, plugin_name(&name)?, None, None, status).await
}

/// Gives a quarantined plugin work again.
#[utoipa::path(
    post, path = "/api/v1/plugins/{name}/activate", tag = "plugins",
    params(("name" = String, Path)),
    responses((status = 200, body = PluginDetail), Changes),
)]
pub async fn activate(
    operator: Operator,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
) -> ApiResult<Json<PluginDetail>> {
    let status = Some(InstallationStatus::Active);
    change(&api, &operator, plugin_name(&name)?, None, None, status).await
}

/// Removes a plugin. What runs goes on, its records stay, its routes are gone.
#[utoipa::path(
    delete, path = "/api/v1/plugins/{name}", tag = "plugins",
    params(("name" = String, Path)),
    responses((status = 204, description = "Removed"), Changes),
)]
pub async fn remove(
    operator: Operator,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
) -> ApiResult<StatusCode> {
    let (kernel, by) = (api.kernel.clone(), operator.name.clone());
    let name = plugin_name(&name)?;
    to_its_end(async move { kernel.remove(&name, by).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
