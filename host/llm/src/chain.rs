//! The ordered providers: the first that answers, answers.

use crate::providers::Simulated;
use crate::{Embeddings, LlmError, ModelClass, Price, Provider, Request, Response};
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

    /// Only the simulated provider, as though it had these prices.
    pub fn simulated(price: Price) -> Self {
        Self::new(vec![Arc::new(Simulated::priced(price))])
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
    sent: bool,
}

impl Refusals {
    /// Remembers an outage; what no provider can answer ends the chain.
    fn add(&mut self, provider: &str, error: LlmError) -> Result<(), LlmError> {
        let LlmError::Unavailable {
            reason,
            retry_after,
            sent,
        } = error
        else {
            return Err(error);
        };
        tracing::warn!(provider, reason, "a model provider does not answer");
        self.reasons.push(format!("{provider}: {reason}"));
        self.sent |= sent;
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
            sent: self.sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Role, ToolChoice};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Answers every question with the same error.
    struct Down {
        error: LlmError,
        price: Option<MicroUsd>,
        asked: AtomicUsize,
    }

    impl Down {
        fn new(error: LlmError, price: Option<MicroUsd>) -> Arc<Self> {
            Arc::new(Self {
                error,
                price,
                asked: AtomicUsize::new(0),
            })
        }
    }

    #[async_trait::async_trait]
    impl Provider for Down {
        fn id(&self) -> &str {
            "down"
        }
        fn serves(&self, class: ModelClass) -> bool {
            class != ModelClass::Embed
        }
        fn worst_case(&self, _: &Request) -> Option<MicroUsd> {
            self.price
        }
        fn worst_case_embed(&self, _: &[String]) -> Option<MicroUsd> {
            self.price
        }
        async fn complete(&self, _: &Request) -> Result<Response, LlmError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Err(self.error.clone())
        }
        async fn embed(&self, _: &[String]) -> Result<Embeddings, LlmError> {
            Err(self.error.clone())
        }
    }

    fn outage(seconds: Option<u64>) -> LlmError {
        LlmError::Unavailable {
            reason: "busy".into(),
            retry_after: seconds.map(Duration::from_secs),
            sent: seconds == Some(3),
        }
    }

    fn request() -> Request {
        Request {
            class: ModelClass::Fast,
            messages: vec![Message::text(Role::User, "hi")],
            tools: vec![],
            tool_choice: ToolChoice::Auto,
            output_schema: None,
            max_output_tokens: 10,
            temperature: None,
            stop: vec![],
        }
    }

    #[tokio::test]
    async fn the_first_that_answers_answers() {
        let down = Down::new(outage(None), Some(MicroUsd(5)));
        let chain = Chain::new(vec![down.clone(), Arc::new(Simulated::default())]);
        assert_eq!(
            chain.complete(&request()).await.unwrap().provider,
            "simulated"
        );
        assert_eq!(down.asked.load(Ordering::Relaxed), 1);
        assert_eq!(chain.embed(&["a".into()]).await.unwrap().vectors.len(), 1);
    }

    #[tokio::test]
    async fn when_none_answers_every_reason_and_the_soonest_retry_are_told() {
        let chain = Chain::new(vec![
            Down::new(outage(Some(9)), None),
            Down::new(outage(Some(3)), None),
        ]);
        let error = chain.complete(&request()).await.unwrap_err();
        let reason = "down: busy; down: busy".to_owned();
        assert_eq!(
            error,
            LlmError::Unavailable {
                reason,
                retry_after: Some(Duration::from_secs(3)),
                // One of the two may have begun.
                sent: true,
            }
        );
        let none = chain.embed(&["a".into()]).await.unwrap_err().to_string();
        assert!(none.contains("`embed`"), "{none}");
        assert!(Chain::default().complete(&request()).await.is_err());
    }

    #[tokio::test]
    async fn a_wrong_request_goes_no_further() {
        let first = Down::new(LlmError::Invalid("no".into()), None);
        let chain = Chain::new(vec![first.clone(), Arc::new(Simulated::default())]);
        assert_eq!(
            chain.complete(&request()).await,
            Err(LlmError::Invalid("no".into()))
        );
        let wrong = Request {
            messages: vec![],
            ..request()
        };
        assert!(chain.complete(&wrong).await.is_err());
        assert_eq!(
            first.asked.load(Ordering::Relaxed),
            1,
            "the wrong request reached a provider"
        );
        assert!(chain.embed(&[]).await.is_err());
    }

    #[test]
    fn the_worst_case_counts_every_attempt() {
        let five = || Down::new(outage(None), Some(MicroUsd(5)));
        let chain = Chain::new(vec![five(), Arc::new(Simulated::default()), five()]);
        assert_eq!(chain.worst_case(&request()), Some(MicroUsd(10)));
        let unknown = Chain::new(vec![five(), Down::new(outage(None), None)]);
        assert_eq!(unknown.worst_case(&request()), None);
        // Providers without the class are not asked, and cost nothing.
        assert_eq!(
            unknown.worst_case_embed(&["a".into()]),
            Some(MicroUsd::ZERO)
        );
    }
}
