//! `/tokens` and `/whoami`: who may come in.

use super::auth::{Admin, Viewer};
use super::doc::{Changes, Reads};
use super::error::{ApiResult, to_its_end};
use super::input::{JsonBody, PathOf};
use super::{Api, Listing};
use crate::acts;
use crate::host::new_token;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use mandate_store::{CommitError, Principal, Write};
use mandate_types::{Actor, Digest, PrincipalName, Problem, Role, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// Who the caller is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Whoami {
    /// Its name.
    pub name: PrincipalName,
    /// What it may do.
    pub role: Role,
    /// For which tenants.
    pub tenants: Vec<TenantId>,
    /// Whether it may see every tenant; `tenants` is empty then.
    pub all_tenants: bool,
    /// When its token ends.
    pub expires_at: Option<Timestamp>,
}

/// Who the caller is.
#[utoipa::path(
    get, path = "/api/v1/whoami", tag = "tokens",
    responses((status = 200, body = Whoami), Reads),
)]
pub async fn whoami(viewer: Viewer) -> Json<Whoami> {
    Json(Whoami {
        name: viewer.name.clone(),
        role: viewer.role,
        tenants: viewer.tenants().unwrap_or_default(),
        all_tenants: viewer.sees_all(),
        expires_at: viewer.expires_at,
    })
}

/// A token that is wanted.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whose.
    pub name: PrincipalName,
    /// What it may do.
    pub role: Role,
    /// For which tenants. Without one, operators and admins have all, others have `default`.
    #[serde(default)]
    pub tenants: Vec<TenantId>,
    /// When it ends; never when absent.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// A token that was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MadeToken {
    /// The token. It is shown this once and kept nowhere.
    pub token: String,
    /// Whose it is.
    #[serde(flatten)]
    pub principal: Principal,
}

/// Whose tokens there are; not the tokens themselves.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "tokens",
    responses((status = 200, body = Listing<Principal>), Reads),
)]
pub async fn list(_: Admin, State(api): State<Api>) -> ApiResult<Json<Listing<Principal>>> {
    Ok(Json(api.store().principals().await?.into()))
}

/// Makes a token. The answer is the only time that it is shown.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens",
    request_body = NewToken,
    responses((status = 201, body = MadeToken), Changes),
)]
pub async fn create(
    admin: Admin,
    State(api): State<Api>,
    JsonBody(new): JsonBody<NewToken>,
) -> ApiResult<impl IntoResponse> {
    let now = Timestamp::now();
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(Problem::invalid_field("/expires_at", "a time to come").into());
    }
    if new.name == PrincipalName::host() {
        let detail = "`mandate` is the host itself: take another name";
        return Err(Problem::invalid(detail)
            .with_field("/name", "another name")
            .into());
    }
    let _changing = api.door.changing().await;
    if api
        .store()
        .principals()
        .await?
        .iter()
        .any(|known| known.name == new.name)
    {
        let detail = format!(
            "`{}` has a token already: remove it first, or take another name",
            new.name
        );
        return Err(Problem::conflict(detail)
            .with_field("/name", "a name without a token")
            .into());
    }
    let mut tenants = new.tenants;
    if tenants.is_empty() && new.role < Role::Operator {
        tenants.push(TenantId::default_tenant());
    }
    let token = new_token().map_err(|error| Problem::internal(error.to_string()))?;
    let principal = Principal {
        name: new.name,
        role: new.role,
        tenants,
        token: Digest::of(token.as_bytes()),
        created_at: now,
        expires_at: new.expires_at,
    };
    let put = Write::PutPrincipal(Box::new(principal.clone()));
    let act = acts::token_created(&Actor::from(&admin.name), &principal);
    write(&api, vec![put, act]).await?;
    let location = format!("/api/v1/tokens/{}", principal.name);
    Ok((
        StatusCode::CREATED,
        [(LOCATION, location)],
        Json(MadeToken { token, principal }),
    ))
}

/// Writes a change of principals; whom it is about is looked up again from then on.
async fn write(api: &Api, change: Vec<Write>) -> ApiResult<()> {
    let api = api.clone();
    to_its_end(async move {
        api.store().commit(None, change).await?;
        api.door.forget();
        Ok::<_, CommitError>(())
    })
    .await
}

/// Removes a token; it counts no more from now on.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{name}", tag = "tokens",
    params(("name" = String, Path, description = "Whose")),
    responses((status = 204, description = "Removed"), Changes),
)]
pub async fn remove(
    admin: Admin,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
) -> ApiResult<StatusCode> {
    let _changing = api.door.changing().await;
    let principals = api.store().principals().await?;
    let Some(found) = principals.iter().find(|known| known.name.as_str() == name) else {
        let name: String = name.chars().take(64).collect();
        return Err(Problem::not_found(format!("token of `{name}`")).into());
    };
    let now = Timestamp::now();
    let stays_admin = |other: &&Principal| {
        other.role == Role::Admin
            && other.name != found.name
            && other.tenants.is_empty()
            && other.expires_at.is_none_or(|end| end > now)
    };
    if found.role == Role::Admin && !principals.iter().any(|other| stays_admin(&other)) {
        let detail = "this is the last administrator of the host; make another one first";
        return Err(Problem::conflict(detail).into());
    }
    let remove = Write::RemovePrincipal(found.name.clone());
    let act = acts::token_removed(&Actor::from(&admin.name), found);
    write(&api, vec![remove, act]).await?;
    Ok(StatusCode::NO_CONTENT)
}
