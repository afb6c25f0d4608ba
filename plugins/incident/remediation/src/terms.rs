//! What an action costs, how much can go wrong and how it is undone: the worse of what runbook and catalogue say.

use incident_contract::incident::Risk;
use mandate_sdk::prelude::*;

/// The tool that lists the actions.
const CATALOGUE: &str = "actions.catalog";

#[derive(Serialize)]
struct Nothing {}

/// What the catalogue says of an action.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Entry {
    /// The tool, as `actions.restart`.
    pub tool: String,
    /// Millionths of a US dollar; none when it is not known.
    #[serde(default)]
    pub cost_micro_usd: Option<i64>,
    /// How much can go wrong.
    pub risk: Risk,
    /// How it is undone; none when it cannot be.
    #[serde(default)]
    pub undo: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    actions: Vec<Entry>,
}

/// The actions that there are, or why that is not known.
pub type Catalogue = Result<Vec<Entry>, String>;

/// Asks for the catalogue.
pub fn catalogue(host: &Host) -> Catalogue {
    match host.call_tool::<Answer>(CATALOGUE, &Nothing {}) {
        Ok(answer) => Ok(answer.actions),
        Err(error) => {
            host.warn(format!(
                "the catalogue of actions could not be read: {error}"
            ));
            Err(error.to_string())
        }
    }
}

/// What doing a step means.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Millionths of a US dollar; none when it is not known.
    pub cost_micro_usd: Option<i64>,
    /// How much can go wrong.
    pub risk: Risk,
    /// How it is undone.
    pub undo: Option<String>,
}

impl Terms {
    /// The larger cost and the worse risk. A cost that the catalogue does not know is not known, whatever a runbook
    /// says: anybody may write a runbook.
    pub fn worse(runbook: Self, catalogue: Option<&Entry>) -> Self {
        let Some(entry) = catalogue else {
            return runbook;
        };
        Self {
            cost_micro_usd: entry
                .cost_micro_usd
                .map(|cost| cost.max(runbook.cost_micro_usd.unwrap_or(cost))),
            risk: runbook.risk.max(entry.risk),
            undo: runbook.undo.or_else(|| entry.undo.clone()),
        }
    }

    /// Why doing it needs a human; none if it is harmless.
    pub fn objection(&self, most_cost_micro_usd: i64) -> Option<String> {
        let Some(cost) = self.cost_micro_usd else {
            return Some("its cost is not known".to_owned());
        };
        if cost < 0 {
            return Some("its cost is said to be negative".to_owned());
        }
        if cost > most_cost_micro_usd {
            return Some(format!(
                "it costs {}, more than {}",
                dollars(cost),
                dollars(most_cost_micro_usd)
            ));
        }
        if self.risk == Risk::High {
            return Some("its risk is high".to_owned());
        }
        if self.undo.is_none() {
            return Some("nobody says how to undo it".to_owned());
        }
        None
    }
}

/// `$2,500.00`.
pub fn dollars(micro_usd: i64) -> String {
    let cents = micro_usd / 10_000;
    let digits = (cents / 100).abs().to_string();
    let mut whole = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            whole.push(',');
        }
        whole.push(digit);
    }
    format!(
        "{}${whole}.{:02}",
        if micro_usd < 0 { "-" } else { "" },
        (cents % 100).abs()
    )
}
