//! `/tenants`: what concerns all that a tenant has.

use super::Api;
use super::auth::Admin;
use super::doc::Changes;
use super::error::{ApiResult, to_its_end};
use super::input::PathOf;
use axum::Json;
use axum::extract::State;
use mandate_types::{Problem, TenantId};
use serde::Serialize;

/// What came of erasing the journals of a tenant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErasedJournals {
    /// Whose.
    pub tenant: TenantId,
    /// Tasks that were not finished, and failed: nobody can replay what they had done.
    pub failed_tasks: u64,
}

/// Erases the journals of a tenant.
///
/// The key under which arguments and answers of its steps, inputs and results of its invocations were written is
/// destroyed, for good: they are null from now on, with `erased: true`. Its unfinished executions fail. What it does
/// afterwards is written under a new key. Tasks, records, events and log lines stay.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/journals", tag = "tenants",
    params(("tenant" = String, Path, description = "Whose")),
    responses((status = 200, body = ErasedJournals), Changes),
)]
pub async fn erase_journals(
    admin: Admin,
    State(api): State<Api>,
    PathOf(tenant): PathOf<String>,
) -> ApiResult<Json<ErasedJournals>> {
    let missing = || {
        Problem::not_found(format!(
            "tenant {}",
            tenant.chars().take(64).collect::<String>()
        ))
    };
    let tenant = TenantId::parse(&tenant).map_err(|_| missing())?;
    let known = api.store().tenants().await?;
    if !admin.sees(&tenant) || !known.contains(&tenant) {
        return Err(missing().into());
    }
    let by = admin.name.clone();
    let failed_tasks = to_its_end({
        let tenant = tenant.clone();
        async move { api.tasks.erase_journals(&tenant, &by).await }
    });
    Ok(Json(ErasedJournals {
        failed_tasks: failed_tasks.await?,
        tenant,
    }))
}
