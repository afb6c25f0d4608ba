//! The ordered providers: the first that answers, answers. Who fails in a way that another may
//! cure is followed by the next; who fails often is left alone for a while.

mod attempt;
mod question;
mod route;
mod turns;

pub use route::{Route, Strategy};

use crate::breaker::BreakerSettings;
use crate::cache::{self, Answered, Cache, CacheSettings};
use crate::gate::Limits;
use crate::meter::{Caller, Planned};
use crate::provider::Heard;
use crate::providers::Simulated;
use crate::redact::{self, Redactor};
use crate::seat::{Seat, Standing};
use crate::structured;
use crate::trace::Attempt;
use crate::{Embeddings, LlmError, ModelClass, Price, Provider, Request, Response, Usage};
use attempt::total;
use question::{Question, Streamed, Texts, Viewer};
use route::{Sticky, Whom};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How providers are chosen, and what is kept.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// When a provider is left alone.
    pub breaker: BreakerSettings,
    /// What a provider takes, by its name.
    pub limits: BTreeMap<String, Limits>,
    /// How a class finds its provider.
    pub routes: BTreeMap<ModelClass, Route>,
    /// Plugins to which no simulated model answers.
    pub never_simulated: BTreeSet<String>,
    /// As what a model counts whose price nobody knows; none: it is not asked.
    pub unknown: Option<Price>,
    /// What is taken out of prompts before they leave this machine; none: nothing.
    pub redaction: Option<redact::Settings>,
    /// Which answers are given again.
    pub cache: CacheSettings,
}

/// Providers in the order in which they are asked. The empty chain answers nobody.
#[derive(Clone)]
pub struct Chain {
    seats: Arc<[Arc<Seat>]>,
    settings: Arc<Settings>,
    sticky: Sticky,
    insists: bool,
    redactor: Option<Arc<Redactor>>,
    responses: Option<Cache<Response>>,
    embeddings: Option<Cache<Embeddings>>,
}

impl Default for Chain {
    fn default() -> Self {
        Self::new(Vec::new(), Settings::default())
    }
}

/// Who answered a call, and what was tried before.
struct Told<T> {
    seat: Arc<Seat>,
    answer: T,
    usage: Usage,
    attempts: Vec<Attempt>,
}

impl<T> Told<T> {
    fn model(&self, class: ModelClass) -> String {
        self.seat
            .provider
            .model(class)
            .unwrap_or_default()
            .to_owned()
    }
}

impl Chain {
    /// Asks `providers` in this order, but for what the settings say.
    pub fn new(providers: Vec<Arc<dyn Provider>>, settings: Settings) -> Self {
        let seat = |provider: Arc<dyn Provider>| {
            let limits = settings.limits.get(provider.id()).copied();
            Arc::new(Seat::new(
                provider,
                settings.breaker,
                limits.unwrap_or_default(),
            ))
        };
        Self {
            seats: providers.into_iter().map(seat).collect(),
            sticky: Sticky::default(),
            insists: false,
            redactor: settings.redaction.map(|it| Arc::new(Redactor::new(it))),
            responses: Cache::new(settings.cache),
            embeddings: Cache::new(settings.cache),
            settings: Arc::new(settings),
        }
    }

    /// Only the simulated provider, as though it had these prices.
    pub fn simulated(price: Price) -> Self {
        let simulated = Arc::new(Simulated::priced(price));
        Self::new(vec![simulated], Settings::default())
    }

    /// The providers, and how each stands.
    pub fn standings(&self) -> impl Iterator<Item = (&Arc<dyn Provider>, Standing)> {
        self.seats
            .iter()
            .map(|seat| (&seat.provider, seat.standing()))
    }

    /// The chain with only the provider `id`, which is the same one: what it does counts. It is
    /// asked also if it is out.
    pub fn only(&self, id: &str) -> Option<Self> {
        let seat = self.seats.iter().find(|seat| seat.provider.id() == id)?;
        Some(Self {
            seats: Arc::new([seat.clone()]),
            insists: true,
            responses: None,
            embeddings: None,
            settings: Arc::new(Settings {
                routes: BTreeMap::new(),
                ..Settings::clone(&self.settings)
            }),
            ..self.clone()
        })
    }

    /// The most that the first attempt at this request costs, with whom it would be made now.
    pub fn first_cost(&self, request: &Request, caller: &Caller<'_>) -> Planned {
        self.planned(request, caller)
    }

    /// As [`Chain::first_cost`], of embedding `texts`.
    pub fn first_cost_embed(&self, texts: &[String], caller: &Caller<'_>) -> Planned {
        self.planned(&Texts(texts), caller)
    }

    fn planned<Q: Question>(&self, question: &Q, caller: &Caller<'_>) -> Planned {
        let class = question.class();
        let order = self.order(question, caller);
        let would = order.iter().find(|seat| seat.would_pass(class));
        let Some((seat, (price, _))) =
            would.and_then(|seat| Some((seat, self.price(seat, class)?)))
        else {
            return Planned::default();
        };
        let provider = seat.provider.as_ref();
        let model = provider.model(class).unwrap_or_default();
        let whom = Whom {
            tenant: caller.tenant,
            execution: caller.execution,
            provider: provider.id(),
            model,
        };
        let shown = question.shown(Viewer {
            provider,
            redacts: self.redactor.is_some() && !provider.is_local(),
            redactor: None,
            without: self.sticky.without(&whom, question.schema()),
        });
        Planned {
            provider: provider.id().to_owned(),
            model: model.to_owned(),
            most: question.worst(&shown, &price),
        }
    }

