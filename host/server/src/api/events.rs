//! `/events`: what happened, by number. `/ws` tells of it as it happens.

use super::Api;
use super::auth::Viewer;
use super::doc::Reads;
use super::error::ApiResult;
use super::input::Params;
use axum::Json;
use axum::extract::State;
use mandate_store::{Event, EventQuery};
use mandate_types::Problem;
use serde::Serialize;

/// A page of events.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Events {
    /// In the order of their numbers.
    pub items: Vec<Event>,
    /// Send it as `after` for what comes next; goes on even when nothing matched.
    pub after: u64,
}

/// Events in the order of their numbers.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events",
    params(
        ("after" = Option<u64>, Query, description = "Only later than this number; 0 when absent"),
        ("kinds" = Option<Vec<String>>, Query, description = "Repeated, or a list with commas"),
        ("task" = Option<String>, Query),
        ("subject" = Option<String>, Query, description = "`collection/id`"),
        ("tenant" = Option<String>, Query),
        ("limit" = Option<u32>, Query, description = "1–1000, 50 when absent"),
    ),
    responses((status = 200, body = Events), Reads),
)]
pub async fn list(
    viewer: Viewer,
    State(api): State<Api>,
    mut params: Params,
) -> ApiResult<Json<Events>> {
    let query = EventQuery {
        after: after(&mut params)?,
        tenants: viewer.scope(params.parsed("tenant")?)?,
        kinds: params.many("kinds"),
        task: params.parsed("task")?,
        subject: params.parsed("subject")?,
        limit: params.limit()?,
    };
    params.finish()?;
    // Before the events: what comes between the two is not skipped.
    let last = api.store().last_event().await?;
    let items = api.store().events(&query).await?;
    let after = match items.last() {
        Some(event) if items.len() >= query.limit as usize => event.seq,
        Some(event) => event.seq.max(last),
        None => query.after.max(last),
    };
    Ok(Json(Events { items, after }))
}

fn after(params: &mut Params) -> Result<u64, Problem> {
    let Some(text) = params.text("after")? else {
        return Ok(0);
    };
    text.parse()
        .map_err(|_| Problem::invalid_field("after", "the number of an event, or 0"))
}
