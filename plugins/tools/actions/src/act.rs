//! The actions: each is one call of the simulated environment.

use mandate_sdk::prelude::*;

/// What acts.
const APPLY: &str = "simulator.apply";

/// What the simulated environment is asked for.
#[derive(Serialize)]
struct Asked<'a> {
    action: &'a str,
    service: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<u32>,
    reason: &'a str,
}

/// The result of an action.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// False: it was not possible, and nothing happened.
    pub done: bool,
    /// What happened. Whether it helped is for the telemetry to tell.
    pub message: String,
    /// How it is undone; none when there is nothing to undo.
    #[serde(default)]
    pub undo: Option<String>,
}

/// To which service, and why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Its name, as in the topology.
    #[schemars(length(min = 1, max = 60))]
    pub service: String,
    /// Why, for the log.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

/// To which service, to what size, and why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleArguments {
    /// Its name, as in the topology.
    #[schemars(length(min = 1, max = 60))]
    pub service: String,
    /// How many replicas; twice as many as now if not said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 20))]
    pub replicas: Option<u32>,
    /// Why, for the log.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

fn ask(host: &Host, asked: &Asked<'_>) -> Result<Done, Error> {
    host.call_tool(APPLY, asked)
}

/// An action that needs to know no more than the service.
macro_rules! action {
    ($type:ident, $name:literal, $summary:literal) => {
        #[doc = $summary]
        pub struct $type;

        impl Tool for $type {
            const NAME: &'static str = $name;
            const SUMMARY: &'static str = $summary;
            type Arguments = Arguments;
            type Result = Done;

            fn call(arguments: Arguments, _: &Context, host: &Host) -> Result<Done, Error> {
                let Arguments { service, reason } = &arguments;
                ask(
                    host,
                    &Asked {
                        action: $name,
                        service,
                        replicas: None,
                        reason,
                    },
                )
            }
        }
    };
}

action!(
    Restart,
    "restart",
    "Restarts a service of the simulated environment, one replica after the other."
);
action!(
    ClearCache,
    "clear-cache",
    "Clears a cache of the simulated environment."
);
action!(
    RollBack,
    "roll-back",
    "Takes a service of the simulated environment back to the version and configuration before its last change."
);
action!(
    FailOver,
    "fail-over",
    "Lets a service of the simulated environment use the standby of what it depends on. Costly."
);

/// Gives a service more or fewer replicas.
pub struct Scale;

impl Tool for Scale {
    const NAME: &'static str = "scale";
    const SUMMARY: &'static str =
        "Gives a service of the simulated environment more or fewer replicas.";
    type Arguments = ScaleArguments;
    type Result = Done;

    fn call(arguments: ScaleArguments, _: &Context, host: &Host) -> Result<Done, Error> {
        let ScaleArguments {
            service,
            replicas,
            reason,
        } = &arguments;
        ask(
            host,
            &Asked {
                action: Self::NAME,
                service,
                replicas: *replicas,
                reason,
            },
        )
    }
}
