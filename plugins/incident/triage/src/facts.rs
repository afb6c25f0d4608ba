//! What is known about an incident before it is judged. Each fact says when it is missing.

use chrono::TimeDelta;
use incident_asking::incident::{self, now};
use incident_asking::monitoring::{
    self, Health, HealthArguments, METRICS, Metrics, MetricsArguments, State, Topology,
};
use incident_asking::text::{line, names};
use incident_contract::Window;
use incident_contract::incident::{Incident, Severity};
use mandate_sdk::prelude::*;

/// Components that are looked at; the rest is only counted.
const MOST_COMPONENTS: usize = 10;
/// Alerts that are read; the rest is only counted.
const MOST_ALERTS: usize = 50;
const LONGEST_NAME: usize = 200;
/// How it is is judged over at least and at most so long.
const SHORTEST: TimeDelta = TimeDelta::seconds(15);
const LONGEST: TimeDelta = TimeDelta::minutes(15);

/// An alert, as far as triage needs it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Alert {
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// `critical`, `high`, `warning`, `info` or `low`.
    #[serde(default)]
    pub severity: Option<String>,
    /// `firing`, `resolved`, …
    #[serde(default)]
    pub status: String,
    /// The component.
    #[serde(default)]
    pub service: Option<String>,
}

impl Alert {
    /// Whether it still tells of something.
    pub fn is_open(&self) -> bool {
        self.status != "resolved"
    }

    /// Its severity in the words of incidents; an alert that says none may be anything, so it is high.
    pub fn severity(&self) -> Severity {
        match self.severity.as_deref() {
            Some("critical") => Severity::Critical,
            Some("warning") => Severity::Medium,
            Some("info" | "low") => Severity::Low,
            _ => Severity::High,
        }
    }
}

/// From when the symptom was seen until now, but no longer than a while and at least so long that something was
/// measured.
fn since(host: &Host, record: &Record<Incident>) -> Window {
    let now = now(host);
    let seen = incident::symptom(record)
        .and_then(|symptom| symptom.at)
        .unwrap_or(now);
    let end = now.min(seen + LONGEST).max(seen);
    Window {
        start: seen.min(end - SHORTEST),
        end,
    }
}

/// What is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// As whoever detected it sees it.
    pub declared: Option<Severity>,
    /// The components that show it, the first one first.
    pub affected: Vec<String>,
    /// How many more were named and not looked at.
    pub more_affected: usize,
    /// How the affected components are; none when monitoring did not say.
    pub health: Option<Vec<Health>>,
    /// The lowest share of requests that an affected entry point answers, in percent; none when not measured.
    pub availability: Option<f64>,
    /// Who calls whom; none when monitoring did not say, or knows none of the affected.
    pub topology: Option<Topology>,
    /// The alerts that belong to it; none when they could not be read.
    pub alerts: Option<Vec<Alert>>,
    /// What could not be found out, and why.
    pub missing: Vec<String>,
}

impl Facts {
    /// Finds out what there is to find out. What fails is a missing fact and no end.
    pub fn gather(host: &Host, record: &Record<Incident>) -> Self {
        let mut facts = Self {
            declared: record.body.severity,
            ..Self::default()
        };
        facts.name_affected(record);
        facts.read_alerts(host, &record.body);
        facts.ask_topology(host);
        facts.ask_health(host, record);
        facts
    }

    fn name_affected(&mut self, record: &Record<Incident>) {
        let symptom = incident::symptom(record).map(|symptom| symptom.service);
        for service in symptom.iter().chain(&record.body.affected_services) {
            let service = line(service, LONGEST_NAME);
            if !service.is_empty() && !self.affected.contains(&service) {
                self.affected.push(service);
            }
        }
        self.more_affected = self.affected.len().saturating_sub(MOST_COMPONENTS);
        self.affected.truncate(MOST_COMPONENTS);
        if self.affected.is_empty() {
            self.missing.push("It names no component.".to_owned());
        }
    }

    fn read_alerts(&mut self, host: &Host, incident: &Incident) {
        if incident.alerts.is_empty() {
            self.alerts = Some(Vec::new());
            return;
        }
        let ids: Vec<&String> = incident.alerts.iter().take(MOST_ALERTS).collect();
        let found = host
            .records::<Alert>("alerts")
            .find()
            .filter("id", Comparison::OneOf, &ids)
            .all(MOST_ALERTS);
        match found {
            Ok(records) => {
                self.alerts = Some(records.into_iter().map(|record| record.body).collect())
            }
            Err(error) => self
                .missing
                .push(format!("Its alerts could not be read ({error}).")),
        }
    }

