//! One tick: from the environment as it was to the environment as it is, and what was seen meanwhile.
//! Depends on nothing but the environment and the time: the same again gives the same again.

use super::environment::{ActiveFault, Echo, Environment, MOST_FAULTS, TICK};
use super::faults::{Form, choose};
use super::measure::{Measured, measure};
use super::random::Random;
use super::services::{PerService, Service};
use super::spec::Role;
use super::strain::Strain;
use super::traffic::{Condition, Sample, Seen, Traffic};
use super::{alerts, lines};
use incident_contract::{FaultKind, Time, micros, time};
use mandate_sdk::telemetry::LogLine;

/// Requests per second that come from outside at the busiest hour.
const BUSIEST: f64 = 100.0;
/// The share of that at the quietest hour.
const QUIETEST: f64 = 0.5;
/// Somebody on call clears a fault that nobody else has cleared after so many seconds.
const ON_CALL: f64 = 180.0;
/// Kinds that are put right by what costs nothing.
const GENTLE: [FaultKind; 4] = [
    FaultKind::Latency,
    FaultKind::Errors,
    FaultKind::Cpu,
    FaultKind::BadDeployment,
];
/// How soon the first fault comes by itself after the start, in seconds.
pub const FIRST: u64 = 10;
/// A deployment that does no harm, about every eight minutes.
const DEPLOYMENT: f64 = 1.0 / 96.0;
/// A service that was scaled goes back to its usual size after so many seconds without a fault.
const SCALED: u64 = 600;
/// Traces of a tick that are kept: at least one, until there are so many spans.
const SPANS: usize = 18;
const MOST_SPANS: usize = 40;
/// `replicas` and `restarts` are told every so many ticks.
const SLOWLY: u64 = 12;

/// A trace that was kept: when it began, and its spans.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// When its request came.
    pub start: Time,
    /// In the order in which they began; the first is the root.
    pub spans: Vec<Sample>,
    /// Tells it from others.
    pub number: u64,
}

/// A fault that ended, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its id in `faults`.
    pub id: String,
    /// Who or what ended it.
    pub by: &'static str,
}

/// What came of a tick.
#[derive(Clone, Debug)]
pub struct Tick {
    /// When it ended.
    pub at: Time,
    /// The metrics.
    pub metrics: Vec<Measured>,
    /// The log.
    pub lines: Vec<LogLine>,
    /// Some of the requests.
    pub traces: Vec<Trace>,
    /// Faults that began.
    pub began: Vec<ActiveFault>,
    /// Faults that ended.
    pub ended: Vec<Ended>,
}

/// How much is asked for at a time of the day, in requests per second: quiet at night, busy in the afternoon (UTC),
/// with slow waves of a few minutes.
pub fn demand(seed: u32, at: Time) -> f64 {
    let seconds = micros(at) as f64 / 1e6;
    let turn = |period: f64, phase: f64| (std::f64::consts::TAU * (seconds / period + phase)).cos();
    let day = 0.5 + 0.5 * turn(86_400.0, -15.0 / 24.0);
    let mut random = Random::new(u64::from(seed), &[10]);
    let waves = 0.03 * turn(437.0, random.unit()) + 0.03 * turn(1_381.0, random.unit());
    BUSIEST * (QUIETEST + (1.0 - QUIETEST) * day) * (1.0 + waves)
}

/// How all services are at a moment.
fn conditions(environment: &Environment, at: Time) -> PerService<Condition> {
    PerService::each(|service| {
        let mut strain = Strain::default();
        for fault in environment.faults.iter().filter(|f| f.service == service) {
            strain = strain.and(fault.fault().strain(fault.age(at)));
        }
        for echo in environment.echoes.iter().filter(|e| e.service == service) {
            strain = strain.and(echo_strain(echo));
        }
        let Some(running) = environment.service(service) else {
            return Condition {
                strain,
                stretch: 1.0,
                shed: 0.0,
            };
        };
        let capacity = service.spec().capacity * f64::from(running.replicas.max(1));
        let busy = running.load / capacity;
        let bounded = busy.min(0.97);
        Condition {
            strain,
            // As with many workers: hardly any waiting until most are busy.
            stretch: 1.0 + bounded.powi(4) / (1.0 - bounded),
            shed: (1.0 - 1.0 / busy.max(1.0)).min(0.6),
        }
    })
}

fn echo_strain(echo: &Echo) -> Strain {
    if echo.cold {
        return Strain {
            hits: 0.5,
            ..Strain::default()
        };
    }
    Strain {
        held_share: 0.03,
        held: 0.08,
        ..Strain::default()
    }
}

