//! Who calls whom, as numbers: components are indices here, so that no name can matter.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// More components than these, nearest to the symptom first, are not looked at: the work must have an end.
pub const MOST_COMPONENTS: usize = 5_000;

/// The call graph around a symptom.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The component of each index.
    pub names: Vec<String>,
    callees: Vec<Vec<usize>>,
    callers: Vec<Vec<usize>>,
}

impl Graph {
    /// The graph of these edges and further components, nearest to the symptom first; the symptom's component has
    /// the index 0.
    pub fn new(
        symptom: &str,
        edges: &[(String, String)],
        others: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut near: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (caller, callee) in edges {
            near.entry(caller).or_default().push(callee);
            near.entry(callee).or_default().push(caller);
        }
        let mut names = vec![symptom.to_owned()];
        let mut known: BTreeMap<String, usize> = BTreeMap::from([(symptom.to_owned(), 0)]);
        let mut add = |name: &str, names: &mut Vec<String>| {
            if names.len() < MOST_COMPONENTS && !known.contains_key(name) {
                known.insert(name.to_owned(), names.len());
                names.push(name.to_owned());
                return true;
            }
            false
        };
        let mut open = VecDeque::from([symptom]);
        while let Some(of) = open.pop_front() {
            for next in near.get(of).into_iter().flatten().copied() {
                if add(next, &mut names) {
                    open.push_back(next);
                }
            }
        }
        for other in others {
            add(&other, &mut names);
        }
        let mut pairs: BTreeSet<(usize, usize)> = BTreeSet::new();
        for (caller, callee) in edges {
            if let (Some(&caller), Some(&callee)) = (known.get(caller), known.get(callee)) {
                // Whoever calls itself explains nothing.
                if caller != callee {
                    pairs.insert((caller, callee));
                }
            }
        }
        let mut graph = Self {
            callees: vec![Vec::new(); names.len()],
            callers: vec![Vec::new(); names.len()],
            names,
        };
        for (caller, callee) in pairs {
            if let Some(of) = graph.callees.get_mut(caller) {
                of.push(callee);
            }
            if let Some(of) = graph.callers.get_mut(callee) {
                of.push(caller);
            }
        }
        graph
    }

    /// How many components there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Its name.
    pub fn name(&self, component: usize) -> &str {
        self.names.get(component).map_or("", String::as_str)
    }

    /// Whom it calls.
    pub fn callees(&self, component: usize) -> &[usize] {
        self.callees.get(component).map_or(&[], Vec::as_slice)
    }

    /// Who calls it.
    pub fn callers(&self, component: usize) -> &[usize] {
        self.callers.get(component).map_or(&[], Vec::as_slice)
    }

    /// For each component below the start, and the start itself: from where it is reached first.
    pub fn below(&self, start: usize) -> BTreeMap<usize, usize> {
        let mut found = BTreeMap::from([(start, start)]);
        let mut open = VecDeque::from([start]);
        while let Some(of) = open.pop_front() {
            for &next in self.callees(of) {
                if let std::collections::btree_map::Entry::Vacant(place) = found.entry(next) {
                    place.insert(of);
                    open.push_back(next);
                }
            }
        }
        found
    }

    /// The shortest way down from a start, as [`Graph::below`] found it; empty when there is none.
    pub fn way(&self, below: &BTreeMap<usize, usize>, to: usize) -> Vec<String> {
        let mut way = Vec::new();
        let mut at = to;
        while let Some(&from) = below.get(&at) {
            way.push(self.name(at).to_owned());
            if from == at || way.len() > self.len() {
                break;
            }
            at = from;
        }
        way.reverse();
        way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(symptom: &str, edges: &[(&str, &str)]) -> Graph {
        let edges: Vec<(String, String)> = edges
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        Graph::new(symptom, &edges, Vec::new())
    }

    #[test]
    fn ways_lead_down_and_circles_end() {
        let graph = graph(
            "a",
            &[("a", "b"), ("b", "c"), ("c", "a"), ("c", "c"), ("x", "a")],
        );
        let below = graph.below(0);
        let index = |name: &str| graph.names.iter().position(|other| other == name).unwrap();
        assert_eq!(graph.way(&below, index("c")), ["a", "b", "c"]);
        assert_eq!(graph.way(&below, 0), ["a"]);
        assert!(graph.way(&below, index("x")).is_empty());
        assert!(!graph.callees(index("c")).contains(&index("c")));
    }

    #[test]
    fn the_work_has_an_end() {
        let edges: Vec<(String, String)> = (0..20_000)
            .map(|n| ("hub".to_owned(), format!("leaf{n}")))
            .collect();
        assert_eq!(Graph::new("hub", &edges, Vec::new()).len(), MOST_COMPONENTS);
    }
}
