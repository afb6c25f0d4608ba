//! What a caller says for an effect that it wants to have. It is journalled with the call, and
//! shown to whoever judges it; it never loosens a verdict.

use mandate_runtime::bindings::invoke::invoke as wit;
use mandate_runtime::bindings::types::types::Error;
use mandate_types::{MicroUsd, Risk};
use serde::Serialize;

/// The most bytes of why.
const MOST_WHY: usize = 4_000;
/// The most bytes of how it is undone.
const MOST_UNDO: usize = 500;

/// What speaks for an effect and against it, as the caller says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reasons {
    /// For people.
    pub why: String,
    /// What it will cost.
    pub cost: Option<MicroUsd>,
    /// What it is expected to bring.
    pub gain: Option<MicroUsd>,
    /// How risky it is.
    pub risk: Option<Risk>,
    /// Whether it can be undone.
    pub reversible: Option<bool>,
    /// How sure the caller is, 0–1.
    pub confidence: Option<f64>,
    /// How it is undone.
    pub undo: Option<String>,
}

impl Reasons {
    /// Whether they can be judged.
    ///
    /// # Errors
    /// `invalid`, which names the field and what was expected.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |field: &str, expected: &str| {
            Err(Error::Invalid(format!("reasons.{field}: {expected}")))
        };
        if self.why.trim().is_empty() || self.why.len() > MOST_WHY {
            return wrong("why", &format!("expected 1–{MOST_WHY} bytes for people"));
        }
        if self.cost.is_some_and(|cost| cost < MicroUsd::ZERO) {
            return wrong("cost", "expected micro-dollars, 0 or more");
        }
        if self
            .confidence
            .is_some_and(|sure| !(0.0..=1.0).contains(&sure))
        {
            return wrong("confidence", "expected a number from 0 to 1");
        }
        let undo = self.undo.as_deref().unwrap_or_default();
        if undo.len() > MOST_UNDO || undo.contains(['\n', '\r']) {
            return wrong(
                "undo",
                &format!("expected one line of at most {MOST_UNDO} bytes"),
            );
        }
        Ok(())
    }
}

impl From<wit::Reasons> for Reasons {
    fn from(reasons: wit::Reasons) -> Self {
        Self {
            why: reasons.why,
            cost: reasons.cost.map(MicroUsd),
            gain: reasons.gain.map(MicroUsd),
            risk: reasons.risk.map(|risk| match risk {
                wit::Risk::Low => Risk::Low,
                wit::Risk::Medium => Risk::Medium,
                wit::Risk::High => Risk::High,
            }),
            reversible: reasons.reversible,
            confidence: reasons.confidence,
            undo: reasons.undo,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons() -> Reasons {
        Reasons {
            why: "the queue is full".to_owned(),
            ..Reasons::default()
        }
    }

    #[test]
    fn only_what_can_be_judged_is_taken() {
        let full = Reasons {
            cost: Some(MicroUsd::ZERO),
            gain: Some(MicroUsd(-1)),
            risk: Some(Risk::High),
            confidence: Some(1.0),
            undo: Some("scale back to 2".to_owned()),
            ..reasons()
        };
        assert!(reasons().check().is_ok() && full.check().is_ok());
        let wrong = [
            Reasons {
                why: " ".to_owned(),
                ..reasons()
            },
            Reasons {
                why: "x".repeat(MOST_WHY + 1),
                ..reasons()
            },
            Reasons {
                cost: Some(MicroUsd(-1)),
                ..reasons()
            },
            Reasons {
                confidence: Some(1.01),
                ..reasons()
            },
            Reasons {
                confidence: Some(f64::NAN),
                ..reasons()
            },
            Reasons {
                confidence: Some(-0.1),
                ..reasons()
            },
            Reasons {
                undo: Some("a\nb".to_owned()),
                ..reasons()
            },
            Reasons {
                undo: Some("x".repeat(MOST_UNDO + 1)),
                ..reasons()
            },
        ];
        for reasons in wrong {
            assert!(reasons.check().is_err(), "{reasons:?}");
        }
    }
}
