//! How the host is: alive, ready, and in numbers.

use super::Api;
use super::auth::{bearer, peer, token_key};
use super::error::{ApiResult, problem_body};
use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use mandate_store::StoreError;
use mandate_types::{HaltScope, Problem, Role, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long the answer of the store is believed.
const BELIEVED: Duration = Duration::from_secs(1);
/// A store that takes longer to write is as good as none.
const MOST: Duration = Duration::from_secs(5);

/// That the host is alive.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`, or `halted` when the whole host is.
    pub status: &'static str,
    /// What is halted.
    pub halted: Halted,
    /// Of the host.
    pub version: &'static str,
    /// How long it has been up.
    pub uptime_seconds: u64,
}

/// What is halted, without names: `GET /api/v1/halts` tells those.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Halted {
    /// Since when the whole host is, if it is.
    pub host: Option<Timestamp>,
    /// How many tenants.
    pub tenants: u32,
    /// How many plugins.
    pub plugins: u32,
}

impl Halted {
    fn now(api: &Api) -> Self {
        let mut halted = Self::default();
        for halt in api.tasks.halts().iter() {
            match halt.scope {
                HaltScope::Host => halted.host = Some(halt.at),
                HaltScope::Tenant(_) => halted.tenants = halted.tenants.saturating_add(1),
                HaltScope::Plugin(_) => halted.plugins = halted.plugins.saturating_add(1),
            }
        }
        halted
    }
}

/// Whether the host is alive. Takes no token.
#[utoipa::path(
    get, path = "/health", tag = "host", security(()),
    responses((status = 200, body = Health)),
)]
pub async fn health(State(api): State<Api>) -> Json<Health> {
    let halted = Halted::now(&api);
    Json(Health {
        status: if halted.host.is_some() {
            "halted"
        } else {
            "ok"
        },
        halted,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: api.started.elapsed().as_secs(),
    })
}

/// One thing that the host needs.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Check {
    /// Whether it is there.
    pub ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    fn of(problem: Option<String>) -> Self {
        Self {
            ok: problem.is_none(),
            detail: problem,
        }
    }
}

/// Whether the host takes work.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Ready {
    /// Whether everything is there.
    pub ready: bool,
    /// What was looked at, by name.
    pub checks: BTreeMap<&'static str, Check>,
}

/// What the store last said, so that asking often costs nothing.
#[derive(Default)]
pub struct Checked(Mutex<Option<(Instant, Check)>>);

impl Checked {
    async fn store(&self, api: &Api) -> Check {
        let mut last = self.0.lock().await;
        if let Some((at, check)) = &*last
            && at.elapsed() < BELIEVED
        {
            return check.clone();
        }
        let problem = match tokio::time::timeout(MOST, api.store().check()).await {
            Ok(Ok(())) => None,
            Ok(Err(StoreError::Full(reason))) => Some(format!(
                "the disk of the data directory is full: {reason}; nothing is lost, new tasks are refused until there is room"
            )),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!(
                "the database takes longer than {} s to write",
                MOST.as_secs()
            )),
        };
        let check = Check::of(problem);
        *last = Some((Instant::now(), check.clone()));
        check
    }
}

/// Whether the host takes work. Takes no token.
#[utoipa::path(
    get, path = "/ready", tag = "host", security(()),
    responses(
        (status = 200, body = Ready),
        (status = 503, description = "A problem with the member `checks`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn ready(State(api): State<Api>) -> Response {
    let draining = api
        .tasks
        .is_draining()
        .then(|| "the host is stopping".to_owned());
    let checks = BTreeMap::from([
        ("store", api.checked.store(&api).await),
        ("work", Check::of(draining)),
    ]);
    let failed: Vec<String> = checks
        .iter()
        .filter_map(|(name, check)| check.detail.as_ref().map(|why| format!("{name}: {why}")))
        .collect();
    if failed.is_empty() {
        return Json(Ready {
            ready: true,
            checks,
        })
        .into_response();
    }
    #[derive(Serialize)]
    struct NotReady {
        #[serde(flatten)]
        problem: Problem,
        #[serde(flatten)]
        ready: Ready,
    }
    let problem = Problem::new(503, "not-ready", "The host is not ready", failed.join("; "));
    let body = NotReady {
        problem,
        ready: Ready {
            ready: false,
            checks,
        },
    };
    problem_body(503, serde_json::to_vec(&body).unwrap_or_default())
}

/// The host's numbers, as Prometheus reads them.
///
/// Takes no token, unless the setting `metrics_public` is false; then any role will do.
#[utoipa::path(
    get, path = "/metrics", tag = "host", security(()),
    responses((status = 200, content_type = "text/plain", body = String)),
)]
pub async fn metrics(State(api): State<Api>, parts: Parts) -> ApiResult<Response> {
    if !api.settings.metrics_public {
        let caller = api
            .door
            .enter(&token_key(bearer(&parts.headers)?), peer(&parts))
            .await?;
        caller.require(Role::Viewer)?;
    }
    let (waiting, _) = api.tasks.load();
    metrics::gauge!("mandate_tasks_queued")
        .set(f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)));
    let halted = Halted::now(&api);
    let host = u32::from(halted.host.is_some());
    for (scope, many) in [
        ("host", host),
        ("tenant", halted.tenants),
        ("plugin", halted.plugins),
    ] {
        metrics::gauge!("mandate_halts", "scope" => scope).set(f64::from(many));
    }
    let runtime = api.tasks.kernel().runtime();
    metrics::gauge!("mandate_guests").set(f64::from(
        u32::try_from(runtime.guests()).unwrap_or(u32::MAX),
    ));
    let jobs = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
        + runtime.tasks();
    metrics::gauge!("mandate_jobs").set(f64::from(u32::try_from(jobs).unwrap_or(u32::MAX)));
    let clients = u32::try_from(api.hub.clients()).unwrap_or(u32::MAX);
    metrics::gauge!("mandate_ws_clients").set(f64::from(clients));
    let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((headers, api.metrics.render()).into_response())
}
