//! Lets time pass: telemetry from the last tick until now, alerts, and trouble that comes by itself.

use crate::model::alerts;
use crate::model::environment::{Alert, Environment, TICK};
use crate::model::tick::{Tick, tick};
use crate::records::{self, MAIN, clear_fault, environments, write_fault};
use crate::{feed, notify};
use incident_contract::{Time, micros, time};
use mandate_sdk::prelude::*;
use mandate_sdk::records::Record;

/// After a pause at most so many ticks are made up for; what was before stays a gap, as it would in life.
const CATCH_UP: u64 = 12;

/// The arguments of `advance`: none.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdvanceArguments {}

/// What became of the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There is none: it was never started.
    Absent,
    /// It is stopped.
    Stopped,
    /// It runs, and time passed.
    Running,
    /// It runs, and it is too early for a tick.
    Early,
    /// It runs, and somebody else was quicker with this tick.
    Taken,
}

/// The result of `advance`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Advanced {
    /// Always true.
    pub simulated: bool,
    /// How it is.
    pub state: State,
    /// How many ticks passed.
    pub ticks: usize,
    /// Until when there is telemetry.
    pub until: Option<Time>,
    /// How many alerts fire.
    pub alerts_firing: usize,
    /// How many faults there are.
    pub faults: usize,
    /// What did not work, if anything did not.
    pub problems: Vec<String>,
}

impl Advanced {
    fn nothing(state: State) -> Self {
        Self {
            simulated: true,
            state,
            ticks: 0,
            until: None,
            alerts_firing: 0,
            faults: 0,
            problems: Vec::new(),
        }
    }
}

/// Lets time pass.
pub struct Advance;

impl Tool for Advance {
    const NAME: &'static str = "advance";
    const SUMMARY: &'static str =
        "Makes the simulated environment's telemetry from the last tick until now, and its alerts.";
    type Arguments = AdvanceArguments;
    type Result = Advanced;

    fn call(_: AdvanceArguments, _: &Context, host: &Host) -> Result<Advanced, Error> {
        let mut record = match environments(host).get(MAIN) {
            Ok(record) => record,
            Err(error) if error.is_not_found() => return Ok(Advanced::nothing(State::Absent)),
            Err(error) => return Err(error),
        };
        if !record.body.running {
            return Ok(Advanced::nothing(State::Stopped));
        }
        let now = host.now();
        let ticks = pass(&mut record.body, now, &mut || records::fresh_id(host));
        let Some(last) = ticks.last() else {
            return Ok(Advanced::nothing(State::Early));
        };
        let at = last.at;
        let telling = alerts::to_tell(&record.body, at);
        // What is told below counts as told; if it is not, that is put right afterwards.
        alerts::told(&mut record.body, &telling, Some(at));
        // First the record: of two at once, one goes on.
        let record = match environments(host).update(&record) {
            Err(error) if error.is_conflict() => return Ok(Advanced::nothing(State::Taken)),
            updated => updated?,
        };
        let mut problems = write_faults(host, &ticks);
        let told = feed::tell(host, &ticks);
        let delivered = notify::deliver(host, &telling);
        problems.extend(settle(host, &record, &telling, told, delivered)?);
        Ok(Advanced {
            simulated: true,
            state: State::Running,
            ticks: ticks.len(),
            until: Some(at),
            alerts_firing: record.body.alerts.iter().filter(|a| a.firing).count(),
            faults: record.body.faults.len(),
            problems,
        })
    }
}

/// The ticks that are due.
fn pass(environment: &mut Environment, now: u64, fresh: &mut dyn FnMut() -> String) -> Vec<Tick> {
    let due = now.saturating_sub(micros(environment.last_tick)) / TICK;
    if due > CATCH_UP {
        environment.last_tick = time(micros(environment.last_tick) + (due - CATCH_UP) * TICK);
    }
    (0..due.min(CATCH_UP))
        .map(|_| tick(environment, fresh))
        .collect()
}

/// Faults that began and ended. The environment goes on if they cannot be written down.
fn write_faults(host: &Host, ticks: &[Tick]) -> Vec<String> {
    let mut problems = Vec::new();
    for tick in ticks {
        let began = tick.began.iter().map(|fault| {
            write_fault(host, fault, "trouble")?;
            records::forget_old_faults(host, tick.at)
        });
        let ended = tick
            .ended
            .iter()
            .map(|ended| clear_fault(host, &ended.id, tick.at, ended.by, None));
        let failed = began.chain(ended).filter_map(Result::err);
        problems.extend(failed.map(|error| format!("a fault is not written down: {error}")));
    }
    problems
}

/// Keeps what could not be told, and says so in the log when that begins and when it is over.
fn settle(
    host: &Host,
    record: &Record<Environment>,
    telling: &[Alert],
    told: Result<(), Error>,
    delivered: Result<(), Error>,
) -> Result<Vec<String>, Error> {
    let telemetry = told.err().map(|error| error.to_string());
    let delivery = match (delivered.err(), telling.is_empty()) {
        (Some(error), _) => Some(error.to_string()),
        // Nobody was asked: it is as it was.
        (None, true) => record.body.delivery_problem.clone(),
        (None, false) => None,
    };
    let changes = [
        (
            "telemetry cannot be written",
            &record.body.telemetry_problem,
            &telemetry,
        ),
        (
            "alerts cannot be delivered",
            &record.body.delivery_problem,
            &delivery,
        ),
    ];
    for (what, before, after) in changes {
        match (before, after) {
            (None, Some(why)) => host.warn(format!("{what}: {why}")),
            (Some(_), None) => host.info(format!("no longer true: {what}")),
            _ => {}
        }
    }
    let lost = delivery.is_some() && !telling.is_empty();
    let changed =
        telemetry != record.body.telemetry_problem || delivery != record.body.delivery_problem;
    if lost || changed {
        environments(host).change(MAIN, |environment| {
            environment.telemetry_problem.clone_from(&telemetry);
            environment.delivery_problem.clone_from(&delivery);
            if lost {
                alerts::told(environment, telling, None);
            }
        })?;
    }
    Ok(telemetry.into_iter().chain(delivery).collect())
}
