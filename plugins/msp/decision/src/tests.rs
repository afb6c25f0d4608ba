//! The best option is ordered with its figures, and a refusal is an answer.

use crate::*;
use mandate_sdk::serde_json::{from_value, json};

fn choice(reference: &str, cost: i64, gain: i64, confidence: f64) -> Value {
    json!({"reference": reference, "supplier": "acme", "item": "disk", "quantity": 1,
        "unit_price_micro_usd": cost, "gain_micro_usd": gain, "risk": "low",
        "confidence": confidence, "why": "The old ones fail."})
}

fn fake() -> FakeHost {
    let fake = FakeHost::for_plugin(include_str!("../plugin.toml"));
    fake.tool(PLACE, |order| {
        Ok(json!({"reference": order["reference"], "cost_micro_usd": 1, "status": "placed"}))
    });
    fake
}

fn decide(fake: &FakeHost, options: &[Value]) -> Output {
    let input = json!({"question": "New disks?", "options": options});
    from_value(fake.run_json::<DecisionAgent>(&input).unwrap()).unwrap()
}

#[test]
fn what_leaves_most_over_is_ordered_with_its_figures() {
    for cost in [
        1_999_990_000,
        2_000_000_000,
        9_999_990_000,
        10_000_000_000_i64,
    ] {
        let fake = fake();
        let options = [
            choice("SMALL", 1_000_000, 2_000_000, 1.0),
            choice("BIG", cost, cost * 4, 0.5),
        ];
        let output = decide(&fake, &options);
        assert_eq!(
            (output.end, output.chosen.as_deref()),
            (End::Ordered, Some("BIG"))
        );
        assert_eq!(output.options[0].roi, Some(1.0));
        let acts = fake.acts();
        let (tool, order, reasons) = &acts[0];
        assert_eq!((tool.as_str(), &order["reference"]), (PLACE, &json!("BIG")));
        assert_eq!((reasons.cost, reasons.gain), (Some(cost), Some(cost * 2)));
        assert_eq!(reasons.confidence, Some(0.5));
    }
}

#[test]
fn what_is_not_worth_its_cost_is_left() {
    let fake = fake();
    let options = [
        choice("LOSS", 5_000_000, 4_000_000, 1.0),
        choice("HARDLY", 5_000_000, 5_900_000, 1.0),
        choice("UNSURE", 5_000_000, 20_000_000, 0.2),
    ];
    let output = decide(&fake, &options);
    assert_eq!((output.end, output.chosen), (End::NotWorth, None));
    assert!(fake.acts().is_empty());
    assert_eq!(output.options.len(), 3);
}

#[test]
fn a_refusal_is_an_answer_and_a_failure_is_none() {
    let fake = fake();
    fake.tool(PLACE, |_| {
        Err(Error::Denied {
            capability: "effects".into(),
            reason: "no purchases in December".into(),
        })
    });
    let output = decide(&fake, &[choice("A", 1, 9, 1.0)]);
    assert_eq!(output.end, End::Refused);
    assert!(output.reason.contains("no purchases in December"));
    fake.tool(PLACE, |_| Err(Error::failed("the supplier is closed")));
    let input = json!({"question": "x", "options": [choice("A", 1, 9, 1.0)]});
    assert!(fake.run_json::<DecisionAgent>(&input).is_err());
}
