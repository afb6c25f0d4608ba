//! What a tool's manifest says of its calls, as the operator accepted it: what was not accepted
//! does not count.

use mandate_types::{Effects, MicroUsd, money::dollars};
use serde::de::{Error, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What a call of a tool costs. In files: dollars as a number or text, or `"estimate"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolCost {
    /// The same for every call.
    Fixed(MicroUsd),
    /// The tool estimates each call by its arguments.
    Estimate,
}

const ESTIMATE: &str = "estimate";

impl Serialize for ToolCost {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(cost) => dollars::serialize(cost, to),
            Self::Estimate => to.serialize_str(ESTIMATE),
        }
    }
}

impl<'de> Deserialize<'de> for ToolCost {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(CostVisitor)
    }
}

struct CostVisitor;

impl Visitor<'_> for CostVisitor {
    type Value = ToolCost;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dollars, such as 2500 or \"1999.99\", or \"estimate\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ToolCost, E> {
        if text == ESTIMATE {
            return Ok(ToolCost::Estimate);
        }
        fixed(text.into_deserializer())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<ToolCost, E> {
        fixed(number.into_deserializer())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ToolCost, E> {
        fixed(number.into_deserializer())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<ToolCost, E> {
        fixed(number.into_deserializer())
    }
}

fn fixed<'de, D: Deserializer<'de>>(from: D) -> Result<ToolCost, D::Error> {
    dollars::deserialize(from).map(ToolCost::Fixed)
}

/// What an operator accepted of a tool's manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolTerms {
    /// The gravest class of effects that calls of this tool may have.
    pub effects: Effects,
    /// Whether calling twice with the same key has one effect.
    #[serde(default)]
    pub idempotent: bool,
    /// What a call costs: dollars, or `estimate` where the tool says it for each. A tool with
    /// effects and without a cost here costs an unknown amount: a human is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "1999.99")]
    pub cost: Option<ToolCost>,
}

impl ToolTerms {
    /// Whether calls have effects on the outside world, so that each needs a decision.
    pub fn is_external(&self) -> bool {
        self.effects > Effects::Internal
    }

    /// Whether what a call does can be undone.
    pub fn is_reversible(&self) -> bool {
        self.effects < Effects::Irreversible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_dollars_or_an_estimate() {
        let read = |text: &str| serde_json::from_str::<ToolCost>(text);
        let two_and_a_half = ToolCost::Fixed(MicroUsd(2_500_000));
        assert_eq!(read("2.5").unwrap(), two_and_a_half);
        assert_eq!(read("\"$2.50\"").unwrap(), two_and_a_half);
        assert_eq!(read("\"estimate\"").unwrap(), ToolCost::Estimate);
        assert_eq!(serde_json::to_string(&two_and_a_half).unwrap(), "\"2.50\"");
        for wrong in ["-1", "\"estimated\"", "1e18", "{}", "\"NaN\""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn terms_without_a_cost_read_as_before() {
        let terms: ToolTerms = serde_json::from_str(r#"{"effects": "reversible"}"#).unwrap();
        assert!(terms.cost.is_none() && terms.is_external() && terms.is_reversible());
        let json = serde_json::to_string(&terms).unwrap();
        assert_eq!(json, r#"{"effects":"reversible","idempotent":false}"#);
    }
}
