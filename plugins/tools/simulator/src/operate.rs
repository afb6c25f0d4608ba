//! What operators and actions do to the environment: look at it, make a fault, act.

use crate::model::action::Action;
use crate::model::change::act;
use crate::model::environment::{Environment, MOST_FAULTS};
use crate::model::faults::{KINDS, choose, possible};
use crate::model::lines;
use crate::model::random::Random;
use crate::model::services::Service;
use crate::model::tick::{begin, some_strength};
use crate::records::{self, MAIN, clear_fault, environments, write_fault};
use incident_contract::{FaultKind, Time, time};
use mandate_sdk::prelude::*;

/// How often a change is tried when ticks come between.
const ATTEMPTS: u32 = 8;

/// Changes the environment as long as somebody else is quicker; it has to run.
fn change<T>(
    host: &Host,
    mut change: impl FnMut(&mut Environment) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut attempt = 1;
    loop {
        let mut record = match environments(host).get(MAIN) {
            Err(error) if error.is_not_found() => return Err(not_running()),
            found => found?,
        };
        if !record.body.running {
            return Err(not_running());
        }
        let answer = change(&mut record.body)?;
        match environments(host).update(&record) {
            Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
            updated => return updated.map(|_| answer),
        }
    }
}

fn not_running() -> Error {
    Error::failed("no simulated environment is running: call `simulator.start` first")
}

fn service_named(name: &str) -> Result<Service, Error> {
    Service::of_name(name).ok_or_else(|| {
        let known: Vec<&str> = Service::ALL.into_iter().map(Service::name).collect();
        Error::invalid(format!(
            "service: expected one of {}, not `{}`",
            known.join(", "),
            name.chars().take(60).collect::<String>()
        ))
    })
}

/// The arguments of `inject`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InjectArguments {
    /// What goes wrong; chosen if not said.
    pub kind: Option<FaultKind>,
    /// Where; chosen if not said.
    #[schemars(length(max = 60))]
    pub service: Option<String>,
    /// The same seed makes the same choice.
    pub seed: Option<u32>,
    /// How bad, 0.5–3, 1 is usual; chosen from 0.7 to 1.5 if not said.
    #[schemars(range(min = 0.5, max = 3.0))]
    pub strength: Option<f64>,
}

/// The result of `inject`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Injected {
    /// Always true.
    pub simulated: bool,
    /// Its id in `faults`.
    pub fault: String,
    /// What goes wrong.
    pub kind: FaultKind,
    /// The true cause.
    pub service: Service,
    /// What happened, for people.
    pub story: String,
    /// When it began.
    pub injected_at: Time,
}

/// Makes a fault.
pub struct Inject;

impl Tool for Inject {
    const NAME: &'static str = "inject";
    const SUMMARY: &'static str = "Makes a fault with a known cause in the simulated environment.";
    type Arguments = InjectArguments;
    type Result = Injected;

    fn call(arguments: InjectArguments, _: &Context, host: &Host) -> Result<Injected, Error> {
        if let Some(strength) = arguments.strength
            && !(0.5..=3.0).contains(&strength)
        {
            return Err(Error::invalid(format!(
                "strength: expected 0.5 to 3, not {strength}"
            )));
        }
        let service = arguments
            .service
            .as_deref()
            .map(service_named)
            .transpose()?;
        let seed = arguments.seed.map_or_else(|| host.random_u64(), u64::from);
        let id = records::fresh_id(host);
        let now = time(host.now());
        let (fault, said) = change(host, |environment| {
            if environment.faults.len() >= MOST_FAULTS {
                return Err(Error::failed_for_now(format!(
                    "there are {MOST_FAULTS} faults already; wait until some are cleared"
                )));
            }
            let mut random = Random::new(seed, &[50]);
            let faulty = environment.faulty();
            let chosen = choose(&mut random, arguments.kind, service, &faulty);
            let chosen = chosen.ok_or_else(|| impossible(arguments.kind, service))?;
            let strength = arguments.strength;
            let strength = strength.unwrap_or_else(|| some_strength(&mut random));
            let fault = begin(environment, now, &mut random, chosen, strength, id.clone());
            let said = lines::began(now, &fault, environment);
            Ok((fault, said))
        })?;
        write_fault(host, &fault, "inject")?;
        if let Some(line) = said {
            host.telemetry().ingest_logs(&[line])?;
        }
        Ok(Injected {
            simulated: true,
            fault: fault.id,
            kind: fault.form.kind(),
            service: fault.service,
            story: fault.form.story(fault.service),
            injected_at: fault.since,
        })
    }
}

