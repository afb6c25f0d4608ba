//! The tools as the host calls them, and that the schemas are those of the code.

use crate::model::environment::Environment;
use crate::records::FaultRecord;
use crate::*;
use mandate_sdk::prelude::*;
use mandate_sdk::schemars::schema_for;
use mandate_sdk::serde_json::{self, Value, json};

/// The schema files are derived from the types: `UPDATE=1 cargo test` writes them.
#[test]
fn the_schemas_are_those_of_the_code() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas");
    for (file, schema) in [
        ("environment.json", schema_for!(Environment)),
        ("fault.json", schema_for!(FaultRecord)),
    ] {
        let path = format!("{folder}/{file}");
        let wanted = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            wanted,
            "{file} differs: run the tests with UPDATE=1"
        );
    }
}
