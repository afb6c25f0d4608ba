//! Reading one runbook or lesson.

use crate::lesson::{self, Lesson};
use crate::seeds;
use incident_contract::runbook::{COLLECTION, Runbook};
use mandate_sdk::prelude::*;

/// Which one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadArguments {
    /// `RB-…` or `LSN-…`.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
}

/// The one or the other.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// If it is a runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<Runbook>,
    /// If it is a lesson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<Lesson>,
}

/// Reads a runbook or a lesson.
pub struct Read;

impl Tool for Read {
    const NAME: &'static str = "read";
    const SUMMARY: &'static str = "One runbook or lesson, by the id that a search gave.";
    type Arguments = ReadArguments;
    type Result = Entry;

    fn call(ReadArguments { id }: ReadArguments, _: &Context, host: &Host) -> Result<Entry, Error> {
        if id.starts_with("LSN-") {
            let lesson = host.records::<Lesson>(lesson::COLLECTION).get(&id)?;
            return Ok(Entry {
                id,
                runbook: None,
                lesson: Some(lesson.body),
            });
        }
        seeds::sow(host)?;
        let runbook = host.records::<Runbook>(COLLECTION).get(&id)?;
        Ok(Entry {
            id,
            runbook: Some(runbook.body),
            lesson: None,
        })
    }
}
