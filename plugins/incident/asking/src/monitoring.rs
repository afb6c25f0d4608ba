//! What the tools of `monitoring` are asked, as far as the incident agents need it.

use incident_contract::{Time, Window};
use mandate_sdk::prelude::*;
use schemars::JsonSchema;
use std::collections::{BTreeMap, BTreeSet};

/// The tool that shows series.
pub const METRICS: &str = "monitoring.metrics";
/// The tool that judges components.
pub const HEALTH: &str = "monitoring.health";
/// The tool that knows who calls whom.
pub const TOPOLOGY: &str = "monitoring.topology";

/// What [`HEALTH`] is asked.
#[derive(Clone, Debug, Serialize)]
pub struct HealthArguments {
    /// The components.
    pub services: Vec<String>,
    /// The time to judge; the latest, if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// A time without faults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Window>,
}

/// How a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As usual.
    Healthy,
    /// Worse than usual.
    Degraded,
    /// There is nothing to judge by; never success.
    NoData,
}

/// What [`HEALTH`] says of one component.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Health {
    /// The component.
    pub service: String,
    /// How it is.
    pub verdict: State,
    /// What that rests on, for people.
    #[serde(default)]
    pub checks: Vec<String>,
}

#[derive(Deserialize)]
struct Healths {
    services: Vec<Health>,
}

/// How the components are. A component that the answer leaves out has no data.
///
/// # Errors
/// What the host or the tool says.
pub fn health(host: &Host, arguments: &HealthArguments) -> Result<Vec<Health>, Error> {
    let answer: Healths = host.call_tool(HEALTH, arguments)?;
    let told = |service: &String| {
        answer
            .services
            .iter()
            .find(|health| health.service == *service)
            .cloned()
            .unwrap_or_else(|| Health {
                service: service.clone(),
                verdict: State::NoData,
                checks: vec![format!("`{service}`: monitoring says nothing")],
            })
    };
    Ok(arguments.services.iter().map(told).collect())
}

/// What [`METRICS`] is asked.
#[derive(Clone, Debug, Serialize)]
pub struct MetricsArguments {
    /// The metric.
    pub metric: &'static str,
    /// The component.
    pub service: String,
    /// Only series with all of these labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<&'static str, &'static str>,
    /// The time.
    pub window: Window,
    /// How the points of a step become one: `raw`, `mean`, `p50`, `p90`, …
    pub aggregation: &'static str,
    /// The length of a step.
    pub step_seconds: u64,
}

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Point {
    /// When.
    pub time: Time,
    /// How much.
    pub value: f64,
}

/// A series.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Series {
    /// Oldest first.
    #[serde(default)]
    pub points: Vec<Point>,
}

/// What [`METRICS`] answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Metrics {
    /// The series that fit.
    #[serde(default)]
    pub series: Vec<Series>,
}

impl Metrics {
    /// The points of all series that are numbers, oldest first.
    pub fn points(self) -> Vec<Point> {
        let points = self.series.into_iter().flat_map(|series| series.points);
        let mut points: Vec<Point> = points.filter(|point| point.value.is_finite()).collect();
        points.sort_by_key(|point| point.time);
        points
    }
}

/// Who calls whom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    callers: BTreeMap<String, BTreeSet<String>>,
    components: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Edge {
    caller: String,
    callee: String,
}

#[derive(Deserialize)]
struct Edges {
    edges: Vec<Edge>,
}

#[derive(Serialize)]
struct Nothing {}

/// Who calls whom, as monitoring knows it.
///
/// # Errors
/// What the host or the tool says.
pub fn topology(host: &Host) -> Result<Topology, Error> {
    let answer: Edges = host.call_tool(TOPOLOGY, &Nothing {})?;
    Ok(Topology::from_pairs(
        answer
            .edges
            .into_iter()
            .map(|edge| (edge.caller, edge.callee)),
    ))
}

impl Topology {
    /// From pairs of caller and callee.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut topology = Self::default();
        for (caller, callee) in pairs {
            topology.components.insert(caller.clone());
            topology.components.insert(callee.clone());
            if caller != callee {
                topology.callers.entry(callee).or_default().insert(caller);
            }
        }
        topology
    }

    /// True when it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty()
    }

    /// How many components it knows.
    pub fn len(&self) -> usize {
        self.components.len()
    }

    /// Whether it knows the component.
    pub fn has(&self, component: &str) -> bool {
        self.components.contains(component)
    }

    /// All components, in the order of their names.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.components.iter().map(String::as_str)
    }

    /// Whether nobody calls it: it is where users come in.
    pub fn is_entry(&self, component: &str) -> bool {
        self.has(component) && self.callers.get(component).is_none_or(BTreeSet::is_empty)
    }

    /// All that depend on the component, directly or not; not itself.
    pub fn above(&self, component: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut next = vec![component];
        while let Some(of) = next.pop() {
            for caller in self.callers.get(of).into_iter().flatten() {
                if caller != component && found.insert(caller.as_str()) {
                    next.push(caller);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Topology {
        Topology::from_pairs(
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned())),
        )
    }

    #[test]
    fn entries_and_those_above() {
        let topology = pairs(&[
            ("web", "cart"),
            ("cart", "db"),
            ("search", "db"),
            ("db", "db"),
        ]);
        assert!(topology.is_entry("web") && topology.is_entry("search"));
        assert!(!topology.is_entry("db") && !topology.is_entry("nobody"));
        assert_eq!(
            topology.above("db").into_iter().collect::<Vec<_>>(),
            ["cart", "search", "web"]
        );
        assert_eq!(topology.len(), 4);
    }

    #[test]
    fn circles_end() {
        let topology = pairs(&[("a", "b"), ("b", "a")]);
        assert_eq!(topology.above("a").into_iter().collect::<Vec<_>>(), ["b"]);
    }
}