/// Lets the next tick pass. `fresh` gives ids to faults that come by themselves.
pub fn tick(environment: &mut Environment, fresh: &mut dyn FnMut() -> String) -> Tick {
    let begin = micros(environment.last_tick);
    tick_to(environment, time(begin + TICK), fresh)
}

/// As [`tick`], for a tick that ends at a time of one's own: when history is made, there is more time between two.
pub fn tick_to(environment: &mut Environment, at: Time, fresh: &mut dyn FnMut() -> String) -> Tick {
    environment.ticks = environment.ticks.saturating_add(1);
    let mut random = Random::new(u64::from(environment.seed), &[20, micros(at)]);
    environment.last_tick = at;
    environment.echoes.retain(|echo| echo.until > at);
    let mut lines = Vec::new();
    let ended = end_faults(environment, at, &mut lines);
    let began = begin_faults(environment, at, &mut random, fresh, &mut lines);
    change_harmlessly(environment, at, &mut random, &mut lines);
    let conditions = conditions(environment, at);
    let (seen, traces) = walk(environment, at, &conditions, &mut random);
    remember(environment, at, &seen);
    lines.extend(lines::lines(at, environment, &seen, &mut random));
    let slowly = environment.ticks % SLOWLY == 1;
    let metrics = measure(
        &seen,
        &conditions,
        &environment.services,
        TICK as f64 / 1e6,
        &mut random,
        slowly,
    );
    Tick {
        at,
        metrics,
        lines,
        traces,
        began,
        ended,
    }
}

/// Somebody on call ends what nobody else did.
fn end_faults(environment: &mut Environment, at: Time, log: &mut Vec<LogLine>) -> Vec<Ended> {
    let mut ended = Vec::new();
    for fault in &environment.faults {
        if fault.age(at) >= ON_CALL {
            ended.push(Ended {
                id: fault.id.clone(),
                by: "on-call",
            });
            let text = "back to normal after work by on-call".to_owned();
            let severity = mandate_sdk::telemetry::Severity::Info;
            log.push(lines::line(at, fault.service, severity, text));
        }
    }
    environment.faults.retain(|fault| fault.age(at) < ON_CALL);
    ended
}

fn begin_faults(
    environment: &mut Environment,
    at: Time,
    random: &mut Random,
    fresh: &mut dyn FnMut() -> String,
    log: &mut Vec<LogLine>,
) -> Vec<ActiveFault> {
    if !environment.trouble {
        environment.next_trouble_at = None;
        return Vec::new();
    }
    let (shortest, longest) = environment.every_seconds;
    let wait = random.between(f64::from(shortest), f64::from(longest)) * 1e6;
    let next = time(micros(at) + wait as u64);
    match environment.next_trouble_at {
        Some(due) if due > at => return Vec::new(),
        // One after the other: alerts of another fault would only join the incident that is open.
        Some(_)
            if environment.alerts.iter().any(|alert| alert.firing)
                && environment.faults.is_empty() =>
        {
            return Vec::new();
        }
        Some(_) if environment.faults.is_empty() => environment.next_trouble_at = Some(next),
        Some(_) | None => {
            environment.next_trouble_at = Some(next);
            return Vec::new();
        }
    }
    let mut avoided = environment.faulty();
    let mut kind = None;
    if environment.troubles == 0 {
        // The first one can be put right without a human: whoever looks sees the whole way once.
        avoided.extend([Service::Web, Service::Gateway]);
        kind = random.pick(&GENTLE).copied();
    }
    let Some((form, service)) = choose(random, kind, None, &avoided) else {
        return Vec::new();
    };
    environment.troubles = environment.troubles.saturating_add(1);
    let strength = some_strength(random);
    let begun = begin(environment, at, random, (form, service), strength, fresh());
    log.extend(lines::began(at, &begun, environment));
    vec![begun]
}

/// How bad a fault is when nobody says it: some are harder to see than others.
pub fn some_strength(random: &mut Random) -> f64 {
    (random.between(0.7, 1.5) * 100.0).round() / 100.0
}

/// Lets a fault begin. The caller has checked that it fits and that there is room.
pub fn begin(
    environment: &mut Environment,
    at: Time,
    random: &mut Random,
    (form, service): (Form, Service),
    strength: f64,
    id: String,
) -> ActiveFault {
    let fault = ActiveFault {
        id,
        form,
        service,
        strength,
        nature: random.bits() as u32,
        since: at,
    };
    if form.kind() == FaultKind::BadDeployment
        && let Some(running) = environment.service_mut(service)
    {
        running.build = running.build.saturating_add(1);
    }
    environment.faults.push(fault.clone());
    environment.faults.truncate(MOST_FAULTS);
    fault
}

