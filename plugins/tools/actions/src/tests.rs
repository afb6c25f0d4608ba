//! What is asked of the environment, and that the table agrees with the tools and the manifest.

use crate::*;
use mandate_sdk::prelude::*;
use mandate_sdk::serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;

const MANIFEST: &str = include_str!("../plugin.toml");

/// A host whose environment notes what it is asked.
fn host() -> (FakeHost, Rc<RefCell<Vec<Value>>>) {
    let fake = FakeHost::for_plugin(MANIFEST);
    let asked = Rc::new(RefCell::new(Vec::new()));
    let notes = asked.clone();
    fake.tool("simulator.apply", move |arguments| {
        notes.borrow_mut().push(arguments);
        Ok(json!({"simulated": true, "done": true, "message": "restarted", "undo": null}))
    });
    (fake, asked)
}

#[test]
fn an_action_is_one_call_of_the_environment() {
    let (fake, asked) = host();
    let on = json!({"service": "search", "reason": "memory grows"});
    let done = fake.call_json::<Restart>(&on).unwrap();
    assert_eq!(
        done,
        json!({"done": true, "message": "restarted", "undo": null})
    );
    fake.call_json::<ClearCache>(&on).unwrap();
    fake.call_json::<RollBack>(&on).unwrap();
    fake.call_json::<FailOver>(&on).unwrap();
    let scale = json!({"service": "search", "replicas": 4, "reason": "full"});
    fake.call_json::<Scale>(&scale).unwrap();
    let asked = asked.borrow();
    let actions: Vec<&str> = asked
        .iter()
        .map(|asked| asked["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["restart", "clear-cache", "roll-back", "fail-over", "scale"]
    );
    assert_eq!(
        asked[0],
        json!({"action": "restart", "service": "search", "reason": "memory grows"})
    );
    assert_eq!(asked[4]["replicas"], 4);
}

#[test]
fn what_the_environment_refuses_is_told() {
    let fake = FakeHost::for_plugin(MANIFEST);
    fake.tool("simulator.apply", |_| {
        Err(Error::failed("no simulated environment is running"))
    });
    let on = json!({"service": "search", "reason": "memory grows"});
    let refused = fake.call_json::<Restart>(&on).unwrap_err();
    assert!(refused.to_string().contains("no simulated environment"));
    assert!(fake.call_json::<Restart>(&json!({"service": "a"})).is_err());
    let denied = FakeHost::denying().call_json::<Restart>(&on).unwrap_err();
    assert!(matches!(denied, Error::Denied { .. }));
}

#[test]
fn every_action_is_in_the_catalog_and_costs_what_the_runbooks_expect() {
    let listed = catalog::entries();
    for name in [
        Restart::NAME,
        ClearCache::NAME,
        Scale::NAME,
        RollBack::NAME,
        FailOver::NAME,
    ] {
        let entry = listed
            .iter()
            .find(|entry| entry.tool == format!("actions.{name}"))
            .unwrap();
        assert!(MANIFEST.contains(&format!("name = \"{name}\"")));
        let costly = name == FailOver::NAME;
        assert_eq!(entry.cost_micro_usd > 100_000_000, costly, "{name}");
        assert!(entry.undo.is_some());
    }
    let told = FakeHost::denying()
        .call_json::<Catalog>(&json!({}))
        .unwrap();
    assert_eq!(told["actions"].as_array().unwrap().len(), 5);
}
