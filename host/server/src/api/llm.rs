//! `/llm`: who answers model calls, and how they do.

use super::Api;
use super::Listing;
use super::auth::Viewer;
use super::doc::Reads;
use super::error::ApiResult;
use super::input::Params;
use axum::Json;
use axum::extract::State;
use mandate_llm::breaker::BreakerState;
use mandate_llm::seat::Standing;
use mandate_llm::{ModelClass, Provider};
use serde::Serialize;
use std::time::Duration;

/// A provider of models, in the order in which they are asked.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProviderView {
    /// Its name.
    pub id: String,
    /// Whether no model is asked, and the host plays its part.
    pub simulated: bool,
    /// Its models, by class.
    pub models: Vec<ModelView>,
    /// Attempts that were answered since the host started.
    pub answered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// The middle of how long the last 256 answers took, in milliseconds.
    pub latency_p50_ms: Option<u64>,
    /// What one in a hundred of them exceeded.
    pub latency_p99_ms: Option<u64>,
    /// What it said when it last failed.
    pub last_error: Option<String>,
}

/// A model of a provider.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelView {
    /// `fast`, `smart` or `embed`.
    pub class: &'static str,
    /// Its name there.
    pub model: String,
    /// Whether it is known what it costs; otherwise nobody asks it.
    pub priced: bool,
    /// `closed`: it is asked; `open`: it is left alone; `half_open`: one request tries whether it
    /// is well again; `out`: it is not asked until it is configured anew.
    pub state: &'static str,
    /// For how long it is left alone yet, in milliseconds.
    pub open_ms: Option<u64>,
    /// Why it is out.
    pub why: Option<String>,
}

impl ProviderView {
    fn new(provider: &dyn Provider, standing: Standing) -> Self {
        let models = [ModelClass::Fast, ModelClass::Smart, ModelClass::Embed];
        let models = models.into_iter().filter_map(|class| {
            let model = provider.model(class)?.to_owned();
            let why = standing.out.get(&class).cloned();
            let breaker = standing.breakers.get(&class);
            let (state, open) = breaker.copied().unwrap_or((BreakerState::Closed, None));
            Some(ModelView {
                class: class.as_str(),
                model,
                priced: provider.price(class).is_some(),
                state: match state {
                    _ if why.is_some() => "out",
                    BreakerState::Closed => "closed",
                    BreakerState::Open => "open",
                    BreakerState::HalfOpen => "half_open",
                },
                open_ms: open.map(milliseconds),
                why,
            })
        });
        Self {
            id: provider.id().to_owned(),
            simulated: provider.is_simulated(),
            models: models.collect(),
            answered: standing.answered,
            failed: standing.failed,
            latency_p50_ms: standing.p50.map(milliseconds),
            latency_p99_ms: standing.p99.map(milliseconds),
            last_error: standing.last_error,
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Lists the providers of models in the order in which they are asked, and how each does.
#[utoipa::path(
    get, path = "/api/v1/llm/providers", tag = "models",
    responses((status = 200, body = Listing<ProviderView>), Reads),
)]
pub async fn providers(
    _viewer: Viewer,
    State(api): State<Api>,
    params: Params,
) -> ApiResult<Json<Listing<ProviderView>>> {
    params.finish()?;
    let models = api.tasks.kernel().models();
    let all: Vec<ProviderView> = models
        .standings()
        .map(|(provider, standing)| ProviderView::new(provider.as_ref(), standing))
        .collect();
    Ok(Json(all.into()))
}
