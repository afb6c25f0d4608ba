//! Starting and stopping the environment.

use crate::feed;
use crate::model::environment::{Environment, TICK};
use crate::model::tick::{FIRST, tick_to};
use crate::records::{MAIN, clear_fault, environments};
use incident_contract::{Time, micros, time};
use mandate_sdk::prelude::*;

/// History that is made at the start, in microseconds, and how far its points lie apart. Each still tells of as many
/// seconds as a later one, so that they can be compared.
const HISTORY: u64 = 3_600_000_000;
const APART: u64 = 30_000_000;
/// So many points are written at a time: what is written is journalled.
const PORTION: usize = 30;
/// After a shorter pause there is enough history.
const PAUSE: u64 = 600_000_000;
/// How far before its start an environment's time begins, in microseconds.
const HEAD_START: u64 = 1_000_000;
/// Every so many ticks of the history, traces are kept.
const TRACES: usize = 6;

/// The arguments of `start`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StartArguments {
    /// The same seed gives the same environment; otherwise one is chosen, or that of the environment that was stopped.
    pub seed: Option<u32>,
    /// Whether faults come by themselves: the first one soon, and one that can be put right without a human; otherwise
    /// they are injected only. An environment that runs keeps what it has unless this is said.
    pub trouble: Option<bool>,
    /// The shortest and the longest time between two faults that come by themselves, 5–3600 seconds; 30 and 60
    /// otherwise.
    pub every_seconds: Option<(u32, u32)>,
}

/// The result of `start`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Started {
    /// Always true.
    pub simulated: bool,
    /// False: it was running already, and only what was said changed.
    pub started: bool,
    /// The seed.
    pub seed: u32,
    /// Whether faults come by themselves.
    pub trouble: bool,
    /// Since when there is telemetry without faults, if it was made now.
    pub history_from: Option<Time>,
    /// What to know about it.
    pub message: String,
}

/// Starts it.
pub struct Start;

impl Tool for Start {
    const NAME: &'static str = "start";
    const SUMMARY: &'static str = "Starts the simulated environment: services with telemetry, an hour of history without faults, on request faults \
                                   that come by themselves.";
    type Arguments = StartArguments;
    type Result = Started;

