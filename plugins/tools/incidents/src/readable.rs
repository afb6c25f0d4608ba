//! Records as they are found: clients write them too, and one that somebody spoiled must not stop the others.

use incident_contract::Time;
use incident_contract::incident::Status;
use mandate_sdk::prelude::*;
use mandate_sdk::serde::de::DeserializeOwned;
use mandate_sdk::serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A body, or none if it is not one.
#[derive(Clone, Debug, PartialEq)]
pub struct Readable<T>(pub Option<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Readable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(serde_json::from_value(value).ok()))
    }
}

/// The record with its body, if that can be read.
pub fn whole<T>(record: Record<Readable<T>>) -> Option<Record<T>> {
    let Record {
        id,
        version,
        body,
        created_at,
        updated_at,
    } = record;
    Some(Record {
        id,
        version,
        body: body.0?,
        created_at,
        updated_at,
    })
}

/// As much of an incident as grouping needs, whatever else is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    /// Where it stands; one that nobody looked at has none.
    pub status: Status,
    /// What it affects.
    pub affected_services: Vec<String>,
    /// When it was resolved.
    pub resolved_at: Option<Time>,
    /// When a human was called for it.
    pub escalated_at: Option<Time>,
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Value::deserialize(deserializer)?;
        let services = body.get("affected_services").and_then(Value::as_array);
        Ok(Self {
            status: part(&body, "status").unwrap_or_default(),
            affected_services: services
                .into_iter()
                .flatten()
                .filter_map(|service| service.as_str().map(str::to_owned))
                .collect(),
            resolved_at: part(&body, "resolved_at"),
            escalated_at: body.get("escalation").and_then(|of| part(of, "at")),
        })
    }
}

fn part<T: DeserializeOwned>(body: &Value, name: &str) -> Option<T> {
    serde_json::from_value(body.get(name)?.clone()).ok()
}
