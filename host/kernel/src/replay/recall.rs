//! The seam of a replay: what is recorded is answered, and whoever asks anything else is ended
//! with both sides told. Nothing behind the seam is reached.

use crate::capability::Capability;
use crate::guest::{Guest, Told};
use crate::seam::{Begun, decode};
use mandate_runtime::End;
use mandate_store::Step;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One call of the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Asked {
    /// `mandate:records/records`, …
    pub interface: String,
    /// `create`, `complete`, …
    pub function: String,
    /// What was asked.
    pub arguments: Value,
}

impl From<&Step> for Asked {
    fn from(step: &Step) -> Self {
        Self {
            interface: step.interface.clone(),
            function: step.function.clone(),
            arguments: step.arguments.clone(),
        }
    }
}

/// Where a guest that is replayed left what is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Departure {
    /// The number of its call.
    pub sequence: u64,
    /// The place within an `invoke-many`; 0 elsewhere.
    pub index: u32,
    /// What is recorded there, or next.
    pub recorded: Option<Asked>,
    /// What it asked.
    pub asked: Asked,
    /// It asked what is recorded, and no answer is.
    pub unanswered: bool,
}

impl Guest {
    /// Answers one call of a replay.
    ///
    /// # Errors
    /// The trap that ends the instance where nothing is recorded to answer with.
    pub(crate) fn recall<C: Capability>(
        &mut self,
        sequence: u64,
        index: u32,
        arguments: Value,
    ) -> Told<Begun<C>> {
        let asked = Asked {
            interface: C::INTERFACE.to_owned(),
            function: C::FUNCTION.to_owned(),
            arguments,
        };
        // A step before this one that was not asked for is where the ways part.
        let passed = self
            .journal
            .left()
            .is_some_and(|left| (left.sequence, left.index) < (sequence, index));
        let recorded = if passed {
            self.journal.left().cloned()
        } else {
            self.journal.recorded(sequence, index)
        };
        let same = !passed && recorded.as_ref().map(Asked::from).as_ref() == Some(&asked);
        match recorded {
            Some(Step {
                answer: Some(answer),
                answered_at,
                at,
                ..
            }) if same => {
                self.count_answer(&answer)?;
                self.journal.answered_at(answered_at.unwrap_or(at));
                let decoded = decode(answer).map_err(|error| self.broken(&error))?;
                Ok(Begun::Answered(decoded))
            }
            recorded => {
                self.journal.depart(Departure {
                    sequence,
                    index,
                    recorded: recorded.as_ref().map(Asked::from),
                    asked,
                    unanswered: same,
                });
                let reason = "a replay answers only what is recorded".to_owned();
                Err(self.end(End::Stopped(reason)))
            }
        }
    }
}
