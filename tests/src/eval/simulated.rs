//! Faults of the simulated environment: each in an environment of its own, from the fault to the end of its incident.

use super::desk::{self, Desk, ENVIRONMENT_PLUGINS, INCIDENT_PLUGINS};
use super::outcome::{self, Outcome};
use super::score::Score;
use crate::{Host, Options};
use anyhow::{Context, bail};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two ticks of an environment, as its own clock does it.
const TICK: Duration = Duration::from_secs(5);
/// How often is looked.
const PAUSE: Duration = Duration::from_millis(500);
/// Without a fault, before each; no alert may come.
const CALM: Duration = Duration::from_secs(15);
/// How long a fault may go unseen.
const UNSEEN: Duration = Duration::from_secs(150);
/// How long a fault may last in all.
const PATIENCE: Duration = Duration::from_secs(420);
/// Kinds for which no harmless step exists: a human has to decide, and that is how it should end.
pub const NEEDS_A_HUMAN: [&str; 1] = ["dependency_loss"];

/// What came of one fault.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    /// Its number, from 1.
    pub number: usize,
    /// As the environment says.
    pub kind: String,
    /// The component that truly has it.
    pub service: String,
    /// What its first incident became.
    pub outcome: Outcome,
    /// What ended the fault: an action such as `roll-back`, or the environment itself; none if nothing did.
    pub cleared_by: Option<String>,
    /// The first incident.
    pub incident: Option<String>,
    /// How many incidents there were.
    pub incidents: usize,
    /// Seconds from the fault until the first alert,
    pub alert: Option<f64>,
    /// until the ranked cause,
    pub cause: Option<f64>,
    /// and until nobody worked on it any more.
    pub end: Option<f64>,
    /// What went wrong.
    pub note: Option<String>,
}

impl Trial {
    /// The place of the true component in the ranking.
    pub fn rank(&self) -> Option<usize> {
        self.outcome.rank(&self.service)
    }

    /// Whether the agents said that it is over, and it is, by what they did.
    pub fn resolved(&self) -> bool {
        let by_itself = matches!(self.cleared_by.as_deref(), None | Some("on-call" | "stop"));
        self.outcome.status == "resolved" && !by_itself
    }
}

impl std::fmt::Display for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rank = self
            .rank()
            .map_or("none".to_owned(), |rank| rank.to_string());
        let seconds =
            |time: Option<f64>| time.map_or("–".to_owned(), |time| format!("{time:.0} s"));
        let first: Vec<&str> = self
            .outcome
            .ranking
            .iter()
            .take(3)
            .map(String::as_str)
            .collect();
        write!(
            f,
            "fault {:>2}  {:<15}  {:<16}  rank {rank:<4}  taken for {:<15}  {:<8}  alert {:>5}  cause {:>5}  end {:>5}  first [{}]",
            self.number,
            self.kind,
            self.service,
            self.outcome.kind.as_deref().unwrap_or("–"),
            self.outcome.status,
            seconds(self.alert),
            seconds(self.cause),
            seconds(self.end),
            first.join(", "),
        )?;
        if self.outcome.status == "resolved" && !self.resolved() {
            let by = self.cleared_by.as_deref().unwrap_or("nothing");
            write!(f, "  (said to be resolved, but ended by {by})")?;
        }
        if self.incidents > 1 {
            write!(f, "  ({} incidents)", self.incidents)?;
        }
        self.note
            .iter()
            .try_for_each(|note| write!(f, "  ({note})"))
    }
}

/// What came of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    score: Score,
    resolved: usize,
}

impl Tally {
    /// Counts one.
    pub fn add(&mut self, trial: &Trial) {
        self.score.add(trial.rank());
        self.resolved += usize::from(trial.resolved());
    }

    /// The share that was resolved.
    pub fn resolved(&self) -> f64 {
        self.resolved as f64 / self.score.count.max(1) as f64
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, third) = (self.score.top_1(), self.score.top_3());
        let (resolved, count) = (self.resolved(), self.score.count);
        write!(
            f,
            "top-1 {first:.2} top-3 {third:.2} resolved {resolved:.2} n {count}"
        )
    }
}

/// Tallies by kind, of those for which a harmless step exists, and of all.
pub fn tallies(trials: &[Trial]) -> (BTreeMap<&str, Tally>, Tally, Tally) {
    let (mut kinds, mut harmless, mut all) = (
        BTreeMap::<_, Tally>::new(),
        Tally::default(),
        Tally::default(),
    );
    for trial in trials {
        kinds.entry(trial.kind.as_str()).or_default().add(trial);
        all.add(trial);
        if !NEEDS_A_HUMAN.contains(&trial.kind.as_str()) {
            harmless.add(trial);
        }
    }
    (kinds, harmless, all)
}

/// Starts a host and injects `faults` faults, `parallel` at a time, with seeds that follow from `seed`; tells each
/// trial as soon as it is known, in order.
///
/// # Errors
/// When the host cannot be prepared. A fault that does not work out is a trial with a note.
pub async fn evaluate(
    faults: usize,
    seed: u64,
    parallel: usize,
    mut tell: impl FnMut(&Trial),
) -> anyhow::Result<Vec<Trial>> {
    let plugins = [&ENVIRONMENT_PLUGINS[..], &INCIDENT_PLUGINS[..]].concat();
    desk::build_missing(&plugins)?;
    let host = Host::with(&Options::default());
    let desk = Desk::new(host.admin(), "default");
    for plugin in plugins {
        desk.install(plugin).await?;
    }
    let runs = (1..=faults).map(|number| {
        let desk = desk.of(&format!("trial-{number}"));
        let seed = seed.wrapping_mul(1_000_003).wrapping_add(number as u64) & 0xffff_ffff;
        let plan = Plan {
            number,
            seed,
            fault: json!({"seed": seed}),
            calm: CALM,
        };
        async move { trial(&desk, &plan).await }
    });
    let mut runs = stream::iter(runs).buffered(parallel.max(1));
    let mut trials = Vec::new();
    while let Some(trial) = runs.next().await {
        tell(&trial);
        trials.push(trial);
    }
    Ok(trials)
}

