//! How components are: `monitoring.health`. Missing data is never health.

use crate::frame::Frame;
use crate::golden::{self, Golden, Measured, Scope};
use crate::settings::Settings;
use crate::source::Source;
use crate::window;
use incident_contract::Window;
use mandate_sdk::prelude::*;

/// More components are not judged in one call.
const MOST_SERVICES: usize = 50;
/// So many robust standard deviations, ...
const FAR: f64 = 3.0;
/// ... and so much of the usual latency, above the usual one are worse. People do not notice less.
const SLOWER: f64 = 0.25;
/// So many points of a percent more that fail are worse.
const FAILING: f64 = 1.0;

/// Which components.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthArguments {
    /// The components.
    #[schemars(length(min = 1, max = 50))]
    pub services: Vec<String>,
    /// The time to judge; the last three minutes or intervals, if not said.
    #[serde(default)]
    pub window: Option<Window>,
    /// A time without faults; the hour before the window, if not said.
    #[serde(default)]
    pub baseline: Option<Window>,
}

/// How a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As usual, as far as it was measured.
    Healthy,
    /// Worse than usual.
    Degraded,
    /// Too little is known to say; that is not health.
    NoData,
}

/// A component and how it is.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Judged {
    /// The component.
    pub service: String,
    /// How it is.
    pub verdict: Verdict,
    /// What that rests on, one fact per line.
    pub checks: Vec<String>,
}

/// The answer.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Found {
    /// In the order of the question.
    pub services: Vec<Judged>,
    /// The time that was judged of the first component.
    pub window: Window,
    /// What it was compared with.
    pub baseline: Window,
}

/// `monitoring.health`.
pub struct Health;

impl Tool for Health {
    const NAME: &'static str = "health";
    const SUMMARY: &'static str =
        "Judges components against a time without faults: healthy, degraded, or no data.";
    type Arguments = HealthArguments;
    type Result = Found;

    fn call(arguments: HealthArguments, context: &Context, host: &Host) -> Result<Found, Error> {
        let settings: Settings = context.settings()?;
        judge_all(&arguments, &settings, &host.telemetry(), host.now())
    }
}

pub fn judge_all(
    arguments: &HealthArguments,
    settings: &Settings,
    source: &impl Source,
    now: Timestamp,
) -> Result<Found, Error> {
    let asked = arguments.services.len();
    if !(1..=MOST_SERVICES).contains(&asked) {
        return Err(Error::invalid(format!(
            "services: expected 1 to {MOST_SERVICES} components, not {asked}"
        )));
    }
    let wanted = arguments
        .window
        .map(|window| window::given("window", window))
        .transpose()?;
    let before = arguments
        .baseline
        .map(|window| window::given("baseline", window))
        .transpose()?;
    let mut services = Vec::new();
    let mut shown = None;
    for service in &arguments.services {
        let near = mandate_sdk::telemetry::Range::before(now, window::HOUR);
        let interval = window::interval(source, settings, service, wanted.unwrap_or(near))?
            .unwrap_or(window::MINUTE);
        let window = wanted.unwrap_or_else(|| window::around(now, interval, now));
        let baseline = before.unwrap_or_else(|| window::before(window, interval));
        let row = window::row(window, interval);
        let frame = Frame {
            window,
            baseline,
            row,
            interval,
        };
        shown.get_or_insert((window, baseline));
        let mut picture = golden::read(
            source,
            settings,
            &frame,
            &Scope::Only(vec![service.clone()]),
        )?;
        let golden = picture.components.remove(service).unwrap_or_default();
        services.push(judge(service, &golden));
    }
    let (window, baseline) =
        shown.ok_or_else(|| Error::invalid("services: expected at least one component"))?;
    Ok(Found {
        services,
        window: window::told(window),
        baseline: window::told(baseline),
    })
}

fn judge(service: &str, golden: &Golden) -> Judged {
    let checks = [
        check("latency", &golden.latency, SLOWER, 0.0),
        check("failing requests in percent", &golden.failing, 0.0, FAILING),
    ];
    let any = |verdict| checks.iter().any(|(of, _)| *of == Some(verdict));
    let verdict = if any(Verdict::Degraded) {
        Verdict::Degraded
    } else if any(Verdict::NoData) || !any(Verdict::Healthy) {
        Verdict::NoData
    } else {
        Verdict::Healthy
    };
    Judged {
        service: service.to_owned(),
        verdict,
        checks: checks
            .into_iter()
            .map(|(_, text)| format!("`{service}`: {text}"))
            .collect(),
    }
}

/// Judges one value; no verdict when it is never measured at all.
fn check(what: &str, measured: &Measured, share: f64, points: f64) -> (Option<Verdict>, String) {
    let number = crate::rank::number;
    let mut known: Vec<f64> = measured.rows.iter().copied().flatten().collect();
    known.sort_by(f64::total_cmp);
    // The middle row: one outlier after the repair is no relapse, and one good row is no repair.
    let now = known.get(known.len() / 2).copied();
    match (now, measured.usual) {
        (Some(now), Some(usual)) => {
            let most = usual.median + (FAR * usual.spread).max(share * usual.median).max(points);
            let text = format!(
                "{what} is {}, usual is {}, worse begins at {}",
                number(now),
                number(usual.median),
                number(most)
            );
            let verdict = if now > most {
                Verdict::Degraded
            } else {
                Verdict::Healthy
            };
            (Some(verdict), text)
        }
        (None, Some(usual)) => {
            let text = format!(
                "no data about {what} in this time; usual is {}",
                number(usual.median)
            );
            (Some(Verdict::NoData), text)
        }
        (Some(now), None) => {
            let text = format!("{what} is {}, with nothing to compare it with", number(now));
            (Some(Verdict::NoData), text)
        }
        (None, None) => (None, format!("{what} is not measured")),
    }
}
