//! Whether it helped. Only health that was measured after the step counts; missing data is never success.

use crate::Settings;
use chrono::TimeDelta;
use incident_asking::incident::now;
use incident_asking::monitoring::{self, Health, HealthArguments, State};
use incident_contract::incident::{Incident, Verdict, Verification};
use incident_contract::{Time, Window};
use mandate_sdk::prelude::*;
use std::time::Duration;

/// What was usual is taken from the time up to so long before the symptom was seen: it may have begun unseen.
const MARGIN: TimeDelta = TimeDelta::minutes(10);
/// How much time tells what is usual.
const USUAL: TimeDelta = TimeDelta::minutes(60);

/// What is looked at.
pub struct Question {
    /// The components: where it showed, and the cause.
    pub services: Vec<String>,
    /// A time without faults.
    pub baseline: Window,
    /// What counts is what was measured after this.
    pub since: Time,
}

impl Question {
    /// About an incident whose symptom was seen `at`.
    pub fn new(incident: &Incident, services: Vec<String>, at: Time, since: Time) -> Self {
        let end = at - MARGIN;
        Self {
            services,
            baseline: incident.baseline.unwrap_or(Window {
                start: end - USUAL,
                end,
            }),
            since,
        }
    }
}

/// Waits and looks, several times if it must, until all is healthy or the time is over.
///
/// # Errors
/// What the host says to the wish to wait.
pub fn verify(
    host: &Host,
    settings: Settings,
    question: &Question,
    deadline: u64,
) -> Result<Verification, Error> {
    let wait = Duration::from_secs(settings.verify_after_seconds);
    let mut latest = Verification {
        verdict: Verdict::Inconclusive,
        checks: vec!["There was no time left to look.".to_owned()],
        at: now(host),
    };
    for check in 1..=settings.verify_checks {
        let wake = host
            .now()
            .saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
        if wake > deadline {
            break;
        }
        host.sleep(wait)?;
        // What came just after the step may still be the old trouble: each look begins half a wait later.
        let skip = wait.saturating_mul(check.saturating_sub(1)) / 2;
        latest = look(host, question, skip);
        host.working_on(format!(
            "look {check} of {}: {}",
            settings.verify_checks,
            verdict(latest.verdict)
        ));
        if latest.verdict == Verdict::Resolved {
            break;
        }
    }
    Ok(latest)
}

/// Looks once, at what was measured since, without the first part of it.
fn look(host: &Host, question: &Question, skip: Duration) -> Verification {
    let end = now(host);
    let arguments = HealthArguments {
        services: question.services.clone(),
        window: Some(Window {
            start: question.since + TimeDelta::from_std(skip).unwrap_or(TimeDelta::zero()),
            end,
        }),
        baseline: Some(question.baseline),
    };
    let (verdict, checks) = match monitoring::health(host, &arguments) {
        Ok(healths) => (judge(&healths), healths.iter().flat_map(told).collect()),
        Err(error) => (
            Verdict::Inconclusive,
            vec![format!("Monitoring did not answer: {error}.")],
        ),
    };
    Verification {
        verdict,
        checks,
        at: end,
    }
}

/// All healthy: resolved. Something degraded: not. Otherwise nobody knows.
fn judge(healths: &[Health]) -> Verdict {
    let any = |state: State| healths.iter().any(|health| health.verdict == state);
    if any(State::Degraded) {
        Verdict::NotResolved
    } else if healths.is_empty() || any(State::NoData) {
        Verdict::Inconclusive
    } else {
        Verdict::Resolved
    }
}

fn told(health: &Health) -> Vec<String> {
    let state = match health.verdict {
        State::Healthy => "healthy",
        State::Degraded => "degraded",
        State::NoData => "no data",
    };
    let mut lines = vec![format!("`{}`: {state}.", health.service)];
    lines.extend(
        health
            .checks
            .iter()
            .take(5)
            .map(|check| incident_asking::text::line(check, 300)),
    );
    lines
}

/// A verdict in words.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Resolved => "it is healthy",
        Verdict::NotResolved => "it is still degraded",
        Verdict::Inconclusive => "there is too little data to say",
    }
}
