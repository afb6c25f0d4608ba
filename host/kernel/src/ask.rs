//! A question of a client to a model, without a plugin: under the budgets, and on the bill.

use crate::kernel::Kernel;
use crate::money::CallMeter;
use crate::tree::Halted;
use mandate_llm::{LlmError, Request, Response};
use mandate_types::{DecisionStatus, TenantId};
use std::sync::Arc;

/// Why a client has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No such provider.
    #[error("there is no provider `{0}` in the chain")]
    NoProvider(String),
    /// No model answers, or the request is wrong.
    #[error(transparent)]
    Model(#[from] LlmError),
    /// The ledger cannot be written, or the tenant is halted.
    #[error(transparent)]
    Halted(#[from] Halted),
}

impl Kernel {
    /// Asks the chain, or only the provider of this name, for `tenant`.
    ///
    /// # Errors
    /// [`AskError`]
    pub async fn ask(
        self: &Arc<Self>,
        tenant: TenantId,
        provider: Option<&str>,
        request: &Request,
    ) -> Result<Response, AskError> {
        let models = match provider {
            None => self.models().clone(),
            Some(id) => {
                let only = self.models().only(id);
                only.ok_or_else(|| AskError::NoProvider(id.to_owned()))?
            }
        };
        let meter = CallMeter::of_client(self.clone(), tenant);
        let answered = models.complete(request, &meter.caller()).await;
        let status = match &answered {
            Ok(_) => DecisionStatus::Done,
            Err(_) => DecisionStatus::Failed,
        };
        meter.settle(status).await?;
        Ok(answered?)
    }
}
