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
use std::time::{Duration, Instant};

/// Numbers that are looked at in one query.
const PORTION: u64 = 20_000;
/// How long a request looks for what matches.
const LONGEST: Duration = Duration::from_secs(1);

/// A page of events.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Events {
    /// In the order of their numbers.
    pub items: Vec<Event>,
    /// Send it as `after` for what comes next; goes on even when nothing matched.
    pub after: u64,
    /// The oldest event that is still kept.
    pub first: u64,
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
    let mut query = EventQuery {
        after: after(&mut params)?,
        tenants: viewer.scope(params.parsed("tenant")?)?,
        kinds: params.many("kinds"),
        task: params.parsed("task")?,
        subject: params.parsed("subject")?,
        limit: params.limit()?,
        ..EventQuery::default()
    };
    params.finish()?;
    // Before the events: what comes between the two is not skipped.
    let last = api.store().last_event().await?;
    let first = api.store().first_event().await?;
    let (limit, begun) = (query.limit, Instant::now());
    query.after = query.after.max(first.saturating_sub(1));
    let mut items = Vec::new();
    loop {
        // Few may match among very many: portions keep readers free for others, and after a
        // while the caller is told how far it got.
        let to = query.after.saturating_add(PORTION).min(last);
        query.to = Some(to.max(query.after));
        query.limit = limit.saturating_sub(u32::try_from(items.len()).unwrap_or(limit));
        items.extend(api.store().events(&query).await?);
        if items.len() >= limit as usize {
            let after = items.last().map_or(to, |event: &Event| event.seq);
            return Ok(Json(Events {
                items,
                after,
                first,
            }));
        }
        query.after = query.after.max(to);
        if to >= last || begun.elapsed() > LONGEST {
            return Ok(Json(Events {
                items,
                after: query.after,
                first,
            }));
        }
    }
}

fn after(params: &mut Params) -> Result<u64, Problem> {
    let Some(text) = params.text("after")? else {
        return Ok(0);
    };
    text.parse()
        .map_err(|_| Problem::invalid_field("after", "the number of an event, or 0"))
}
