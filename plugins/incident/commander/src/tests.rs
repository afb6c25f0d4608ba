use super::*;
use mandate_sdk::serde_json::{Value, from_str, to_value};

#[test]
fn the_schema_of_leads_is_that_of_the_type() {
    let written: Value = from_str(include_str!("../schemas/lead.json")).unwrap();
    let derived = to_value(mandate_sdk::schemars::schema_for!(lead::Lead)).unwrap();
    assert_eq!(written, derived, "schemas/lead.json should be {derived:#}");
}
