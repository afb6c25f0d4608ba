//! `/halt`, `/resume`, `/halts`: the kill switch. The API itself goes on while things are halted.

use super::auth::{Caller, Operator, Viewer};
use super::doc::{Changes, Reads};
use super::error::{ApiResult, to_its_end};
use super::input::JsonBody;
use super::{Api, Listing};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mandate_types::{Halt, HaltScope, Problem};
use serde::Deserialize;

/// The most bytes of a reason.
const MOST_REASON: usize = 500;

/// What is to be halted.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHalt {
    /// `host`, `tenant/NAME` or `plugin/NAME`.
    #[schema(example = "plugin/incident-triage")]
    pub scope: HaltScope,
    /// Why, for those who find their work halted.
    pub reason: String,
}

/// What is to go on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// As it was halted.
    #[schema(example = "plugin/incident-triage")]
    pub scope: HaltScope,
}

/// Halts the host, a tenant or a plugin.
///
/// Nothing that is covered starts or has effects from then on, also after a restart. What runs is
/// stopped and stays unfinished; the answer comes when that is so. An effect that is under way ends
/// and is recorded.
#[utoipa::path(
    post, path = "/api/v1/halt", tag = "halts",
    request_body = NewHalt,
    responses(
        (status = 201, body = Halt),
        (status = 200, description = "It was halted already, by this", body = Halt),
        Changes,
    ),
)]
pub async fn halt(
    operator: Operator,
    State(api): State<Api>,
    JsonBody(new): JsonBody<NewHalt>,
) -> ApiResult<(StatusCode, Json<Halt>)> {
    may_switch(&operator, &new.scope)?;
    let reason = new.reason.trim().to_owned();
    if reason.is_empty() || reason.len() > MOST_REASON {
        let expected = format!("why, in at most {MOST_REASON} bytes");
        return Err(Problem::invalid_field("/reason", expected).into());
    }
    exists(&api, &new.scope).await?;
    let by = operator.name.clone();
    let halted = to_its_end(async move { api.tasks.halt(new.scope, reason, by).await }).await?;
    let status = if halted.new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(halted.halt)))
}

/// Ends a halt.
///
/// What it stopped goes on where it was, by replay, and what was queued starts.
#[utoipa::path(
    post, path = "/api/v1/resume", tag = "halts",
    request_body = Resume,
    responses((status = 200, description = "The halt that has ended", body = Halt), Changes),
)]
pub async fn resume(
    operator: Operator,
    State(api): State<Api>,
    JsonBody(resume): JsonBody<Resume>,
) -> ApiResult<Json<Halt>> {
    may_switch(&operator, &resume.scope)?;
    let by = operator.name.clone();
    let ended = to_its_end(async move { api.tasks.end_halt(&resume.scope, &by).await }).await?;
    Ok(Json(ended))
}

/// What is halted; of tenants those that the caller may see.
#[utoipa::path(
    get, path = "/api/v1/halts", tag = "halts",
    responses((status = 200, body = Listing<Halt>), Reads),
)]
pub async fn list(viewer: Viewer, State(api): State<Api>) -> Json<Listing<Halt>> {
    let halts = api.tasks.halts();
    let seen = halts.iter().filter(|halt| match &halt.scope {
        HaltScope::Tenant(tenant) => viewer.sees(tenant),
        HaltScope::Host | HaltScope::Plugin(_) => true,
    });
    Json(seen.cloned().collect::<Vec<_>>().into())
}

/// Who is bound to tenants halts those, and nothing that others need.
fn may_switch(caller: &Caller, scope: &HaltScope) -> Result<(), Problem> {
    match scope {
        HaltScope::Tenant(tenant) if caller.sees(tenant) => Ok(()),
        HaltScope::Tenant(tenant) => Err(Problem::not_found(format!("tenant `{tenant}`"))),
        HaltScope::Host | HaltScope::Plugin(_) if caller.sees_all() => Ok(()),
        HaltScope::Host | HaltScope::Plugin(_) => Err(Problem::forbidden(format!(
            "`{scope}` is for all tenants, and `{}` is bound to some: halt `tenant/NAME`",
            caller.name
        ))),
    }
}

/// Who mistypes a name is told, and does not believe that something is halted.
async fn exists(api: &Api, scope: &HaltScope) -> ApiResult<()> {
    match scope {
        HaltScope::Host => {}
        HaltScope::Tenant(tenant) => {
            if tenant.as_str() != "default" && !api.store().tenants().await?.contains(tenant) {
                return Err(Problem::not_found(format!("tenant `{tenant}`")).into());
            }
        }
        HaltScope::Plugin(name) => {
            let installed = api.store().installations().await?;
            if !installed.iter().any(|known| known.name == *name) {
                return Err(Problem::not_found(format!("plugin `{name}`")).into());
            }
        }
    }
    Ok(())
}
