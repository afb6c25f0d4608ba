//! The front door for programs and browsers: REST, events over WebSocket, and the document that
//! describes both. One file per resource.

mod actions;
mod activity;
mod agents;
mod audit;
mod auth;
mod budgets;
mod decision_page;
mod decisions;
mod doc;
mod doorstep;
mod error;
mod events;
mod executions;
mod export;
mod finished;
mod front;
mod halt;
mod hub;
mod input;
mod ledger;
mod limit;
mod llm;
mod observe;
mod plugin_view;
mod plugins;
mod policy;
mod questions;
mod record_filter;
mod records;
mod replay;
mod routes;
mod sign_in;
mod state;
mod tasks;
mod telemetry;
mod tenants;
mod tokens;
mod tools;
mod topic;
mod waiting;
mod webhooks;
mod ws;

pub use state::{Api, ApiSettings};
pub use telemetry::Intake;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::routing::{any, get};
use serde::Serialize;
use tower_http::cors::CorsLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A page of a listing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Listing<T> {
    /// In the listing's order.
    pub items: Vec<T>,
    /// Send it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl<T> From<mandate_store::Page<T>> for Listing<T> {
    fn from(page: mandate_store::Page<T>) -> Self {
        Self {
            items: page.items,
            cursor: page.cursor,
        }
    }
}

impl<T> From<Vec<T>> for Listing<T> {
    fn from(items: Vec<T>) -> Self {
        Self {
            items,
            cursor: None,
        }
    }
}

/// Everything that is served.
pub fn router(api: Api) -> Router {
    let uploads = OpenApiRouter::new()
        .routes(routes!(plugins::install))
        .layer(DefaultBodyLimit::max(api.settings.plugin_body_limit));
    let telemetry = OpenApiRouter::new()
        .routes(routes!(telemetry::metrics::list, telemetry::metrics::add))
        .routes(routes!(telemetry::logs::list, telemetry::logs::add))
        .routes(routes!(telemetry::spans::list, telemetry::spans::add))
        .routes(routes!(
            telemetry::topology::list,
            telemetry::topology::replace
        ))
        .routes(routes!(telemetry::otlp::metrics))
        .routes(routes!(telemetry::otlp::logs))
        .routes(routes!(telemetry::otlp::traces))
        .layer(DefaultBodyLimit::max(api.intake.config.body_limit));
    let described = OpenApiRouter::with_openapi(doc::outline())
        .routes(routes!(tasks::submit, tasks::list))
        .routes(routes!(tasks::get))
        .routes(routes!(tasks::execute))
        .routes(routes!(tasks::cancel))
        .routes(routes!(tasks::progress))
        .routes(routes!(executions::of_task))
        .routes(routes!(executions::task_steps))
        .routes(routes!(executions::task_logs))
        .routes(routes!(executions::get))
        .routes(routes!(executions::steps))
        .routes(routes!(export::execution))
        .routes(routes!(replay::execution))
        .routes(routes!(export::package))
        .routes(routes!(agents::list))
        .routes(routes!(agents::get))
        .routes(routes!(tools::list))
        .routes(routes!(tools::get))
        .routes(routes!(tools::call))
        .routes(routes!(plugins::list))
        .routes(routes!(plugins::get, plugins::remove))
        .routes(routes!(plugins::grant))
        .routes(routes!(plugins::settings))
        .routes(routes!(plugins::roll_back))
        .routes(routes!(plugins::quarantine))
        .routes(routes!(plugins::activate))
        .routes(routes!(records::collections))
        .routes(routes!(records::list, records::create))
        .routes(routes!(records::get, records::update, records::delete))
        .routes(routes!(activity::get))
        .routes(routes!(actions::start))
        .routes(routes!(decisions::list))
        .routes(routes!(decisions::get))
        .routes(routes!(decisions::approve))
        .routes(routes!(decisions::deny))
        .routes(routes!(decisions::ask_again))
        .routes(routes!(questions::list))
        .routes(routes!(questions::get))
        .routes(routes!(questions::answer))
        .routes(routes!(ledger::list))
        .routes(routes!(budgets::list))
        .routes(routes!(llm::providers))
        .routes(routes!(llm::ai_providers))
        .routes(routes!(llm::test))
        .routes(routes!(llm::ask))
        .routes(routes!(events::list))
        .routes(routes!(webhooks::take))
        .routes(routes!(webhooks::get))
        .routes(routes!(tenants::erase_journals))
        .routes(routes!(policy::get, policy::put))
        .routes(routes!(policy::versions))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::remove))
        .routes(routes!(tokens::whoami))
        .routes(routes!(audit::list))
        .routes(routes!(audit::checkpoint))
        .routes(routes!(halt::halt))
        .routes(routes!(halt::resume))
        .routes(routes!(halt::list))
        .routes(routes!(observe::health))
        .routes(routes!(observe::ready))
        .routes(routes!(observe::metrics))
        .merge(uploads)
        .merge(telemetry);
    let (router, document) = described.split_for_parts();
    api.describe(document);
    let mut router = router
        .route("/api/v1/health", get(observe::health))
        .route("/api/v1/ready", get(observe::ready))
        .route("/api/v1/openapi.json", get(doc::get))
        .route(
            "/",
            get(|| async { axum::response::Redirect::temporary("/docs/") }),
        )
        .route("/openapi.json", get(doc::get))
        .route("/decisions/{id}", get(decision_page::page))
        .route("/ws", any(ws::connect))
        .route("/api/v1/ws", any(ws::connect))
        .route("/api/v1/{name}", get(routes::list).post(routes::post))
        .route(
            "/api/v1/{name}/{id}",
            get(routes::get).put(routes::put).delete(routes::delete),
        )
        .route("/api/v1/{name}/{id}/activity", get(routes::activity))
        .route(
            "/api/v1/{name}/{id}/actions/{action}",
            axum::routing::post(routes::action),
        )
        .merge(doc::page())
        .fallback(front::nothing_here)
        .layer(DefaultBodyLimit::max(api.settings.body_limit))
        .layer(axum::middleware::from_fn_with_state(
            api.clone(),
            front::front,
        ));
    if let Some(cors) = cors(&api.settings.cors_origins) {
        router = router.layer(cors);
    }
    router.with_state(api)
}

/// Which pages of other origins may call; none unless they are named.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let parse = |origin: &String| {
        let parsed = HeaderValue::from_str(origin.trim_end_matches('/'));
        if parsed.is_err() {
            tracing::error!(
                origin,
                "`cors_origins` names what is no origin; it is left out"
            );
        }
        parsed.ok()
    };
    let origins: Vec<HeaderValue> = origins.iter().filter_map(parse).collect();
    if origins.is_empty() {
        return None;
    }
    let sent = |names: &[&'static str]| -> Vec<HeaderName> {
        names.iter().copied().map(HeaderName::from_static).collect()
    };
    let mut allowed = sent(&["idempotency-key", "prefer", "x-request-id"]);
    allowed.extend([AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH]);
    let mut exposed = sent(&["x-request-id", "preference-applied"]);
    exposed.extend([ETAG, LOCATION, RETRY_AFTER]);
    Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers(allowed)
            .expose_headers(exposed)
            .max_age(std::time::Duration::from_secs(600)),
    )
}
