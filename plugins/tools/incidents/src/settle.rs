//! What time brings: alerts that were held open are let go once they are quiet, and those for which there were too many
//! incidents at once get theirs. Each payload does it too; where none comes, whoever watches the time calls this.

use crate::intake::{self, Taken};
use mandate_sdk::prelude::*;

/// Nothing needs to be said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What time brought.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Settled {
    /// Alerts that do not flap any more.
    pub settled: usize,
    /// Incidents that were opened for alerts that had none.
    pub opened: Vec<String>,
}

/// Lets go of alerts that flapped and are quiet, and gives incidents to those that have none.
pub struct Settle;

impl Tool for Settle {
    const NAME: &'static str = "settle";
    const SUMMARY: &'static str = "Lets go of alerts that flapped and have been quiet for five minutes, and opens incidents for alerts without one.";
    type Arguments = Nothing;
    type Result = Settled;

    fn call(_: Nothing, _: &Context, host: &Host) -> Result<Settled, Error> {
        let now = incident_contract::time(host.now());
        let settled = intake::settle(host, now)?;
        let taken = intake::take(host, "", Vec::new(), Taken::default())?;
        Ok(Settled {
            settled,
            opened: taken.opened,
        })
    }
}