    /// The first answer.
    ///
    /// # Errors
    /// [`LlmError::Invalid`] when the request is wrong, [`LlmError::Unavailable`] when every
    /// provider was asked and none answered.
    pub async fn complete(
        &self,
        request: &Request,
        caller: &Caller<'_>,
    ) -> Result<Response, LlmError> {
        request.check()?;
        let key = cache::is_deterministic(request)
            .then(|| cache::key(caller.tenant, "complete", request))
            .flatten();
        kept(self.responses.as_ref(), key, || async {
            let told = self.first(request, caller).await?;
            Ok(response(told, request.class))
        })
        .await
    }

    /// As [`Chain::complete`], and each piece of the text is heard as it comes. Once one was
    /// heard, nobody else answers. What must have a form is heard when it has it.
    ///
    /// # Errors
    /// As of [`Chain::complete`], and [`LlmError::Interrupted`].
    pub async fn stream(
        &self,
        request: &Request,
        caller: &Caller<'_>,
        heard: Heard<'_>,
    ) -> Result<Response, LlmError> {
        if structured::is_needed(request) || cache::is_deterministic(request) {
            let response = self.complete(request, caller).await?;
            heard(&response.message.text);
            return Ok(response);
        }
        request.check()?;
        let told = self.first(&Streamed::new(request, heard), caller).await?;
        Ok(response(told, request.class))
    }

    /// One vector per text, in order, from the first provider that answers.
    ///
    /// # Errors
    /// As of [`Chain::complete`].
    pub async fn embed(
        &self,
        texts: &[String],
        caller: &Caller<'_>,
    ) -> Result<Embeddings, LlmError> {
        if texts.is_empty() {
            return Err(LlmError::invalid("texts: expected at least one"));
        }
        let key = cache::key(caller.tenant, "embed", &texts);
        kept(self.embeddings.as_ref(), key, || async {
            let told = self.first(&Texts(texts), caller).await?;
            Ok(Embeddings {
                cost: total(&told.attempts),
                provider: told.seat.provider.id().to_owned(),
                model: told.model(ModelClass::Embed),
                simulated: told.seat.provider.is_simulated(),
                cached: false,
                usage: told.usage,
                attempts: worth_telling(told.attempts),
                vectors: told.answer.vectors.into_iter().map(unit).collect(),
            })
        })
        .await
    }

    /// Who is asked, in order.
    fn order<Q: Question>(&self, question: &Q, caller: &Caller<'_>) -> Vec<Arc<Seat>> {
        let class = question.class();
        let usual = Route::default();
        let route = self.settings.routes.get(&class).unwrap_or(&usual);
        let mut order = route.order(&self.seats, class, |price| question.roughly(price));
        if !route.simulated || self.settings.never_simulated.contains(caller.plugin) {
            order.retain(|seat| !seat.provider.is_simulated());
        }
        self.sticky.first(caller.execution, class, &mut order);
        order
    }

    /// What a provider's model costs, and whether that is a guess; none if nobody knows.
    fn price(&self, seat: &Seat, class: ModelClass) -> Option<(Price, bool)> {
        let known = seat.provider.price(class).map(|price| (price, false));
        known.or(self.settings.unknown.map(|price| (price, true)))
    }
}

/// The kept answer, or that of `ask`.
async fn kept<T: Answered, F: Future<Output = Result<T, LlmError>>>(
    cache: Option<&Cache<T>>,
    key: Option<[u8; 32]>,
    ask: impl Fn() -> F,
) -> Result<T, LlmError> {
    if let (Some(cache), Some(key)) = (cache, key)
        && let Some(answer) = cache.get(key, ask()).await
    {
        return answer;
    }
    ask().await
}

fn response(told: Told<crate::wire::Answer>, class: ModelClass) -> Response {
    Response {
        cost: total(&told.attempts),
        provider: told.seat.provider.id().to_owned(),
        model: told.model(class),
        simulated: told.seat.provider.is_simulated(),
        cached: false,
        usage: told.usage,
        attempts: worth_telling(told.attempts),
        message: told.answer.message,
        finish: told.answer.finish,
        extra: told.answer.extra,
        stood_for: told.answer.stood_for,
    }
}

/// Nothing of a call that was answered at once: the answer says who did, and what it cost.
fn worth_telling(attempts: Vec<Attempt>) -> Vec<Attempt> {
    match attempts.as_slice() {
        [only] if !only.uncertain => Vec::new(),
        _ => attempts,
    }
}

/// A vector of length 1; one of length 0 stays.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let sum: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let length = sum.sqrt();
    if length > 0.0 && length.is_finite() {
        for x in &mut vector {
            *x = (f64::from(*x) / length) as f32;
        }
    }
    vector
}

#[cfg(test)]
pub(crate) mod tests;
