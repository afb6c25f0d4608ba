//! The port behind which every model stands, simulated or real: one attempt each.

use crate::fault::Fault;
use crate::wire::{Answer, Vectors};
use crate::{ModelClass, Price, Request};

/// Somebody who answers model calls.
#[async_trait::async_trait]
pub trait Provider: Send + Sync {
    /// The name in answers, settings and metrics.
    fn id(&self) -> &str;

    /// Its model of this class, if it has one.
    fn model(&self, class: ModelClass) -> Option<&str>;

    /// What that model costs; none when nobody knows, and then nobody may be asked who needs a
    /// reservation.
    fn price(&self, class: ModelClass) -> Option<Price>;

    /// Whether no model is asked, and the host plays its part.
    fn is_simulated(&self) -> bool {
        false
    }

    /// Answers once. The request has passed [`Request::check`].
    ///
    /// # Errors
    /// [`Fault`]
    async fn complete(&self, request: &Request) -> Result<Answer, Fault>;

    /// One vector per text, in order.
    ///
    /// # Errors
    /// [`Fault`]
    async fn embed(&self, texts: &[String]) -> Result<Vectors, Fault>;
}
