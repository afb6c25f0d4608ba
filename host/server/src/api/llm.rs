//! `/llm`: who answers model calls, how they do, and what they say.

use super::Api;
use super::Listing;
use super::auth::{Operator, Viewer};
use super::doc::{Changes, Reads};
use super::error::{ApiResult, to_its_end};
use super::input::{JsonBody, Params, PathOf};
use axum::Json;
use axum::extract::State;
use mandate_kernel::AskError;
use mandate_llm::breaker::BreakerState;
use mandate_llm::seat::Standing;
use mandate_llm::trace::Attempt;
use mandate_llm::{LlmError, Message, ModelClass, Provider, Request, Role};
use mandate_types::{Problem, TenantId};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

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
    /// What one in twenty of them exceeded.
    pub latency_p95_ms: Option<u64>,
    /// What one in a hundred of them exceeded.
    pub latency_p99_ms: Option<u64>,
    /// Of the attempts since the host started, how many failed, 0–1.
    pub error_rate: f64,
    /// What its attempts cost since the host started.
    pub cost_micro_usd: i64,
    /// What it said when it last failed; only for operators of all tenants.
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
    /// is well again; `out`: it is not asked until a test of it succeeds.
    pub state: &'static str,
    /// For how long it is left alone yet, in milliseconds.
    pub open_ms: Option<u64>,
    /// Why it is out; only for operators of all tenants.
    pub why: Option<String>,
}

