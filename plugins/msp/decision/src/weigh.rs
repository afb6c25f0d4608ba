//! What an option is worth: its expected gain, and the return on its cost.

use crate::Choice;
use mandate_sdk::prelude::*;

/// Millionths of a US dollar in a cent.
const CENT: i64 = 10_000;

/// An option with what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Weighed {
    /// The name of its order.
    pub reference: String,
    /// What it costs, in millionths of a US dollar.
    pub cost_micro_usd: i64,
    /// What it brings, times how sure that is.
    pub expected_gain_micro_usd: i64,
    /// (expected gain − cost) / cost; none when it costs nothing.
    pub roi: Option<f64>,
}

impl Weighed {
    fn of(choice: &Choice) -> Result<Self, Error> {
        let cost = i64::from(choice.quantity)
            .checked_mul(choice.unit_price_micro_usd)
            .ok_or_else(|| {
                Error::invalid(format!("options: `{}` costs too much", choice.reference))
            })?;
        let gain = choice.gain_micro_usd as f64 * choice.confidence;
        Ok(Self {
            reference: choice.reference.clone(),
            cost_micro_usd: cost,
            expected_gain_micro_usd: gain as i64,
            roi: (cost > 0).then(|| (gain - cost as f64) / cost as f64),
        })
    }

    /// Left over once it is paid.
    fn surplus(&self) -> i64 {
        self.expected_gain_micro_usd
            .saturating_sub(self.cost_micro_usd)
    }
}

/// All options, the one with the greatest surplus first.
///
/// # Errors
/// [`Error::Invalid`] when nobody can count what one costs.
pub fn all(options: &[Choice]) -> Result<Vec<Weighed>, Error> {
    let mut weighed: Vec<Weighed> = options.iter().map(Weighed::of).collect::<Result<_, _>>()?;
    weighed.sort_by(|a, b| {
        b.surplus()
            .cmp(&a.surplus())
            .then_with(|| a.reference.cmp(&b.reference))
    });
    Ok(weighed)
}

/// The first that leaves something over and returns enough.
pub fn best<'a>(
    options: &'a [Choice],
    weighed: &'a [Weighed],
    least_roi: f64,
) -> Option<(&'a Choice, &'a Weighed)> {
    let enough = |of: &&Weighed| of.surplus() > 0 && of.roi.is_none_or(|roi| roi >= least_roi);
    let of = weighed.iter().find(enough)?;
    let choice = options
        .iter()
        .find(|choice| choice.reference == of.reference)?;
    Some((choice, of))
}

/// `$1999.99`, rounded up to the cent.
pub fn dollars(micro_usd: i64) -> String {
    let cents = micro_usd.div_euclid(CENT) + i64::from(micro_usd.rem_euclid(CENT) > 0);
    format!("${}.{:02}", cents / 100, cents % 100)
}
