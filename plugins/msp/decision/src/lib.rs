//! An agent that makes business decisions: it weighs what each option is expected to bring against what it costs and
//! risks, and orders the best. How much of that it may do alone is for policy to say; what it may not, a human decides,
//! with the figures before him.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod weigh;

use mandate_sdk::prelude::*;
use mandate_sdk::serde_json::Value;
use weigh::{Weighed, best, dollars};

/// The tool that orders.
const PLACE: &str = "orders.place";

/// What is to be decided.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What it is about, in a line.
    #[schemars(length(min = 1, max = 200))]
    pub question: String,
    /// What could be done. Doing nothing is always possible too.
    #[schemars(length(min = 1, max = 20))]
    pub options: Vec<Choice>,
}

/// How much can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Danger {
    /// Hardly anything.
    Low,
    /// Something, for some.
    Medium,
    /// Much, or for many.
    High,
}

/// One thing that could be bought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The name of the order, should it be placed.
    #[schemars(length(min = 1, max = 100))]
    pub reference: String,
    /// From whom.
    #[schemars(length(min = 1, max = 100))]
    pub supplier: String,
    /// What.
    #[schemars(length(min = 1, max = 200))]
    pub item: String,
    /// How many.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub quantity: u32,
    /// What one costs, in millionths of a US dollar.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub unit_price_micro_usd: i64,
    /// What it brings if all goes well, in millionths of a US dollar.
    pub gain_micro_usd: i64,
    /// How much can go wrong.
    pub risk: Danger,
    /// How sure it is that it brings that, 0–1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub confidence: f64,
    /// What speaks for it.
    #[schemars(length(min = 1, max = 1_000))]
    pub why: String,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The best option was ordered.
    Ordered,
    /// Policy or a human said no to it.
    Refused,
    /// No option is worth its cost.
    NotWorth,
}

/// What was decided.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// How it ended.
    pub end: End,
    /// Why, in one line.
    pub reason: String,
    /// The option that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// All options, the best first.
    pub options: Vec<Weighed>,
}

/// What the operator may fill in.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
struct Terms {
    least_roi: f64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { least_roi: 0.2 }
    }
}

#[derive(Serialize)]
struct Order<'a> {
    reference: &'a str,
    supplier: &'a str,
    item: &'a str,
    quantity: u32,
    unit_price_micro_usd: i64,
    why: &'a str,
}

/// The agent.
pub struct DecisionAgent;

impl Agent for DecisionAgent {
    type Input = Input;
    type Output = Output;
    const SUMMARY: &'static str =
        "Chooses among purchases by what they bring for their cost and risk, and orders the best.";

    fn run(task: Task<Input>, host: &Host) -> Result<Report<Output>, Error> {
        let terms: Terms = task.settings()?;
        let Input { question, options } = &task.input;
        let weighed = weigh::all(options)?;
        let Some((choice, of)) = best(options, &weighed, terms.least_roi) else {
            let reason = format!(
                "No option returns {:.0} % of its cost.",
                terms.least_roi * 100.0
            );
            return Ok(report(End::NotWorth, reason, None, weighed));
        };
        let (end, reason) = order(host, question, choice, of)?;
        let chosen = Some(choice.reference.clone());
        Ok(report(end, reason, chosen, weighed))
    }
}

mandate_sdk::agent!(DecisionAgent);

fn order(
    host: &Host,
    question: &str,
    choice: &Choice,
    weighed: &Weighed,
) -> Result<(End, String), Error> {
    let order = Order {
        reference: &choice.reference,
        supplier: &choice.supplier,
        item: &choice.item,
        quantity: choice.quantity,
        unit_price_micro_usd: choice.unit_price_micro_usd,
        why: &choice.why,
    };
    let reasons = Reasons::because(format!("{question} {}", choice.why))
        .costing(weighed.cost_micro_usd)
        .gaining(weighed.expected_gain_micro_usd)
        .with_confidence(choice.confidence)
        .with_risk(match choice.risk {
            Danger::Low => Risk::Low,
            Danger::Medium => Risk::Medium,
            Danger::High => Risk::High,
        });
    let what = format!(
        "{} × {} for {}",
        choice.quantity,
        choice.item,
        dollars(weighed.cost_micro_usd)
    );
    match host.act::<Value>(PLACE, &order, &reasons) {
        Ok(_) => Ok((End::Ordered, format!("Ordered {what}."))),
        Err(error @ (Error::Denied { .. } | Error::BudgetExhausted { .. })) => {
            Ok((End::Refused, format!("{what}: {error}.")))
        }
        Err(error) => Err(error),
    }
}

fn report(
    end: End,
    reason: String,
    chosen: Option<String>,
    options: Vec<Weighed>,
) -> Report<Output> {
    let quality = if end == End::Refused { 0.6 } else { 0.9 };
    let output = Output {
        end,
        reason: reason.clone(),
        chosen,
        options,
    };
    Report::new(output, reason).with_quality(quality)
}

#[cfg(test)]
mod tests;
