//! Adding runbooks of one's own.

use incident_contract::runbook::{COLLECTION, Runbook};
use mandate_sdk::prelude::*;

/// Steps of one runbook.
const MOST_STEPS: usize = 20;
/// How often a change is tried again when somebody else was quicker.
const ATTEMPTS: u32 = 5;

/// A runbook.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddArguments {
    /// `RB-…`, to write that one, new or again; one is made up if not said.
    #[serde(default)]
    #[schemars(regex(pattern = "^RB-[A-Za-z0-9-]{1,60}$"))]
    pub id: Option<String>,
    /// What it says.
    pub runbook: Runbook,
}

/// Where it is.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Added {
    /// Its id in `runbooks`.
    pub id: String,
    /// False: one of that id was there, and was replaced.
    pub new: bool,
}

/// Adds a runbook.
pub struct AddRunbook;

impl Tool for AddRunbook {
    const NAME: &'static str = "add-runbook";
    const SUMMARY: &'static str = "Adds a runbook, or replaces the one with the given id.";
    type Arguments = AddArguments;
    type Result = Added;

    fn call(given: AddArguments, _: &Context, host: &Host) -> Result<Added, Error> {
        check(&given.runbook)?;
        let runbooks = host.records::<Runbook>(COLLECTION);
        let id = match given.id {
            Some(id) => id,
            // Derived from what it says, so that saying it twice makes one.
            None => format!("RB-{:016x}", digest(&given.runbook)?),
        };
        let mut attempt = 1;
        loop {
            let tried = match runbooks.create_as(&id, &given.runbook) {
                Err(Error::Conflict(_)) => {
                    let record = runbooks.get(&id)?;
                    if record.body == given.runbook {
                        return Ok(Added { id, new: false });
                    }
                    let body = given.runbook.clone();
                    runbooks.update(&Record { body, ..record })
                }
                made => made,
            };
            match tried {
                Err(Error::Conflict(_) | Error::NotFound(_)) if attempt < ATTEMPTS => attempt += 1,
                written => {
                    let new = written?.version == 1;
                    return Ok(Added { id, new });
                }
            }
        }
    }
}

fn check(runbook: &Runbook) -> Result<(), Error> {
    if runbook.title.trim().is_empty() || runbook.text.trim().is_empty() {
        return Err(Error::invalid(
            "/runbook: expected a title and a text that say something",
        ));
    }
    if runbook.kinds.is_empty() {
        return Err(Error::invalid(
            "/runbook/kinds: expected at least one kind of fault: without one it is never followed",
        ));
    }
    if runbook.steps.len() > MOST_STEPS {
        return Err(Error::invalid(format!(
            "/runbook/steps: expected at most {MOST_STEPS} steps, not {}",
            runbook.steps.len()
        )));
    }
    for (index, step) in runbook.steps.iter().enumerate() {
        let named = step
            .tool
            .split_once('.')
            .is_some_and(|(plugin, tool)| !plugin.is_empty() && !tool.is_empty());
        if !named {
            return Err(Error::invalid(format!(
                "/runbook/steps/{index}/tool: `{}` names no tool; expected one such as `actions.restart`",
                step.tool.chars().take(80).collect::<String>()
            )));
        }
        if step.cost_micro_usd.is_some_and(|cost| cost < 0) {
            return Err(Error::invalid(format!(
                "/runbook/steps/{index}/cost_micro_usd: expected 0 or more"
            )));
        }
    }
    Ok(())
}

/// FNV-1a over its JSON: whoever may write runbooks needs no two that meet.
fn digest(runbook: &Runbook) -> Result<u64, Error> {
    let text = mandate_sdk::serde_json::to_string(runbook)?;
    Ok(text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}
