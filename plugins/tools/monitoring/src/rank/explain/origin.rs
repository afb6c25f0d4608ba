//! Where too many requests come from: who drowns in them is not the cause, but where they come in.

use super::Walk;
use std::collections::BTreeMap;

/// From how much suspicion on traffic is looked at.
const LEAST_SUSPICION: f64 = 0.02;
/// Whoever sends more requests than ever is more likely the cause than who suffers from them.
const ORIGIN: f64 = 0.6;
/// How much a caller's growth may be below that of the component to be the reason of it.
const GROWN_ALIKE: f64 = 0.7;

impl Walk<'_> {
    /// Moves suspicion from those who suffer from too many requests to where these come from.
    pub(super) fn blame_origins(&self, suspicion: &mut [f64]) -> BTreeMap<usize, usize> {
        let suspects: Vec<usize> = suspicion
            .iter()
            .enumerate()
            .filter(|(_, share)| **share > LEAST_SUSPICION)
            .map(|(component, _)| component)
            .collect();
        let mut origins = BTreeMap::new();
        for suspect in suspects {
            let origin = self.origin(suspect);
            if origin == suspect {
                continue;
            }
            let moved = suspicion.get(suspect).copied().unwrap_or(0.0) * ORIGIN;
            if let Some(place) = suspicion.get_mut(suspect) {
                *place -= moved;
            }
            if let Some(place) = suspicion.get_mut(origin) {
                *place += moved;
            }
            origins.insert(suspect, origin);
        }
        origins
    }

    /// Up the calls, as long as a caller's traffic has grown alike.
    fn origin(&self, suspect: usize) -> usize {
        let mut at = suspect;
        let mut seen = vec![suspect];
        while let Some(growth) = self.at(at).growth {
            let busiest = self
                .graph
                .callers(at)
                .iter()
                .copied()
                .filter(|caller| !seen.contains(caller) && !self.is_a_client(*caller))
                .filter(|caller| {
                    self.at(*caller)
                        .growth
                        .is_some_and(|of| of > GROWN_ALIKE * growth)
                })
                .max_by(|a, b| self.at(*a).traffic.total_cmp(&self.at(*b).traffic));
            let Some(caller) = busiest else { break };
            seen.push(caller);
            at = caller;
        }
        at
    }

    /// Whether a component is no part of the system but load on it: nobody calls it, and it calls one component only.
    /// That one is where its requests come in. The symptom's component is a part, of course.
    fn is_a_client(&self, component: usize) -> bool {
        component != 0
            && self.graph.callers(component).is_empty()
            && self.graph.callees(component).len() == 1
    }
}

#[cfg(test)]
mod tests {
    use crate::rank::deviation::{Change, Deviation};
    use crate::rank::explain::explain;
    use crate::rank::graph::Graph;
    use incident_contract::Signal;

    /// Who is suspected most, and of sending what `c` drowns in, when requests double at some components.
    fn suspected(edges: &[(&str, &str)], doubled: &[&str]) -> (String, Option<String>) {
        let edges: Vec<(String, String)> = edges
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        let graph = Graph::new("a", &edges, Vec::new());
        let deviation = |name: &String| {
            let rise: f64 = if name == "c" { 2.0 } else { 0.0 };
            let grown = doubled.contains(&name.as_str());
            Deviation {
                latency: Change {
                    rise: rise.max(0.01),
                    score: 50.0 * rise,
                    observed: Some(1.0 + rise),
                    usual: Some(1.0),
                },
                traffic: if grown { 200.0 } else { 100.0 },
                usual_traffic: 100.0,
                extra_time: 100.0 * rise,
                growth: grown.then_some(2.0),
                measured: true,
                ..Deviation::default()
            }
        };
        let mut deviations: Vec<Deviation> = graph.names.iter().map(deviation).collect();
        // The symptom shows what happens at the component that drowns.
        deviations[0].latency.score = 20.0;
        deviations[0].extra_time = 200.0;
        let explanation = explain(&graph, &deviations, Signal::Latency);
        let most = (0..graph.len())
            .max_by(|a, b| explanation.suspicion[*a].total_cmp(&explanation.suspicion[*b]));
        let drowns = graph.names.iter().position(|name| name == "c").unwrap();
        let origin = explanation.origin_of.get(&drowns);
        let name = |of: usize| graph.name(of).to_owned();
        (name(most.unwrap()), origin.map(|of| name(*of)))
    }

    #[test]
    fn load_from_outside_is_no_component_to_blame() {
        let caller = [("a", "c"), ("x", "c"), ("x", "d"), ("c", "e")];
        let (first, origin) = suspected(&caller, &["x", "c"]);
        assert_eq!((first.as_str(), origin.as_deref()), ("x", Some("x")));
        let client = [("a", "c"), ("x", "c"), ("c", "e")];
        let (first, origin) = suspected(&client, &["x", "c"]);
        assert_eq!((first.as_str(), origin.as_deref()), ("c", None));
        let entry = [("a", "c"), ("c", "e")];
        let (first, origin) = suspected(&entry, &["a", "c"]);
        assert_eq!((first.as_str(), origin.as_deref()), ("a", Some("a")));
    }
}