impl ProviderView {
    /// What providers said may quote what others asked: it is for those who see all.
    fn new(provider: &dyn Provider, standing: Standing, sees_all: bool) -> Self {
        let models = [ModelClass::Fast, ModelClass::Smart, ModelClass::Embed];
        let models = models.into_iter().filter_map(|class| {
            let model = provider.model(class)?.to_owned();
            let out = standing.out.get(&class).cloned();
            let is_out = out.is_some();
            let why = out.filter(|_| sees_all);
            let breaker = standing.breakers.get(&class);
            let (state, open) = breaker.copied().unwrap_or((BreakerState::Closed, None));
            Some(ModelView {
                class: class.as_str(),
                model,
                priced: provider.price(class).is_some(),
                state: match state {
                    _ if is_out => "out",
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
            latency_p95_ms: standing.p95.map(milliseconds),
            latency_p99_ms: standing.p99.map(milliseconds),
            error_rate: standing.failed as f64
                / (standing.answered + standing.failed).max(1) as f64,
            cost_micro_usd: standing.cost.0,
            last_error: standing.last_error.filter(|_| sees_all),
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A question to a model.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQuestion {
    /// What is asked.
    #[schema(example = "What does 137 mean as an exit status?")]
    pub prompt: String,
    /// `fast` when absent.
    #[serde(default = "fast")]
    #[schema(value_type = String, example = "fast")]
    pub class: ModelClass,
    /// Only this provider; absent: the chain.
    #[serde(default)]
    pub provider: Option<String>,
    /// The most tokens of the answer; 1,024 when absent. Money is reserved for so many.
    #[serde(default = "most_tokens")]
    pub max_output_tokens: u32,
    /// 0 to 2; absent: as the provider likes.
    #[serde(default)]
    pub temperature: Option<f32>,
    /// For whom; his budgets count.
    #[serde(default)]
    pub tenant: Option<TenantId>,
}

const fn fast() -> ModelClass {
    ModelClass::Fast
}

const fn most_tokens() -> u32 {
    1_024
}

/// What a model answered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AnswerView {
    /// The answer.
    pub text: String,
    /// Who gave it.
    pub provider: String,
    /// With which model.
    pub model: String,
    /// Whether no model was asked and the host played its part.
    pub simulated: bool,
    /// Whether it was answered before, and nobody was asked now.
    pub cached: bool,
    /// What it cost, with the attempts before.
    pub cost_micro_usd: i64,
    /// All tokens that were read.
    pub input_tokens: u64,
    /// All tokens that were written.
    pub output_tokens: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What was tried, and why it went on from there; empty if the first answered.
    #[schema(value_type = Vec<Object>)]
    pub attempts: Vec<Attempt>,
}

/// Asks a model, under the budgets of the tenant.
///
/// For trying out providers: agents ask through their plugins.
#[utoipa::path(
    post, path = "/api/v1/llm/ask", tag = "models",
    request_body = NewQuestion,
    responses((status = 200, body = AnswerView), Changes),
)]
pub async fn ask(
    operator: Operator,
    State(api): State<Api>,
    JsonBody(new): JsonBody<NewQuestion>,
) -> ApiResult<Json<AnswerView>> {
    let tenant = operator.tenant(new.tenant)?;
    let messages = vec![Message::text(Role::User, new.prompt)];
    let request = Request {
        temperature: new.temperature,
        ..Request::new(new.class, messages, new.max_output_tokens)
    };
    Ok(Json(asked(&api, tenant, new.provider, request).await?))
}

/// Asks one provider for a word, as a test of its key, its model and its price.
#[utoipa::path(
    post, path = "/api/v1/llm/providers/{id}/test", tag = "models",
    params(
        ("id" = String, Path, description = "Its name"),
        ("class" = Option<String>, Query, description = "`fast` or `smart`; the first that it has when absent"),
    ),
    responses((status = 200, description = "It answers", body = AnswerView), Changes),
)]
pub async fn test(
    operator: Operator,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
    mut params: Params,
) -> ApiResult<Json<AnswerView>> {
    let wanted = params.text("class")?;
    params.finish()?;
    let tenant = operator.tenant(None)?;
    let kernel = api.tasks.kernel();
    let provider = kernel.models().standings().map(|(provider, _)| provider);
    let provider = provider.into_iter().find(|provider| provider.id() == id);
    let provider = provider.ok_or_else(|| Problem::not_found(format!("provider `{id}`")))?;
    let answers = |class: &ModelClass| {
        let is_wanted = wanted.as_deref().is_none_or(|it| it == class.as_str());
        is_wanted && provider.model(*class).is_some()
    };
    let class = [ModelClass::Fast, ModelClass::Smart]
        .into_iter()
        .find(answers);
    let class = class.ok_or_else(|| {
        let wanted = wanted.as_deref().unwrap_or("fast or smart");
        Problem::conflict(format!("`{id}` has no {wanted} model to ask for a word"))
    })?;
    let messages = vec![Message::text(Role::User, "Answer with the word: yes")];
    let request = Request::new(class, messages, 64);
    Ok(Json(asked(&api, tenant, Some(id), request).await?))
}

async fn asked(
    api: &Api,
    tenant: TenantId,
    provider: Option<String>,
    request: Request,
) -> ApiResult<AnswerView> {
    let kernel = api.tasks.kernel().clone();
    // Whoever hangs up has spent it all the same.
    to_its_end(async move {
        let begun = Instant::now();
        let answered = kernel.ask(tenant, provider.as_deref(), &request).await;
        let answer = answered.map_err(|error| match error {
            AskError::NoProvider(id) => Problem::not_found(format!("provider `{id}`")),
            AskError::Model(LlmError::Invalid { reason, .. }) => Problem::invalid(reason),
            AskError::Model(error) => Problem::unavailable(error.to_string()),
            AskError::Halted(halted) => Problem::unavailable(halted.to_string()),
        })?;
        Ok::<_, Problem>(AnswerView {
            text: answer.message.text,
            provider: answer.provider,
            model: answer.model,
            simulated: answer.simulated,
            cached: answer.cached,
            cost_micro_usd: answer.cost.0,
            input_tokens: answer.usage.input_tokens,
            output_tokens: answer.usage.output_tokens,
            took_ms: milliseconds(begun.elapsed()),
            attempts: answer.attempts,
        })
    })
    .await
}

/// As `/llm/providers`.
#[utoipa::path(
    get, path = "/api/v1/agents/ai-providers", tag = "models",
    responses((status = 200, body = Listing<ProviderView>), Reads),
)]
pub async fn ai_providers(
    viewer: Viewer,
    api: State<Api>,
    params: Params,
) -> ApiResult<Json<Listing<ProviderView>>> {
    providers(viewer, api, params).await
}

/// Lists the providers of models in the order in which they are asked, and how each does.
#[utoipa::path(
    get, path = "/api/v1/llm/providers", tag = "models",
    responses((status = 200, body = Listing<ProviderView>), Reads),
)]
pub async fn providers(
    viewer: Viewer,
    State(api): State<Api>,
    params: Params,
) -> ApiResult<Json<Listing<ProviderView>>> {
    params.finish()?;
    let sees_all = viewer.sees_all();
    let models = api.tasks.kernel().models();
    let all: Vec<ProviderView> = models
        .standings()
        .map(|(provider, standing)| ProviderView::new(provider.as_ref(), standing, sees_all))
        .collect();
    Ok(Json(all.into()))
}
