//! Lets time pass in the simulated environment: tools have no schedules of their own.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use mandate_sdk::prelude::*;
use mandate_sdk::serde_json::json;

/// The task's input: nothing is to be said.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Input {}

/// What the operator may fill in.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Settings {
    autostart: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { autostart: true }
    }
}

/// What `simulator.advance` tells of itself, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Advanced {
    state: String,
    ticks: u64,
    alerts_firing: u64,
    problems: Vec<String>,
}

impl Advanced {
    fn without_simulator(why: &Error) -> Self {
        Self {
            state: "not_installed".to_owned(),
            ticks: 0,
            alerts_firing: 0,
            problems: vec![why.to_string()],
        }
    }
}

/// What came of it.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Always true: nothing of the environment exists.
    pub simulated: bool,
    /// How the environment is: `absent`, `stopped`, `running`, `early`, `taken`; `started` if it was started now;
    /// `not_installed` if there is no plugin `simulator`.
    pub state: String,
    /// How many ticks passed.
    pub ticks: u64,
    /// How many alerts fire.
    pub alerts_firing: u64,
    /// What did not work, if anything did not.
    pub problems: Vec<String>,
}

/// The agent.
pub struct Clock;

impl Agent for Clock {
    type Input = Input;
    type Output = Output;
    const SUMMARY: &'static str =
        "Lets time pass in the simulated environment, and starts it when there is none yet.";

    fn run(task: Task<Input>, host: &Host) -> Result<Report<Output>, Error> {
        let settings: Settings = task.settings()?;
        let advanced: Advanced = match host.call_tool("simulator.advance", &json!({})) {
            // Not installed, or not yet: that is no failure every five seconds.
            Err(error) if error.is_not_found() => Advanced::without_simulator(&error),
            advanced => advanced?,
        };
        let mut output = Output {
            simulated: true,
            state: advanced.state,
            ticks: advanced.ticks,
            alerts_firing: advanced.alerts_firing,
            problems: advanced.problems,
        };
        if output.state == "absent" && settings.autostart {
            start(host)?;
            output.state = "started".to_owned();
        }
        let summary = format!(
            "The simulated environment is {}: {} ticks passed, {} alerts fire.",
            output.state.replace('_', " "),
            output.ticks,
            output.alerts_firing
        );
        Ok(Report::new(output, summary))
    }
}

/// Starts the environment; somebody else may have done so a moment ago.
fn start(host: &Host) -> Result<(), Error> {
    let trouble = json!({"trouble": true});
    match host.call_tool::<mandate_sdk::serde_json::Value>("simulator.start", &trouble) {
        Err(error) if error.is_conflict() => Ok(()),
        started => started.map(drop),
    }
}

mandate_sdk::agent!(Clock);

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_sdk::serde_json::Value;
    use std::cell::RefCell;
    use std::rc::Rc;

    const MANIFEST: &str = include_str!("../plugin.toml");

    fn host(state: &'static str) -> (FakeHost, Rc<RefCell<Vec<Value>>>) {
        let fake = FakeHost::for_plugin(MANIFEST);
        fake.tool("simulator.advance", move |_| {
            Ok(json!({"simulated": true, "state": state, "ticks": 1, "alerts_firing": 2, "problems": []}))
        });
        let starts = Rc::new(RefCell::new(Vec::new()));
        let notes = starts.clone();
        fake.tool("simulator.start", move |arguments| {
            notes.borrow_mut().push(arguments);
            Ok(json!({"started": true}))
        });
        (fake, starts)
    }

    #[test]
    fn time_passes_and_nothing_is_started_twice() {
        for state in ["running", "stopped", "early", "taken"] {
            let (fake, starts) = host(state);
            let report = fake.run::<Clock>(Task::new(Input {})).unwrap();
            assert_eq!(report.output.state, state);
            assert_eq!(report.output.alerts_firing, 2);
            assert!(starts.borrow().is_empty(), "{state}");
        }
    }

    #[test]
    fn where_nothing_was_started_yet_trouble_begins() {
        let (fake, starts) = host("absent");
        let report = fake.run::<Clock>(Task::new(Input {})).unwrap();
        assert_eq!(report.output.state, "started");
        assert_eq!(*starts.borrow(), [json!({"trouble": true})]);
        let quiet = Task::new(Input {})
            .with_settings(&json!({"autostart": false}))
            .unwrap();
        assert_eq!(fake.run::<Clock>(quiet).unwrap().output.state, "absent");
        assert_eq!(starts.borrow().len(), 1);
    }

    #[test]
    fn without_the_simulator_nothing_is_started_and_nothing_fails() {
        let fake = FakeHost::for_plugin(MANIFEST);
        fake.tool("simulator.advance", |_| {
            Err(Error::NotFound("simulator.advance".into()))
        });
        let report = fake.run::<Clock>(Task::new(Input {})).unwrap();
        assert_eq!(report.output.state, "not_installed");
        assert_eq!(report.output.problems.len(), 1);
        assert_eq!(fake.calls_of("invoke").len(), 1);
    }

    #[test]
    fn one_that_was_started_meanwhile_is_fine() {
        let (fake, _) = host("absent");
        fake.tool("simulator.start", |_| Err(Error::Conflict("taken".into())));
        assert!(fake.run::<Clock>(Task::new(Input {})).is_ok());
        let denied = FakeHost::denying().run::<Clock>(Task::new(Input {}));
        assert!(matches!(denied, Err(Error::Denied { .. })));
    }
}
