//! Who calls whom, for agents and people: `monitoring.topology`.

use crate::source::Source;
use mandate_sdk::prelude::*;
use std::collections::BTreeSet;

/// More edges are not answered.
const MOST_EDGES: usize = 5_000;

/// Which part of the topology.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopologyArguments {
    /// Only what this component depends on, directly or not, and who depends on it.
    #[serde(default)]
    #[schemars(length(min = 1, max = 500))]
    pub service: Option<String>,
}

/// `caller` depends on `callee`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Edge {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: String,
}

/// What was found.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Found {
    /// In the order of their names.
    pub edges: Vec<Edge>,
    /// True when edges were left out, to keep the answer short.
    pub truncated: bool,
}

/// `monitoring.topology`.
pub struct Topology;

impl Tool for Topology {
    const NAME: &'static str = "topology";
    const SUMMARY: &'static str = "Shows which component calls which.";
    type Arguments = TopologyArguments;
    type Result = Found;

    fn call(arguments: TopologyArguments, _: &Context, host: &Host) -> Result<Found, Error> {
        find(arguments.service.as_deref(), &host.telemetry())
    }
}

fn find(service: Option<&str>, source: &impl Source) -> Result<Found, Error> {
    let mut edges: Vec<Edge> = source
        .topology()?
        .into_iter()
        .map(|edge| Edge {
            caller: edge.caller,
            callee: edge.callee,
        })
        .collect();
    edges.sort();
    edges.dedup();
    if let Some(service) = service {
        let below = reached(service, &edges, |edge| (&edge.caller, &edge.callee));
        let above = reached(service, &edges, |edge| (&edge.callee, &edge.caller));
        edges.retain(|edge| below.contains(&edge.caller) || above.contains(&edge.callee));
    }
    let truncated = edges.len() > MOST_EDGES;
    edges.truncate(MOST_EDGES);
    Ok(Found { edges, truncated })
}

/// All that can be reached from a component when each edge leads `from → to`; itself too.
fn reached(
    service: &str,
    edges: &[Edge],
    ends: impl Fn(&Edge) -> (&String, &String),
) -> BTreeSet<String> {
    let mut next: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
    for edge in edges {
        let (from, to) = ends(edge);
        next.entry(from).or_default().push(to);
    }
    let mut found = BTreeSet::from([service.to_owned()]);
    let mut open = vec![service];
    while let Some(of) = open.pop() {
        for to in next.get(of).into_iter().flatten().copied() {
            if found.insert(to.to_owned()) {
                open.push(to);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::store::Store;

    #[test]
    fn a_component_shows_what_is_above_and_below_it() {
        let mut store = Store::default();
        for (caller, callee) in [
            ("web", "cart"),
            ("cart", "db"),
            ("db", "cart"),
            ("x", "y"),
            ("web", "z"),
        ] {
            store.call(caller, callee);
        }
        let found = find(Some("cart"), &store).unwrap();
        let pairs: Vec<(&str, &str)> = found
            .edges
            .iter()
            .map(|edge| (edge.caller.as_str(), edge.callee.as_str()))
            .collect();
        assert_eq!(pairs, [("cart", "db"), ("db", "cart"), ("web", "cart")]);
        assert_eq!(find(None, &store).unwrap().edges.len(), 5);
    }
}
