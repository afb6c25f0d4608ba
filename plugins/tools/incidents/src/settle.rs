//! Letting go of alerts that were held open: each payload does it, and where none comes, whoever watches the time.

use crate::intake;
use mandate_sdk::prelude::*;

/// Nothing needs to be said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// How many alerts were let go.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Settled {
    /// Alerts that do not flap any more.
    pub settled: usize,
}

/// Lets go of alerts that flapped and are quiet.
pub struct Settle;

impl Tool for Settle {
    const NAME: &'static str = "settle";
    const SUMMARY: &'static str = "Lets go of alerts that were held open because they flapped, once they have been quiet for five minutes.";
    type Arguments = Nothing;
    type Result = Settled;

    fn call(_: Nothing, _: &Context, host: &Host) -> Result<Settled, Error> {
        let now = incident_contract::time(host.now());
        Ok(Settled {
            settled: intake::settle(host, now)?,
        })
    }
}