/// Why nothing could be chosen.
fn impossible(kind: Option<FaultKind>, service: Option<Service>) -> Error {
    if !possible(kind, service).is_empty() {
        return Error::failed_for_now(
            "every service that this could happen to has a fault already; wait until it is cleared",
        );
    }
    let names = |services: Vec<Service>| {
        let names: Vec<&str> = services.into_iter().map(Service::name).collect();
        names.join(", ")
    };
    let mut services: Vec<Service> = possible(kind, None).into_iter().map(|(_, s)| s).collect();
    services.dedup();
    services.sort();
    services.dedup();
    Error::invalid(format!(
        "service: a fault of this kind can happen to {}",
        names(services)
    ))
}

/// The arguments of `apply`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyArguments {
    /// What is done.
    pub action: Action,
    /// To what.
    #[schemars(length(max = 60))]
    pub service: String,
    /// Scaling: how many replicas, 1–20; twice as many as now if not said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 20))]
    pub replicas: Option<u32>,
    /// Why, for the log.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub reason: String,
}

/// The result of `apply`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Applied {
    /// Always true.
    pub simulated: bool,
    /// False: it was not possible, and nothing happened.
    pub done: bool,
    /// What happened. Whether it helped is for the telemetry to tell.
    pub message: String,
    /// How it is undone, if it can be.
    pub undo: Option<String>,
}

/// Does something to a service.
pub struct Apply;

impl Tool for Apply {
    const NAME: &'static str = "apply";
    const SUMMARY: &'static str = "Does something to a service of the simulated environment; the tools of `actions` call this.";
    type Arguments = ApplyArguments;
    type Result = Applied;

    fn call(arguments: ApplyArguments, context: &Context, host: &Host) -> Result<Applied, Error> {
        let service = service_named(&arguments.service)?;
        let now = time(host.now());
        let mut done = change(host, |environment| {
            Ok(act(
                environment,
                now,
                arguments.action,
                service,
                arguments.replicas,
            ))
        })?;
        let by = arguments.action.name();
        for fault in &done.cured {
            clear_fault(host, fault, now, by, context.task.as_deref())?;
        }
        if let Some(line) = done.lines.first_mut()
            && !arguments.reason.trim().is_empty()
        {
            let reason: String = arguments.reason.chars().take(500).collect();
            line.message = format!("{} ({})", line.message, reason.trim());
        }
        if !done.lines.is_empty()
            && let Err(error) = host.telemetry().ingest_logs(&done.lines)
        {
            // It is done all the same.
            host.warn(format!("{by} of {} is not logged: {error}", service.name()));
        }
        Ok(Applied {
            simulated: true,
            done: done.done,
            message: done.message,
            undo: done.undo,
        })
    }
}

/// The arguments of `status`: none.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatusArguments {}

/// The result of `status`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Status {
    /// Always true.
    pub simulated: bool,
    /// Whether there is an environment: it was started once.
    pub exists: bool,
    /// Whether it runs.
    pub running: bool,
    /// How it is; none if there is none.
    pub environment: Option<Environment>,
    /// What is wrong, for people: the truth.
    pub stories: Vec<String>,
    /// Kinds of faults that can be injected.
    pub kinds: Vec<FaultKind>,
}

/// Tells all.
pub struct Look;

impl Tool for Look {
    const NAME: &'static str = "status";
    const SUMMARY: &'static str = "Tells operators all about the simulated environment, the true causes of its faults included.";
    type Arguments = StatusArguments;
    type Result = Status;

    fn call(_: StatusArguments, _: &Context, host: &Host) -> Result<Status, Error> {
        let environment = match environments(host).get(MAIN) {
            Ok(found) => Some(found.body),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let stories = environment.iter().flat_map(|environment| {
            let faults = environment.faults.iter();
            faults.map(|fault| format!("{}: {}", fault.id, fault.form.story(fault.service)))
        });
        Ok(Status {
            simulated: true,
            exists: environment.is_some(),
            running: environment.as_ref().is_some_and(|found| found.running),
            stories: stories.collect(),
            kinds: KINDS.to_vec(),
            environment,
        })
    }
}
