//! The runbooks that come with this plugin. They are written for a tenant when they are first looked for, and are the
//! operator's from then on: what he changes stays, and what he removes stays away.

use incident_contract::Time;
use incident_contract::runbook::{COLLECTION, Runbook};
use mandate_sdk::prelude::*;

/// The collection that remembers that it was done.
const DONE: &str = "knowledge_seeds";

macro_rules! seeds {
    ($($slug:literal),+ $(,)?) => {
        /// Slug and body.
        pub const SEEDS: &[(&str, &str)] =
            &[$(($slug, include_str!(concat!("../seeds/", $slug, ".json")))),+];
    };
}

seeds!(
    "bad-deployment",
    "cache-trouble",
    "configuration",
    "cpu",
    "dependency-loss",
    "errors",
    "latency",
    "leak",
    "saturation",
);

/// Which runbooks were written for a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Seeded {
    /// Their slugs.
    pub slugs: Vec<String>,
    /// When.
    pub at: Time,
}

/// The id of a runbook that comes with this plugin.
pub fn id_of(slug: &str) -> String {
    format!("RB-{slug}")
}

/// Writes the runbooks that were never written for this tenant.
///
/// # Errors
/// What the host says.
pub fn sow(host: &Host) -> Result<(), Error> {
    let done = host.records::<Seeded>(DONE);
    let id = "SEED-runbooks";
    let known = match done.get(id) {
        Ok(record) => Some(record),
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    let slugs: &[String] = known.as_ref().map_or(&[], |record| &record.body.slugs);
    let new: Vec<&(&str, &str)> = SEEDS
        .iter()
        .filter(|(slug, _)| !slugs.iter().any(|known| known == slug))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let runbooks = host.records::<Runbook>(COLLECTION);
    for (slug, text) in &new {
        let body: Runbook = mandate_sdk::serde_json::from_str(text)?;
        match runbooks.create_as(&id_of(slug), &body) {
            // Somebody else sows too, or wrote one of that name.
            Ok(_) | Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    // Last: whoever breaks off before that begins again.
    let at = incident_contract::time(host.now());
    let all = slugs
        .iter()
        .cloned()
        .chain(new.iter().map(|(slug, _)| (*slug).to_owned()))
        .collect();
    let body = Seeded { slugs: all, at };
    let written = match known {
        None => done.create_as(id, &body),
        Some(record) => done.update(&Record { body, ..record }),
    };
    match written {
        Ok(_) | Err(Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
