//! What an effect costs, out of what several parties say of it, and what it is worth.

use mandate_types::MicroUsd;
use serde::{Deserialize, Serialize};

/// What is said of a cost, by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// By who asks. It can only make the cost greater.
    pub claimed: Option<MicroUsd>,
    /// By the tool, for these arguments.
    pub estimate: Estimate,
    /// By the operator: the fixed cost of the manifest that was accepted with the grant. The
    /// tariffs of the policy come on top when it judges.
    pub tariff: Option<MicroUsd>,
}

/// What a tool says that a call will cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimate {
    /// It does not estimate.
    #[default]
    None,
    /// It should have, and could not; why.
    Failed(String),
    /// So much.
    Known(MicroUsd),
}

/// Why nobody can say what something costs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCost {
    /// Only who asks says something, or nobody.
    #[error("nobody but who asks says what it costs")]
    Unsaid,
    /// There is an estimate, and nothing of the operator to hold it against.
    #[error("the tool estimates its cost, and no tariff confirms it")]
    Unconfirmed,
    /// The tool could not estimate.
    #[error("the tool could not estimate its cost: {0}")]
    Failed(String),
    /// A tariff of the operator does not fit the arguments.
    #[error("{0}")]
    Tariff(String),
    /// Somebody says less than nothing.
    #[error("{0} of its cost is below zero")]
    Negative(&'static str),
}

impl Cost {
    /// The largest of what is said, if the operator has a part in it.
    pub fn worst(&self) -> Option<MicroUsd> {
        self.judged(false).ok()
    }

    /// The largest of everything that is said, whoever says it: what to reserve at least.
    pub fn largest_said(&self) -> Option<MicroUsd> {
        let said = [self.claimed, self.estimate.known(), self.tariff];
        said.into_iter()
            .flatten()
            .filter(|cost| *cost >= MicroUsd::ZERO)
            .max()
    }

    /// The same cost with one more tariff of the operator's.
    #[must_use]
    pub fn with_tariff(&self, tariff: Option<MicroUsd>) -> Self {
        Self {
            tariff: self.tariff.max(tariff),
            ..self.clone()
        }
    }

    /// The cost that a verdict is given on: the largest of what is said. An estimate needs a
    /// tariff beside it, unless the operator trusts those of the tool.
    ///
    /// # Errors
    /// [`UnknownCost`]: then it is treated as above every threshold.
    pub fn judged(&self, trust_estimates: bool) -> Result<MicroUsd, UnknownCost> {
        for (who, cost) in [
            ("the claim", self.claimed),
            ("the estimate", self.estimate.known()),
            ("the tariff", self.tariff),
        ] {
            if cost.is_some_and(|cost| cost < MicroUsd::ZERO) {
                return Err(UnknownCost::Negative(who));
            }
        }
        match (&self.estimate, self.tariff) {
            (Estimate::Failed(why), _) => Err(UnknownCost::Failed(why.clone())),
            (Estimate::Known(_), None) if !trust_estimates => Err(UnknownCost::Unconfirmed),
            (Estimate::None, None) => Err(UnknownCost::Unsaid),
            _ => self.largest_said().ok_or(UnknownCost::Unsaid),
        }
    }
}

impl Estimate {
    /// The amount, if there is one.
    pub fn known(&self) -> Option<MicroUsd> {
        match self {
            Self::Known(cost) => Some(*cost),
            Self::None | Self::Failed(_) => None,
        }
    }
}

/// The return on a cost: (gain − cost) / cost. 0.5 means that each dollar comes back with fifty
/// cents on top, −1 that nothing comes back. None where gain or cost is not known, or the cost is
/// nothing: a ratio to nothing says nothing.
pub fn roi(gain: Option<MicroUsd>, cost: Option<MicroUsd>) -> Option<f64> {
    let (gain, cost) = (gain?, cost?);
    if cost <= MicroUsd::ZERO {
        return None;
    }
    let net = i128::from(gain.0) - i128::from(cost.0);
    Some(net as f64 / cost.0 as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(dollars: i64) -> Option<MicroUsd> {
        Some(MicroUsd::dollars(dollars))
    }

    fn known(dollars: i64) -> Estimate {
        Estimate::Known(MicroUsd::dollars(dollars))
    }

    #[test]
    fn the_largest_counts_and_a_claim_only_adds() {
        let cost = |claimed, estimate, tariff| Cost {
            claimed,
            estimate,
            tariff,
        };
        assert_eq!(cost(usd(5), known(7), usd(6)).worst(), usd(7));
        assert_eq!(cost(usd(9), known(7), usd(6)).worst(), usd(9));
        assert_eq!(cost(usd(1), Estimate::None, usd(6)).worst(), usd(6));
        assert_eq!(cost(usd(1), Estimate::None, None).worst(), None);
        assert_eq!(cost(None, known(7), None).worst(), None);
        let confirmed = cost(None, known(7), None).judged(true);
        assert_eq!(confirmed.ok(), usd(7));
        let failed = cost(usd(1), Estimate::Failed("trap".into()), usd(1));
        assert!(failed.judged(true).is_err());
        assert_eq!(failed.largest_said(), usd(1));
    }

    #[test]
    fn less_than_nothing_is_not_known() {
        let cost = Cost {
            claimed: usd(-1),
            estimate: Estimate::None,
            tariff: usd(5),
        };
        assert_eq!(cost.judged(true), Err(UnknownCost::Negative("the claim")));
        assert_eq!(cost.largest_said(), usd(5));
        assert_eq!(cost.with_tariff(usd(8)).tariff, usd(8));
        assert_eq!(cost.with_tariff(None).tariff, usd(5));
    }

    #[test]
    fn a_return_is_a_ratio_to_a_known_cost() {
        assert_eq!(roi(usd(150), usd(100)), Some(0.5));
        assert_eq!(roi(usd(0), usd(100)), Some(-1.0));
        assert_eq!(roi(usd(5), usd(0)), None);
        assert_eq!(roi(None, usd(5)), None);
        assert_eq!(roi(usd(5), None), None);
        let ends = roi(Some(MicroUsd(i64::MIN)), Some(MicroUsd(i64::MAX)));
        assert!(ends.is_some_and(f64::is_finite));
    }
}
