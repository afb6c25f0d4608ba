//! The port behind which every model stands, simulated or real: one attempt each.

use crate::fault::Fault;
use crate::wire::{Answer, Vectors};
use crate::{ModelClass, Price, Request};

/// Takes each piece of text as it comes.
pub type Heard<'a> = &'a mut (dyn for<'piece> FnMut(&'piece str) + Send);

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

    /// Whether it runs on the operator's own machines, so that nothing leaves them.
    fn is_local(&self) -> bool {
        self.is_simulated()
    }

    /// Whether its model of this class is told again what it said beside its answers.
    fn hears_thoughts(&self, _class: ModelClass) -> bool {
        false
    }

    /// Whether it is told the schema of `request` otherwise than in words.
    fn is_held_to_schema(&self, _request: &Request) -> bool {
        false
    }

    /// Answers once. The request has passed [`Request::check`].
    ///
    /// # Errors
    /// [`Fault`]
    async fn complete(&self, request: &Request) -> Result<Answer, Fault>;

    /// Answers once, and says each piece of the text as it comes; tool calls come whole, at the
    /// end. Who cannot do that says all of it at once.
    ///
    /// # Errors
    /// [`Fault`]
    async fn stream(&self, request: &Request, heard: Heard<'_>) -> Result<Answer, Fault> {
        let answer = self.complete(request).await?;
        heard(&answer.message.text);
        Ok(answer)
    }

    /// One vector per text, in order.
    ///
    /// # Errors
    /// [`Fault`]
    async fn embed(&self, texts: &[String]) -> Result<Vectors, Fault>;
}
