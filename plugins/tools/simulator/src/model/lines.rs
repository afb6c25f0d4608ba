//! What the services write into their logs in a tick: what each of them can know of itself, no more.

use super::environment::{ActiveFault, Environment};
use super::faults::Form;
use super::random::Random;
use super::services::{PerService, Service};
use super::traffic::Seen;
use incident_contract::{Time, micros, time};
use mandate_sdk::telemetry::{Label, LogLine, Severity};

/// At most so many lines of a tick.
const MOST: usize = 24;
/// A setting, a version: what the label `event` tells.
const DEPLOYMENT: &str = "deployment";
const CONFIGURATION: &str = "configuration";

fn label(name: &str, value: &str) -> Label {
    Label {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// A line; every one says that it is simulated.
pub fn line(at: Time, service: Service, severity: Severity, message: String) -> LogLine {
    LogLine {
        time: micros(at),
        service: service.name().to_owned(),
        severity,
        message,
        labels: vec![label("simulated", "true")],
    }
}

/// A new version was rolled out.
pub fn deployed(at: Time, service: Service, version: &str) -> LogLine {
    let mut line = line(
        at,
        service,
        Severity::Info,
        format!("deployed version {version}"),
    );
    line.labels.push(label("event", DEPLOYMENT));
    line.labels.push(label("version", version));
    line
}

/// The line that tells of a fault's beginning, where a change began it.
pub fn began(at: Time, fault: &ActiveFault, environment: &Environment) -> Option<LogLine> {
    match fault.form {
        Form::SlowVersion | Form::FailingVersion => {
            let version = environment.service(fault.service)?.version();
            Some(deployed(at, fault.service, &version))
        }
        form => {
            let (key, from, to) = form.setting()?;
            let message = format!("configuration changed: {key} from {from} to {to}");
            let mut line = line(at, fault.service, Severity::Info, message);
            line.labels.push(label("event", CONFIGURATION));
            line.labels.push(label("key", key));
            Some(line)
        }
    }
}

/// What a service says of a fault of its own while that lasts.
fn complaint(fault: &ActiveFault, age: f64, random: &mut Random) -> Option<(Severity, String)> {
    let warning = |text: String| Some((Severity::Warning, text));
    match fault.form {
        Form::Exceptions => Some((
            Severity::Error,
            "unhandled exception: index 3 is out of range of 3 in decode()".to_owned(),
        )),
        Form::FailingVersion => Some((
            Severity::Error,
            "unhandled exception: no field `total` in the answer".to_owned(),
        )),
        Form::HeapGrowth if age > 15.0 => warning(format!(
            "garbage collection took {:.0} ms, {:.0} % of memory in use",
            random.between(150.0, 700.0),
            100.0 * fault.fault().strain(age).memory
        )),
        Form::BusyThreads => warning(format!(
            "a thread has been running for {age:.0} s without a pause"
        )),
        Form::LoadSurge => warning("all workers are busy; requests of client batch-7 wait".into()),
        Form::PoolSize => warning("connection pool exhausted: 4 of 4 in use".into()),
        Form::CacheSize => warning("memory limit reached: evicting entries".into()),
        _ => None,
    }
}

/// What callers say of those that they call, and everybody of what failed.
fn trouble(service: Service, seen: &Seen) -> Vec<(Severity, String)> {
    let requests = seen.times.len();
    let severity = |count: u32| match f64::from(count) > 0.2 * requests as f64 {
        true => Severity::Error,
        false => Severity::Warning,
    };
    let mut said = Vec::new();
    if let (Some(on), true) = (seen.gave_up_on, seen.gave_up >= 2) {
        let text = format!(
            "{} did not answer in time ({} calls)",
            on.name(),
            seen.gave_up
        );
        said.push((severity(seen.gave_up), text));
    }
    if let (Some(external), true) = (service.spec().external, seen.lost >= 2) {
        let text = format!("cannot reach {}: {} calls failed", external.name, seen.lost);
        said.push((Severity::Error, text));
    }
    if let (Some(below), true) = (seen.below, seen.failed_below >= 3) {
        let text = format!(
            "{} of {requests} requests failed: {} answered with an error",
            seen.failed_below,
            below.name()
        );
        said.push((severity(seen.failed_below), text));
    }
    said
}

/// All lines of a tick that ended at `at`.
pub fn lines(
    at: Time,
    environment: &Environment,
    seen: &PerService<Seen>,
    random: &mut Random,
) -> Vec<LogLine> {
    let mut said: Vec<(Service, Severity, String)> = Vec::new();
    for fault in &environment.faults {
        let complaint = complaint(fault, fault.age(at), random);
        said.extend(complaint.map(|(severity, text)| (fault.service, severity, text)));
    }
    for (service, seen) in seen.iter() {
        let trouble = trouble(service, seen).into_iter();
        said.extend(trouble.map(|(severity, text)| (service, severity, text)));
    }
    for _ in 0..2 {
        if let Some(service) = random.pick(&Service::ALL) {
            let text = format!("{} requests answered", seen[*service].times.len());
            said.push((*service, Severity::Info, text));
        }
    }
    said.truncate(MOST);
    let mut lines: Vec<LogLine> = said
        .into_iter()
        .map(|(service, severity, text)| {
            let before = random.between(0.0, 4.9e6) as u64;
            line(
                time(micros(at).saturating_sub(before)),
                service,
                severity,
                text,
            )
        })
        .collect();
    lines.sort_by_key(|line| line.time);
    lines
}
