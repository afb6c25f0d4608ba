//! The schemas that are shipped are those of the types.

use crate::alert::Alert;
use crate::guard::Guard;
use crate::subscription::Subscription;
use incident_contract::incident::Incident;
use mandate_sdk::schemars::{JsonSchema, schema_for};
use serde_json::{Value, json, to_value};

/// Compares a file with what the type says; writes it when `UPDATE=1`.
fn same<T: JsonSchema>(file: &str) {
    let path = format!("{}/schemas/{file}", env!("CARGO_MANIFEST_DIR"));
    let derived = to_value(schema_for!(T)).unwrap();
    if std::env::var("UPDATE").is_ok_and(|yes| yes == "1") {
        std::fs::write(&path, format!("{derived:#}\n")).unwrap();
    }
    let written: Value = std::fs::read_to_string(&path)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or(json!(null));
    assert_eq!(
        written, derived,
        "{path}: run the tests with UPDATE=1 and look at the difference"
    );
}

#[test]
fn the_schemas_of_records_are_those_of_the_types() {
    same::<Incident>("incident.json");
    same::<Alert>("alert.json");
    same::<Guard>("guard.json");
    same::<Subscription>("subscription.json");
}