    fn ask_topology(&mut self, host: &Host) {
        match monitoring::topology(host) {
            Ok(topology) if self.affected.iter().any(|name| topology.has(name)) => {
                self.topology = Some(topology);
            }
            Ok(topology) if topology.is_empty() => {
                self.missing
                    .push("Nobody knows who calls whom: the topology is empty.".to_owned());
            }
            Ok(_) => self
                .missing
                .push("The topology knows none of the affected components.".to_owned()),
            Err(error) => self
                .missing
                .push(format!("The topology could not be read ({error}).")),
        }
    }

    fn ask_health(&mut self, host: &Host, record: &Record<Incident>) {
        if self.affected.is_empty() {
            return;
        }
        let ask = |window| {
            let arguments = HealthArguments {
                services: self.affected.clone(),
                window,
                baseline: record.body.baseline,
            };
            monitoring::health(host, &arguments)
        };
        let since = since(host, record);
        let silent =
            |health: &Vec<Health>| health.iter().all(|health| health.verdict == State::NoData);
        // What is measured every few minutes has nothing yet about the last seconds.
        let mut answer = ask(Some(since));
        if answer.as_ref().is_ok_and(silent) {
            answer = ask(None);
        }
        match answer {
            Ok(health) => {
                let silent = health
                    .iter()
                    .filter(|health| health.verdict == State::NoData);
                let silent: Vec<&str> = silent.map(|health| health.service.as_str()).collect();
                if !silent.is_empty() {
                    self.missing
                        .push(format!("Monitoring has no data of {}.", names(silent)));
                }
                self.health = Some(health);
                self.availability = self.worst_availability(host, since);
            }
            Err(error) => self
                .missing
                .push(format!("Monitoring did not answer ({error}).")),
        }
    }

    /// The lowest share of requests that an entry point among the affected answers, in percent.
    fn worst_availability(&self, host: &Host, window: Window) -> Option<f64> {
        let arguments: Vec<MetricsArguments> = self
            .entries()
            .into_iter()
            .map(|entry| MetricsArguments {
                metric: "availability",
                service: entry.to_owned(),
                labels: [("statistic", "Average")].into(),
                window,
                aggregation: "mean",
                step_seconds: u64::try_from((window.end - window.start).num_seconds())
                    .unwrap_or(1)
                    .max(1),
            })
            .collect();
        let answers = host
            .call_tool_many::<_, Metrics>(METRICS, &arguments)
            .ok()?;
        let means = answers.into_iter().filter_map(|answer| {
            let points = answer.ok()?.points();
            let sum: f64 = points.iter().map(|point| point.value).sum();
            (!points.is_empty()).then(|| sum / points.len() as f64)
        });
        means.min_by(f64::total_cmp)
    }

    /// The alerts that are not over.
    pub fn open_alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().flatten().filter(|alert| alert.is_open())
    }

    /// The affected components at which users come in.
    pub fn entries(&self) -> Vec<&str> {
        let Some(topology) = &self.topology else {
            return Vec::new();
        };
        let entries = self.affected.iter().filter(|name| topology.is_entry(name));
        entries.map(String::as_str).collect()
    }

    /// The share of all components that depend on the affected ones or are among them, 0–1; none without a topology.
    pub fn reach(&self) -> Option<f64> {
        let topology = self.topology.as_ref()?;
        let mut reached: std::collections::BTreeSet<&str> = std::collections::BTreeSet::new();
        for name in self.affected.iter().filter(|name| topology.has(name)) {
            reached.insert(name);
            reached.extend(topology.above(name));
        }
        Some(reached.len() as f64 / topology.len().max(1) as f64)
    }

    /// How sure a judgement can be with what is known, 0–1: a fifth less for each kind of fact that is missing.
    pub fn confidence(&self) -> f64 {
        let measured = self
            .health
            .iter()
            .flatten()
            .any(|health| health.verdict != State::NoData);
        let told = self.declared.is_some()
            || self
                .alerts
                .as_ref()
                .is_some_and(|alerts| !alerts.is_empty());
        let known = [
            !self.affected.is_empty(),
            self.topology.is_some(),
            measured,
            told,
        ];
        let missing = known.iter().filter(|known| !**known).count();
        (0.95 - 0.2 * missing as f64).max(0.15)
    }
}
