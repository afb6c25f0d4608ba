//! The port behind which every model stands, simulated or real.

use crate::{Embeddings, LlmError, ModelClass, Request, Response};
use mandate_types::MicroUsd;

/// Somebody who answers model calls.
#[async_trait::async_trait]
pub trait Provider: Send + Sync {
    /// The name in answers, settings and metrics.
    fn id(&self) -> &str;

    /// Whether it has a model of this class.
    fn serves(&self, class: ModelClass) -> bool;

    /// The most that this request could cost here; none when the price is not known, and then
    /// nobody may be asked who needs a reservation.
    fn worst_case(&self, request: &Request) -> Option<MicroUsd>;

    /// The most that embedding `texts` could cost here; none when the price is not known.
    fn worst_case_embed(&self, texts: &[String]) -> Option<MicroUsd>;

    /// Answers. The request has passed [`Request::check`].
    ///
    /// # Errors
    /// [`LlmError::Invalid`] when no provider could answer this, [`LlmError::Unavailable`] when
    /// another one might.
    async fn complete(&self, request: &Request) -> Result<Response, LlmError>;

    /// One vector per text, in order.
    ///
    /// # Errors
    /// As of [`Provider::complete`].
    async fn embed(&self, texts: &[String]) -> Result<Embeddings, LlmError>;
}
