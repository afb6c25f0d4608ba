//! Orders are placed once, cost what they say, and can be taken back.

use crate::*;
use mandate_sdk::serde_json::{Value, from_value, json};

fn fake() -> FakeHost {
    FakeHost::for_plugin(include_str!("../plugin.toml"))
}

fn wanted(reference: &str, quantity: u32, unit: i64) -> Value {
    json!({"reference": reference, "supplier": "acme", "item": "disk", "quantity": quantity,
        "unit_price_micro_usd": unit, "why": "the old ones fail"})
}

#[test]
fn an_order_costs_what_all_of_it_costs() {
    let estimate = |arguments: Value| fake().estimate::<Place>(from_value(arguments).unwrap());
    let told = estimate(wanted("a", 3, 666_663_334)).unwrap();
    assert_eq!(told.cost, 1_999_990_002);
    assert_eq!(told.why.as_deref(), Some("3 × $666.67"));
    assert_eq!(told.undo.as_deref(), Some("orders.cancel a"));
    assert!(estimate(wanted("a", u32::MAX, i64::MAX)).is_err());
    assert!(estimate(wanted("a", 1, -1)).is_err());
}

#[test]
fn the_same_reference_is_the_same_order() {
    let fake = fake();
    let first = fake
        .call_json::<Place>(&wanted("PO-7", 2, 5_000_000))
        .unwrap();
    assert_eq!(
        first,
        json!({"reference": "PO-7", "cost_micro_usd": 10_000_000, "status": "placed"})
    );
    let again = fake
        .call_json::<Place>(&wanted("PO-7", 2, 5_000_000))
        .unwrap();
    assert_eq!(again, first);
    assert_eq!(fake.records::<Order>(COLLECTION).len(), 1);
    let other = fake.call_json::<Place>(&wanted("PO-7", 3, 5_000_000));
    assert!(other.is_err_and(|error| error.is_conflict()));
}

#[test]
fn an_order_is_taken_back_once_and_stays_so() {
    let fake = fake();
    fake.call_json::<Place>(&wanted("PO-8", 1, 5_000_000))
        .unwrap();
    for _ in 0..2 {
        let cancelled = fake
            .call_json::<Cancel>(&json!({"reference": "PO-8"}))
            .unwrap();
        assert_eq!(cancelled["status"], "cancelled");
    }
    let again = fake
        .call_json::<Place>(&wanted("PO-8", 1, 5_000_000))
        .unwrap();
    assert_eq!(again["status"], "cancelled", "it is not placed again");
    let unknown = fake.call_json::<Cancel>(&json!({"reference": "PO-9"}));
    assert!(unknown.is_err_and(|error| error.is_not_found()));
}