/// What happens in any environment: versions that are as good as those before, replicas that are no longer needed.
fn change_harmlessly(
    environment: &mut Environment,
    at: Time,
    random: &mut Random,
    log: &mut Vec<LogLine>,
) {
    if random.chance(DEPLOYMENT) {
        let faulty = environment.faulty();
        let own: Vec<Service> = Service::ALL
            .into_iter()
            .filter(|service| {
                matches!(service.spec().role, Role::Api | Role::Frontend)
                    && !faulty.contains(service)
            })
            .collect();
        if let Some(service) = random.pick(&own)
            && let Some(running) = environment.service_mut(*service)
        {
            running.build = running.build.saturating_add(1);
            log.push(lines::deployed(at, *service, &running.version()));
        }
    }
    let faulty = environment.faulty();
    for running in &mut environment.services {
        let long = running
            .scaled_at
            .is_some_and(|since| micros(at).saturating_sub(micros(since)) >= SCALED * 1_000_000);
        if long && !faulty.contains(&running.name) {
            let usual = running.name.spec().replicas;
            let text = format!("back from {} to {usual} replicas", running.replicas);
            let severity = mandate_sdk::telemetry::Severity::Info;
            log.push(lines::line(at, running.name, severity, text));
            running.replicas = usual;
            running.scaled_at = None;
        }
    }
}

/// Walks the requests of the tick.
fn walk(
    environment: &Environment,
    at: Time,
    conditions: &PerService<Condition>,
    random: &mut Random,
) -> (PerService<Seen>, Vec<Trace>) {
    let seconds = TICK as f64 / 1e6;
    let people = random.poisson(demand(environment.seed, at) * seconds);
    let mut traffic = Traffic::new(conditions, Random::new(random.bits(), &[30]));
    let mut traces: Vec<Trace> = Vec::new();
    let mut failed_one = false;
    let mut spans = 0;
    let begin = micros(at).saturating_sub(TICK);
    let entries = std::iter::repeat_n(Service::Web, people as usize).chain(std::iter::repeat_n(
        Service::Notifications,
        environment.orders as usize,
    ));
    for entry in entries {
        let trace = traffic.request(entry);
        let failed = trace.first().is_some_and(|root| root.failed);
        let of_notifications = entry == Service::Notifications
            && !traces.iter().any(|trace| {
                trace
                    .spans
                    .first()
                    .is_some_and(|root| root.service == entry)
            });
        // Some as they come, and one of each rarer sort.
        let wanted = spans < SPANS || (failed && !failed_one) || of_notifications;
        if wanted && spans + trace.len() <= MOST_SPANS {
            spans += trace.len();
            failed_one |= failed;
            traces.push(Trace {
                start: time(begin + random.between(0.0, TICK as f64) as u64),
                spans: trace.to_vec(),
                number: random.bits(),
            });
        }
    }
    foreign(environment, conditions, &mut traffic, random);
    (traffic.seen(), traces)
}

/// Requests of clients that nobody watches.
fn foreign(
    environment: &Environment,
    conditions: &PerService<Condition>,
    traffic: &mut Traffic<'_>,
    random: &mut Random,
) {
    let seconds = TICK as f64 / 1e6;
    for fault in &environment.faults {
        let more = conditions[fault.service].strain.foreign;
        if fault.form == Form::LoadSurge && more > 0.0 {
            let spec = fault.service.spec();
            // A part of what it can do: so that it is as bad at night as by day.
            let able = spec.capacity * f64::from(spec.replicas);
            let count = random.poisson((able * 0.25 * more * seconds).min(2_000.0));
            for _ in 0..count {
                traffic.request(fault.service);
            }
        }
    }
}

/// What the next tick has to know.
fn remember(environment: &mut Environment, at: Time, seen: &PerService<Seen>) {
    let first = environment.ticks == 1;
    for running in &mut environment.services {
        let rate = seen[running.name].times.len() as f64 / (TICK as f64 / 1e6);
        let smooth = if first {
            rate
        } else {
            0.5 * (rate + running.load)
        };
        running.load = (smooth * 100.0).round() / 100.0;
    }
    let checkout = &seen[Service::Checkout];
    environment.orders = (checkout.times.len() as u32).saturating_sub(checkout.failed);
    alerts::evaluate(environment, at, |service| {
        let seen = &seen[service];
        (seen.times.len() as u32, seen.slow, seen.failed)
    });
}
