//! What the operator says that calls of tools cost.

use crate::document::Tariff;
use crate::facts::Facts;
use crate::grant::matches;
use mandate_types::MicroUsd;
use serde_json::Value;

/// What the tariffs of a policy say of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tariffs {
    /// The largest that fits; none if none does.
    pub cost: Option<MicroUsd>,
    /// Whether the tool's own estimates count without it.
    pub trust_estimates: bool,
    /// Why one that fits could not be computed. Then nobody knows the cost.
    pub failed: Option<String>,
}

/// What `tariffs` say of a call.
pub fn of(tariffs: &[Tariff], facts: &Facts) -> Tariffs {
    let mut said = Tariffs::default();
    for tariff in tariffs {
        if !matches(std::slice::from_ref(&tariff.tool), &facts.tool) {
            continue;
        }
        said.trust_estimates |= tariff.trust_estimates;
        match amount(tariff, &facts.arguments) {
            Ok(cost) => said.cost = said.cost.max(cost),
            Err(why) => said.failed = said.failed.max(Some(why)),
        }
    }
    said
}

fn amount(tariff: &Tariff, arguments: &Value) -> Result<Option<MicroUsd>, String> {
    let (Some(each), Some(pointer)) = (tariff.per_unit, &tariff.units) else {
        return Ok(tariff.fixed);
    };
    let units = arguments.pointer(pointer).and_then(count).ok_or_else(|| {
        format!(
            "its tariff needs a number, or a list, at `{pointer}` of the arguments, and there is none"
        )
    })?;
    let of_units = match units {
        Units::Whole(units) => i128::from(each.0).saturating_mul(i128::from(units)),
        // A part of a unit costs a part of its price, rounded up.
        Units::Part(units) => (each.0 as f64 * units).ceil() as i128,
    };
    let whole = of_units.saturating_add(i128::from(tariff.fixed.unwrap_or_default().0));
    Ok(Some(MicroUsd(i64::try_from(whole).unwrap_or(i64::MAX))))
}

enum Units {
    Whole(u64),
    Part(f64),
}

fn count(value: &Value) -> Option<Units> {
    match value {
        Value::Array(items) => Some(Units::Whole(items.len() as u64)),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(units), _) => Some(Units::Whole(units)),
            (None, Some(units)) if units >= 0.0 && units.is_finite() => Some(Units::Part(units)),
            _ => None,
        },
        _ => None,
    }
}
