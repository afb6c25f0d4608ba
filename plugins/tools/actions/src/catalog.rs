//! What the actions cost and risk, in one table.

use incident_contract::incident::Risk;
use mandate_sdk::prelude::*;

/// Millionths of a US dollar in a dollar.
const DOLLAR: i64 = 1_000_000;

/// What is to be known of an action before it is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The tool, as `actions.restart`.
    pub tool: String,
    /// What it does.
    pub text: String,
    /// Millionths of a US dollar: once, or for a day of each replica more than usual.
    pub cost_micro_usd: i64,
    /// What the cost is for.
    pub cost_is_for: String,
    /// How much can go wrong.
    pub risk: Risk,
    /// How it is undone; none when it cannot be, which is harmless where nothing is lost.
    pub undo: Option<String>,
}

/// All actions, the cheapest and least risky first.
pub fn entries() -> Vec<Entry> {
    let entry = |name: &str, text: &str, dollars: i64, cost_is_for: &str, risk, undo: &str| Entry {
        tool: format!("actions.{name}"),
        text: text.to_owned(),
        cost_micro_usd: dollars * DOLLAR,
        cost_is_for: cost_is_for.to_owned(),
        risk,
        undo: Some(undo.to_owned()),
    };
    vec![
        entry(
            "clear-cache",
            "Forgets what a cache keeps. Until it is filled again, what stands behind it works more.",
            0,
            "nothing",
            Risk::Low,
            "the cache fills again by itself",
        ),
        entry(
            "restart",
            "Restarts all replicas of a service, one after the other.",
            0,
            "nothing",
            Risk::Low,
            "nothing to undo: the service runs as before",
        ),
        entry(
            "scale",
            "Gives a service more or fewer replicas, 1–20.",
            6,
            "a day of each replica more",
            Risk::Low,
            "scale back to the number of replicas from before",
        ),
        entry(
            "roll-back",
            "Goes back to the version and configuration before the last change.",
            0,
            "nothing",
            Risk::Medium,
            "deploy the newer version again",
        ),
        entry(
            "fail-over",
            "Uses the standby of what a service depends on and nobody here runs.",
            2_500,
            "the standby contract, once",
            Risk::Medium,
            "fail over again, to the first one",
        ),
    ]
}

/// The arguments of `catalog`: none.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogArguments {}

/// The result of `catalog`.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entries {
    /// The cheapest and least risky first.
    pub actions: Vec<Entry>,
}

/// Tells what there is.
pub struct Catalog;

impl Tool for Catalog {
    const NAME: &'static str = "catalog";
    const SUMMARY: &'static str =
        "Lists the actions with what they cost, what they risk, and how they are undone.";
    type Arguments = CatalogArguments;
    type Result = Entries;

    fn call(_: CatalogArguments, _: &Context, _: &Host) -> Result<Entries, Error> {
        Ok(Entries { actions: entries() })
    }
}
