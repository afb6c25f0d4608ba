//! What a call of a tool would cost, as the tool itself says: asked before the call is judged, in
//! a sandbox from which nothing can come.

use crate::catalogue::Active;
use crate::kernel::Kernel;
use mandate_runtime::CallError;
use mandate_runtime::bindings::types::types::Error;
use mandate_types::MicroUsd;
use serde_json::Value;

/// The most memory that an estimate may use, in bytes.
const MOST_MEMORY: u64 = 64 << 20;
/// The most characters of a line for people.
const MOST_LINE: usize = 500;

/// What a tool says of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimated {
    /// What it would cost; never below zero.
    pub cost: MicroUsd,
    /// How it is undone, in a line.
    pub undo: Option<String>,
    /// What the cost is made of, in a line.
    pub why: Option<String>,
}

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
pub enum EstimateError {
    /// The plugin has no such export.
    #[error("the plugin estimates nothing")]
    None,
    /// The guest ended without an answer.
    #[error("the estimate ended without an answer: {0}")]
    Ended(#[from] CallError),
    /// The guest says that it cannot.
    #[error("the tool cannot estimate this call: {0}")]
    Refused(String),
    /// Nothing has such a cost.
    #[error("the tool estimates {0}, which is less than nothing")]
    Negative(MicroUsd),
}

impl Kernel {
    /// Asks the tool `name` of `active` what a call with `arguments` would cost.
    ///
    /// # Errors
    /// [`EstimateError`]; the cost is unknown then.
    pub async fn estimate(
        &self,
        active: &Active,
        name: &str,
        arguments: &Value,
    ) -> Result<Estimated, EstimateError> {
        let told = self
            .runtime()
            .estimate(
                &active.loaded.component,
                active.grant().limits.memory_bytes.min(MOST_MEMORY),
                name.to_owned(),
                arguments.to_string(),
                active.installation.settings.to_string(),
            )
            .await?
            .ok_or(EstimateError::None)?;
        let told = told.map_err(|error| EstimateError::Refused(words(error)))?;
        if told.cost < 0 {
            return Err(EstimateError::Negative(MicroUsd(told.cost)));
        }
        Ok(Estimated {
            cost: MicroUsd(told.cost),
            undo: told.undo.as_deref().and_then(line),
            why: told.why.as_deref().and_then(line),
        })
    }
}

/// One line that people can read, whatever a guest wrote.
fn line(text: &str) -> Option<String> {
    let shown: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST_LINE)
        .collect();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}

fn words(error: Error) -> String {
    let text = match error {
        Error::Denied(denial) => denial.reason,
        Error::Unavailable(outage) => outage.reason,
        Error::Failed(failure) => failure.message,
        Error::BudgetExhausted(_) => "the budget is exhausted".to_owned(),
        Error::Invalid(text)
        | Error::NotFound(text)
        | Error::Conflict(text)
        | Error::Interrupted(text) => text,
    };
    line(&text).unwrap_or_else(|| "it does not say why".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_writes_is_one_line() {
        assert_eq!(line("a\nb\u{1b}[1m"), Some("a b [1m".to_owned()));
        assert_eq!(line(" \n"), None);
        assert_eq!(line(&"ü".repeat(900)).unwrap().chars().count(), MOST_LINE);
    }
}
