//! What the knowledge base says about a kind of fault at a component.

use crate::Target;
use incident_asking::text::line;
use incident_contract::FaultKind;
use incident_contract::incident::Incident;
use incident_contract::runbook::Runbook;
use mandate_sdk::prelude::*;

/// The tool.
const SEARCH: &str = "knowledge.search";
/// Runbooks that are followed.
const MOST: u32 = 3;
const LONGEST_QUERY: usize = 300;

#[derive(Serialize)]
struct Search {
    text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kinds: Vec<FaultKind>,
    component: String,
    limit: u32,
}

/// A runbook and its id.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// What it says.
    pub runbook: Runbook,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    runbooks: Vec<Entry>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The best first.
    pub runbooks: Vec<Entry>,
    /// Why nothing could be searched for, if so.
    pub failure: Option<String>,
}

/// The runbooks that fit: those for the kind of the fault, and for the component.
pub fn search(host: &Host, incident: &Incident, target: &Target) -> Found {
    let search = Search {
        text: line(&incident.title, LONGEST_QUERY),
        kinds: target.kind.into_iter().collect(),
        component: target.component.clone(),
        limit: MOST,
    };
    match host.call_tool::<Answer>(SEARCH, &search) {
        Ok(answer) => Found {
            runbooks: answer
                .runbooks
                .into_iter()
                .filter(|entry| applies(&entry.runbook, target))
                .take(MOST as usize)
                .collect(),
            failure: None,
        },
        Err(error) => {
            host.warn(format!("the runbooks could not be searched: {error}"));
            Found {
                runbooks: Vec::new(),
                failure: Some(error.to_string()),
            }
        }
    }
}

/// Whether a runbook is meant for this: similar words alone are no reason to act.
fn applies(runbook: &Runbook, target: &Target) -> bool {
    let kind = target.kind.is_none_or(|kind| runbook.kinds.contains(&kind));
    let name = target.component.to_lowercase();
    let component = runbook.components.is_empty()
        || runbook
            .components
            .iter()
            .any(|part| name.contains(&part.to_lowercase()));
    kind && component
}
