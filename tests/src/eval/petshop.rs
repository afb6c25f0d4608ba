//! PetShop's faults, given to a host of their own as a client gives them: telemetry, then an incident on the symptom.

use super::desk::{self, Desk, INCIDENT_PLUGINS};
use super::outcome::{self, Outcome};
use super::rename::Names;
use super::score::Score;
use super::split::{Issue, Split};
use super::table::Table;
use crate::{Host, Options};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long the agents may work on one fault.
const PATIENCE: Duration = Duration::from_secs(300);
/// Faults that are closer to each other than this, in seconds, are given to different tenants: the data of each were
/// cut out of their time, and are to be looked at without what was cut out for another.
const APART: f64 = 2.0 * 3600.0;

/// What came of one fault. Components have the names that they have on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// As `train/issue_3`.
    pub issue: String,
    /// The component that shows it, and what it shows.
    pub symptom: String,
    /// The true cause.
    pub cause: String,
    /// Its place in the ranking, from 1; none when it is not in it.
    pub rank: Option<usize>,
    /// The whole ranking.
    pub ranking: Vec<String>,
    /// From opening the incident until nobody worked on it any more.
    pub seconds: f64,
    /// What went wrong, or is strange.
    pub note: Option<String>,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rank = self.rank.map_or("none".to_owned(), |rank| rank.to_string());
        let first: Vec<&str> = self.ranking.iter().take(3).map(String::as_str).collect();
        write!(
            f,
            "{}  symptom {}  cause {}  rank {rank}  first [{}]  {:.1} s",
            self.issue,
            self.symptom,
            self.cause,
            first.join(", "),
            self.seconds
        )?;
        self.note
            .iter()
            .try_for_each(|note| write!(f, "  ({note})"))
    }
}

/// What came of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// In the order of the issues.
    pub rows: Vec<Row>,
    /// Of the agents.
    pub score: Score,
    /// Of guessing among all components.
    pub guess: Score,
}

/// Runs the agents on all faults of a split, `parallel` at a time; tells each row as soon as it is known.
///
/// `names` is what the components were renamed to; the truth is translated by it once the agents have answered.
///
/// # Errors
/// When the host cannot be prepared, or a true cause cannot be read. A fault that does not work out is a row.
pub async fn evaluate(
    split: &Split,
    names: &Names,
    parallel: usize,
    mut tell: impl FnMut(&Row),
) -> anyhow::Result<Evaluation> {
    desk::build_missing(&INCIDENT_PLUGINS)?;
    let host = Host::with(&Options {
        // The data are years old.
        config: "[telemetry]\nretention_days = 0\n".to_owned(),
        ..Options::default()
    });
    let desk = Desk::new(host.admin(), "default");
    for plugin in INCIDENT_PLUGINS {
        desk.install(plugin).await?;
    }
    let lanes = lanes(&split.issues);
    let desks: Vec<Desk> = lanes
        .iter()
        .map(|lane| desk.of(&format!("petshop-{lane}")))
        .collect();
    let mut loaded = Vec::new();
    for (issue, desk) in split.issues.iter().zip(&desks) {
        if !loaded.contains(&desk.tenant()) {
            loaded.push(desk.tenant());
            let edges = split
                .edges
                .iter()
                .map(|(caller, callee)| desk::edge(caller, callee));
            desk.ingest("topology", edges).await?;
            desk.ingest("metrics", lines(&split.baseline)).await?;
        }
        desk.ingest("metrics", lines(&issue.metrics)).await?;
    }
    let baseline = split.baseline.window();
    let runs = split
        .issues
        .iter()
        .zip(&desks)
        .map(|(issue, desk)| async move {
            let began = Instant::now();
            let outcome = run(desk, issue, baseline).await;
            (issue, outcome, began.elapsed().as_secs_f64())
        });
    let mut runs = stream::iter(runs).buffered(parallel.max(1));
    let mut all = Evaluation::default();
    while let Some((issue, outcome, seconds)) = runs.next().await {
        let row = row(issue, outcome, seconds, names)?;
        tell(&row);
        all.score.add(row.rank);
        all.guess.add_guess(split.components.len());
        all.rows.push(row);
    }
    Ok(all)
}

/// Which faults share a tenant: the number of each one's.
fn lanes(issues: &[Issue]) -> Vec<usize> {
    let mut lanes: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut chosen = Vec::new();
    for issue in issues {
        let (start, end) = issue.metrics.window();
        let apart = |lane: &Vec<(f64, f64)>| {
            lane.iter()
                .all(|(from, to)| end + APART <= *from || to + APART <= start)
        };
        let lane = lanes.iter().position(apart).unwrap_or_else(|| {
            lanes.push(Vec::new());
            lanes.len() - 1
        });
        lanes[lane].push((start, end));
        chosen.push(lane);
    }
    chosen
}

fn lines(table: &Table) -> impl Iterator<Item = Value> {
    table
        .series
        .iter()
        .map(|((component, metric, statistic), points)| {
            desk::series(
                metric,
                &json!({"service": component, "statistic": statistic}),
                points,
            )
        })
}

/// Opens the incident and waits for the commander.
async fn run(desk: &Desk, issue: &Issue, baseline: (f64, f64)) -> anyhow::Result<Outcome> {
    let target = &issue.target;
    let mut symptom = json!({"service": target.node, "at": time(target.timestamp)});
    if matches!(target.metric.as_str(), "latency" | "availability") {
        symptom["signal"] = json!(target.metric);
    }
    let incident = json!({
        "title": format!("{} of {}", target.metric, target.node),
        "detected_by": "petshop-eval",
        "affected_services": [target.node],
        "symptom": symptom,
        "baseline": {"start": time(baseline.0), "end": time(baseline.1)},
    });
    let id = desk.open_incident(&incident).await?;
    outcome::settled(desk, &id, PATIENCE).await
}

/// Seconds since 1970 in RFC 3339.
fn time(seconds: f64) -> String {
    mandate_types::Timestamp::from_micros((seconds * 1e6) as i64).to_string()
}

fn row(
    issue: &Issue,
    outcome: anyhow::Result<Outcome>,
    seconds: f64,
    names: &Names,
) -> anyhow::Result<Row> {
    let (outcome, trouble) = match outcome {
        Ok(outcome) => {
            let unsure = (!outcome.found).then(|| "the agents say: not found".to_owned());
            let trouble = outcome.trouble.clone().or(unsure);
            (outcome, trouble)
        }
        Err(error) => (Outcome::default(), Some(format!("{error:#}"))),
    };
    let cause = issue.root_cause()?;
    let ranking = outcome
        .ranking
        .iter()
        .map(|name| names.old_of(name).to_owned());
    Ok(Row {
        issue: issue.name.clone(),
        symptom: format!(
            "{} {}",
            names.old_of(&issue.target.node),
            issue.target.metric
        ),
        rank: outcome.rank(names.new_of(&cause)),
        cause,
        ranking: ranking.collect(),
        seconds,
        note: trouble,
    })
}
