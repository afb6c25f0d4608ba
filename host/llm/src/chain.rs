//! The ordered providers: the first that answers, answers.

use crate::providers::Simulated;
use crate::{Embeddings, LlmError, ModelClass, Provider, Request, Response};
use mandate_types::MicroUsd;
use std::sync::Arc;
use std::time::Duration;

/// Providers in the order in which they are asked. The empty chain answers nobody.
#[derive(Clone, Default)]
pub struct Chain {
    providers: Vec<Arc<dyn Provider>>,
}

impl Chain {
    /// Asks `providers` in this order.
    pub fn new(providers: Vec<Arc<dyn Provider>>) -> Self {
        Self { providers }
    }

    /// Only the simulated provider.
    pub fn simulated() -> Self {
        Self::new(vec![Arc::new(Simulated)])
    }

    /// The most that this request could cost: every provider may be asked, and a failed attempt
    /// may still be billed. None when one of the prices is not known.
    pub fn worst_case(&self, request: &Request) -> Option<MicroUsd> {
        self.serving(request.class)
            .try_fold(MicroUsd::ZERO, |sum, p| {
                Some(sum.plus(p.worst_case(request)?))
            })
    }

    /// The most that embedding `texts` could cost, as [`Chain::worst_case`].
    pub fn worst_case_embed(&self, texts: &[String]) -> Option<MicroUsd> {
        self.serving(ModelClass::Embed)
            .try_fold(MicroUsd::ZERO, |sum, p| {
                Some(sum.plus(p.worst_case_embed(texts)?))
            })
    }

    /// The first answer.
    ///
    /// # Errors
    /// [`LlmError::Invalid`] when the request is wrong, [`LlmError::Unavailable`] when every
    /// provider was asked and none answered.
    pub async fn complete(&self, request: &Request) -> Result<Response, LlmError> {
        request.check()?;
        let mut refusals = Refusals::default();
        for provider in self.serving(request.class) {
            match provider.complete(request).await {
                Ok(response) => return Ok(response),
                Err(error) => refusals.add(provider.id(), error)?,
            }
        }
        Err(refusals.into_error(request.class))
    }

    /// One vector per text, in order, from the first provider that answers.
    ///
    /// # Errors
    /// As of [`Chain::complete`].
    pub async fn embed(&self, texts: &[String]) -> Result<Embeddings, LlmError> {
        if texts.is_empty() {
            return Err(LlmError::Invalid("texts: expected at least one".to_owned()));
        }
        let mut refusals = Refusals::default();
        for provider in self.serving(ModelClass::Embed) {
            match provider.embed(texts).await {
                Ok(embeddings) => return Ok(embeddings),
                Err(error) => refusals.add(provider.id(), error)?,
            }
        }
        Err(refusals.into_error(ModelClass::Embed))
    }

    fn serving(&self, class: ModelClass) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.providers.iter().filter(move |p| p.serves(class))
    }
}

/// What the providers said that did not answer.
#[derive(Default)]
struct Refusals {
    reasons: Vec<String>,
    retry_after: Option<Duration>,
}

impl Refusals {
    /// Remembers an outage; what no provider can answer ends the chain.
    fn add(&mut self, provider: &str, error: LlmError) -> Result<(), LlmError> {
        let LlmError::Unavailable {
            reason,
            retry_after,
        } = error
        else {
            return Err(error);
        };
        tracing::warn!(provider, reason, "a model provider does not answer");
        self.reasons.push(format!("{provider}: {reason}"));
        self.retry_after = match (self.retry_after, retry_after) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Ok(())
    }

    fn into_error(self, class: ModelClass) -> LlmError {
        let reason = if self.reasons.is_empty() {
            format!("no provider is configured for the model class `{class:?}`").to_lowercase()
        } else {
            self.reasons.join("; ")
        };
        LlmError::Unavailable {
            reason,
            retry_after: self.retry_after,
        }
    }
}