/// What is to happen.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of the trial.
    pub number: usize,
    /// Of the environment.
    pub seed: u64,
    /// What `simulator.inject` is called with.
    pub fault: Value,
    /// How long nothing happens before.
    pub calm: Duration,
}

/// One fault from its beginning to its end, in the environment of this tenant.
pub async fn trial(desk: &Desk, plan: &Plan) -> Trial {
    let mut trial = Trial {
        number: plan.number,
        ..Trial::default()
    };
    let told = async {
        start(desk, plan.seed).await?;
        with_ticks(desk, follow(desk, plan, &mut trial)).await
    };
    if let Err(error) = told.await {
        trial.note = Some(format!("{error:#}"));
    }
    trial
}

/// Starts an environment and injects the fault.
///
/// # Errors
/// When the environment refuses.
pub async fn begin(desk: &Desk, plan: &Plan) -> anyhow::Result<()> {
    start(desk, plan.seed).await?;
    inject(desk, &plan.fault).await
}

async fn start(desk: &Desk, seed: u64) -> anyhow::Result<()> {
    let arguments = json!({"seed": seed, "trouble": false});
    desk.tool("simulator.start", &arguments)
        .await
        .context("simulator.start")?;
    Ok(())
}

async fn inject(desk: &Desk, fault: &Value) -> anyhow::Result<()> {
    desk.tool("simulator.inject", fault)
        .await
        .context("simulator.inject")?;
    Ok(())
}

/// Does something while the environment goes on.
///
/// # Errors
/// As what is done; or when the environment does not go on.
pub async fn with_ticks<T>(
    desk: &Desk,
    what: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        never = keep_ticking(desk) => match never? {},
        done = what => done,
    }
}

/// Advances the environment for as long as this is awaited.
async fn keep_ticking(desk: &Desk) -> anyhow::Result<std::convert::Infallible> {
    let mut clock = tokio::time::interval(TICK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        clock.tick().await;
        let ticked = desk.tool("simulator.advance", &json!({})).await;
        ticked.context("simulator.advance")?;
    }
}

/// Injects the fault and watches until nobody works on it any more.
async fn follow(desk: &Desk, plan: &Plan, trial: &mut Trial) -> anyhow::Result<()> {
    tokio::time::sleep(plan.calm).await;
    let early = desk.items("records/alerts").await?;
    if let Some(alert) = early.first() {
        trial.note = Some(format!(
            "an alert before the fault: {}",
            alert["body"]["name"]
        ));
    }
    inject(desk, &plan.fault).await?;
    let began = Instant::now();
    let injected = desk.items("records/faults").await?;
    let injected = injected.first().context("no fault is on record")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (trial.kind, trial.service) = (
        text(&injected["body"]["kind"]),
        text(&injected["body"]["service"]),
    );
    let fault = format!("records/faults/{}", text(&injected["id"]));
    loop {
        tokio::time::sleep(PAUSE).await;
        let elapsed = began.elapsed();
        let seconds = Some(elapsed.as_secs_f64());
        if trial.alert.is_none() {
            if desk.items("records/alerts").await?.is_empty() {
                if elapsed > UNSEEN {
                    bail!("no alert after {UNSEEN:?}");
                }
                continue;
            }
            trial.alert = seconds;
        }
        let mut incidents = desk.items("records/incidents").await?;
        incidents.sort_by_key(|incident| text(&incident["created_at"]));
        trial.incidents = incidents.len();
        if let Some(incident) = incidents.first() {
            trial.incident = Some(text(&incident["id"]));
            trial.outcome = Outcome::of(&incident["body"]);
            if trial.cause.is_none() && incident["body"]["cause"].is_object() {
                trial.cause = seconds;
            }
            if let Some(outcome) = outcome::ended(desk, &text(&incident["id"])).await? {
                trial.note = trial.note.take().or(outcome.trouble.clone());
                trial.outcome = outcome;
                trial.end = seconds;
                let fault = desk.get(&fault).await?;
                trial.cleared_by = fault["body"]["cleared_by"].as_str().map(str::to_owned);
                return Ok(());
            }
        }
        if elapsed > PATIENCE {
            bail!("still worked on after {PATIENCE:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolved_is_what_is_over_and_said_to_be() {
        let trial = |kind: &str, status: &str, by: Option<&str>| Trial {
            kind: kind.into(),
            service: "a".into(),
            cleared_by: by.map(str::to_owned),
            outcome: Outcome {
                status: status.into(),
                ranking: vec!["b".into(), "a".into()],
                ..Outcome::default()
            },
            ..Trial::default()
        };
        let trials = [
            trial("leak", "resolved", Some("restart")),
            trial("leak", "resolved", Some("on-call")),
            trial("dependency_loss", "awaiting", None),
        ];
        assert!(trials[1].to_string().contains("ended by on-call"));
        let (kinds, harmless, all) = tallies(&trials);
        assert_eq!(
            kinds["leak"].to_string(),
            "top-1 0.00 top-3 1.00 resolved 0.50 n 2"
        );
        assert_eq!(harmless, kinds["leak"]);
        assert_eq!(all.to_string(), "top-1 0.00 top-3 1.00 resolved 0.33 n 3");
    }
}
