//! Purchase orders. They are records of the host; a supplier's system would stand where the record is written. Who
//! orders names each order: the same reference again is the same order.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use mandate_sdk::prelude::*;

const COLLECTION: &str = "purchase_orders";
/// Millionths of a US dollar in a cent.
const CENT: i64 = 10_000;
/// How often a change is tried when others are quicker.
const ATTEMPTS: u32 = 4;

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The supplier has it.
    Placed,
    /// It was taken back.
    Cancelled,
}

/// An order, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// From whom.
    pub supplier: String,
    /// What.
    pub item: String,
    /// How many.
    pub quantity: u32,
    /// What one costs, in millionths of a US dollar.
    pub unit_price_micro_usd: i64,
    /// What all of them cost.
    pub cost_micro_usd: i64,
    /// What it is for.
    pub why: String,
    /// Where it stands.
    pub status: Status,
}

/// What is ordered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The name of this order, and the id of its record.
    #[schemars(
        length(min = 1, max = 100),
        regex(pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    )]
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
    /// What it is for.
    #[schemars(length(min = 1, max = 1_000))]
    pub why: String,
}

impl Wanted {
    fn cost(&self) -> Result<i64, Error> {
        i64::from(self.quantity)
            .checked_mul(self.unit_price_micro_usd)
            .filter(|cost| *cost >= 0)
            .ok_or_else(|| Error::invalid("quantity × unit_price_micro_usd: is too much"))
    }
}

/// What came of it.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Placed {
    /// The name of the order.
    pub reference: String,
    /// What it costs, in millionths of a US dollar.
    pub cost_micro_usd: i64,
    /// Where it stands.
    pub status: Status,
}

/// Places an order.
pub struct Place;

impl Tool for Place {
    const NAME: &'static str = "place";
    const SUMMARY: &'static str = "Orders something from a supplier.";
    type Arguments = Wanted;
    type Result = Placed;

    fn call(wanted: Wanted, _: &Context, host: &Host) -> Result<Placed, Error> {
        let order = Order {
            cost_micro_usd: wanted.cost()?,
            supplier: wanted.supplier,
            item: wanted.item,
            quantity: wanted.quantity,
            unit_price_micro_usd: wanted.unit_price_micro_usd,
            why: wanted.why,
            status: Status::Placed,
        };
        let orders = host.records::<Order>(COLLECTION);
        let kept = match orders.create_as(&wanted.reference, &order) {
            Err(Error::Conflict(_)) => {
                let kept = orders.get(&wanted.reference)?;
                let again = Order {
                    status: kept.body.status,
                    ..order
                };
                if kept.body != again {
                    return Err(Error::Conflict(format!(
                        "`{}` is the reference of another order",
                        wanted.reference
                    )));
                }
                kept
            }
            created => created?,
        };
        Ok(placed(kept))
    }
}

impl Estimates for Place {
    fn estimate(wanted: Wanted, _: Settings<'_>) -> Result<Estimate, Error> {
        let text = format!(
            "{} × {}",
            wanted.quantity,
            dollars(wanted.unit_price_micro_usd)
        );
        Ok(Estimate::of(wanted.cost()?)
            .because(text)
            .undone_by(format!("orders.cancel {}", wanted.reference)))
    }
}

/// Which order is taken back, and why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancelled {
    /// The name of the order.
    #[schemars(length(min = 1, max = 100))]
    pub reference: String,
}

/// Takes an order back.
pub struct Cancel;

impl Tool for Cancel {
    const NAME: &'static str = "cancel";
    const SUMMARY: &'static str = "Takes an order back.";
    type Arguments = Cancelled;
    type Result = Placed;

    fn call(cancelled: Cancelled, _: &Context, host: &Host) -> Result<Placed, Error> {
        let orders = host.records::<Order>(COLLECTION);
        let mut attempt = 1;
        loop {
            let mut order = orders.get(&cancelled.reference)?;
            if order.body.status == Status::Cancelled {
                return Ok(placed(order));
            }
            order.body.status = Status::Cancelled;
            match orders.update(&order) {
                Err(Error::Conflict(_)) if attempt < ATTEMPTS => attempt += 1,
                updated => return updated.map(placed),
            }
        }
    }
}

fn placed(order: Record<Order>) -> Placed {
    Placed {
        reference: order.id,
        cost_micro_usd: order.body.cost_micro_usd,
        status: order.body.status,
    }
}

/// `$1999.99`, rounded up to the cent.
fn dollars(micro_usd: i64) -> String {
    let cents = micro_usd.div_euclid(CENT) + i64::from(micro_usd.rem_euclid(CENT) > 0);
    format!("${}.{:02}", cents / 100, cents % 100)
}

mandate_sdk::tools!(Place, Cancel);
mandate_sdk::estimates!(Place);

#[cfg(test)]
mod tests;