    fn call(arguments: StartArguments, _: &Context, host: &Host) -> Result<Started, Error> {
        if let Some((shortest, longest)) = arguments.every_seconds
            && !(5 <= shortest && shortest <= longest && longest <= 3_600)
        {
            return Err(Error::invalid(format!(
                "every_seconds: expected two numbers from 5 to 3600, the smaller first, not [{shortest}, {longest}]"
            )));
        }
        // Ticks end a moment before they are asked for, so that an even clock never comes too early.
        let now = time(host.now().saturating_sub(HEAD_START));
        let found = match environments(host).get(MAIN) {
            Ok(found) => Some(found),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let seed = arguments
            .seed
            .or(found.as_ref().map(|found| found.body.seed))
            .unwrap_or_else(|| host.random_u64() as u32);
        if let Some(mut found) = found {
            let same = found.body.seed == seed;
            if found.body.running && same {
                adjust(&mut found.body, &arguments);
                let kept = environments(host).update(&found)?;
                return Ok(answer(&kept.body, false, None));
            }
            let before = found.body.clone();
            found.body = Environment::new(seed, now);
            found.body.trouble = arguments.trouble.unwrap_or(false);
            let since = micros(now).saturating_sub(micros(before.last_tick));
            let from = (since > PAUSE || !same).then(|| history_from(now, Some(before.last_tick)));
            adjust(&mut found.body, &arguments);
            let ticks = history(&mut found.body, from);
            feed::tell_topology(host)?;
            environments(host).update(&found)?;
            for fault in &before.faults {
                clear_fault(host, &fault.id, now, "start", None)?;
            }
            tell(host, &ticks)?;
            return Ok(answer(&found.body, true, from));
        }
        let mut body = Environment::new(seed, now);
        adjust(&mut body, &arguments);
        let from = Some(history_from(now, None));
        let ticks = history(&mut body, from);
        // Without telemetry there is nothing to start.
        feed::tell_topology(host)?;
        // Then the record: of two starts at once one makes history.
        environments(host).create_as(MAIN, &body)?;
        tell(host, &ticks)?;
        Ok(answer(&body, true, from))
    }
}

fn adjust(environment: &mut Environment, arguments: &StartArguments) {
    if let Some(trouble) = arguments.trouble {
        if trouble && !environment.trouble {
            let first = micros(environment.last_tick) + FIRST * 1_000_000;
            environment.next_trouble_at = Some(time(first));
        }
        environment.trouble = trouble;
    }
    if let Some(every) = arguments.every_seconds {
        environment.every_seconds = every;
    }
}

fn answer(environment: &Environment, started: bool, history_from: Option<Time>) -> Started {
    let trouble = match environment.trouble {
        true => "faults come by themselves",
        false => "faults come when they are injected",
    };
    let message = match started {
        true => format!(
            "A simulated environment runs: {trouble}. `simulator.advance` makes its telemetry; the agent \
             simulator-clock calls it every few seconds."
        ),
        false => format!("It was running already: {trouble}."),
    };
    Started {
        simulated: true,
        started,
        seed: environment.seed,
        trouble: environment.trouble,
        history_from,
        message,
    }
}

/// An hour ago, but not before there was telemetry already.
fn history_from(now: Time, last: Option<Time>) -> Time {
    let hour_ago = micros(now).saturating_sub(HISTORY);
    time(hour_ago.max(last.map_or(0, micros)))
}

/// Lets time pass from then until the environment's present, without faults.
fn history(environment: &mut Environment, from: Option<Time>) -> Vec<crate::model::tick::Tick> {
    let Some(from) = from else {
        return Vec::new();
    };
    let present = environment.last_tick;
    let wanted = (environment.trouble, environment.every_seconds);
    let first = environment.next_trouble_at;
    environment.trouble = false;
    let mut ticks = Vec::new();
    let mut at = micros(from) + TICK;
    while at <= micros(present) {
        let mut tick = tick_to(environment, time(at), &mut String::new);
        if ticks.len() % TRACES != 0 {
            tick.traces.clear();
        }
        ticks.push(tick);
        at += APART;
    }
    environment.last_tick = present;
    environment.next_trouble_at = first;
    (environment.trouble, environment.every_seconds) = wanted;
    ticks
}

fn tell(host: &Host, ticks: &[crate::model::tick::Tick]) -> Result<(), Error> {
    for portion in ticks.chunks(PORTION) {
        feed::tell(host, portion)?;
    }
    Ok(())
}

/// The arguments of `stop`: none.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StopArguments {}

/// The result of `stop`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Stopped {
    /// Always true.
    pub simulated: bool,
    /// False: it was not running.
    pub stopped: bool,
    /// How many faults ended with it.
    pub faults_cleared: usize,
}

/// Stops it.
pub struct Stop;

impl Tool for Stop {
    const NAME: &'static str = "stop";
    const SUMMARY: &'static str = "Stops the simulated environment: no more telemetry, faults and alerts until it is started again.";
    type Arguments = StopArguments;
    type Result = Stopped;

    fn call(_: StopArguments, context: &Context, host: &Host) -> Result<Stopped, Error> {
        let now = time(host.now());
        let mut faults = Vec::new();
        let mut stopped = false;
        let change = environments(host).change(MAIN, |environment| {
            stopped = environment.running;
            faults = std::mem::take(&mut environment.faults);
            environment.running = false;
            environment.stopped_at.get_or_insert(now);
            environment.next_trouble_at = None;
            environment.echoes.clear();
        });
        match change {
            Err(error) if error.is_not_found() => {}
            changed => drop(changed?),
        }
        for fault in &faults {
            clear_fault(host, &fault.id, now, "stop", context.task.as_deref())?;
        }
        Ok(Stopped {
            simulated: true,
            stopped,
            faults_cleared: faults.len(),
        })
    }
}
