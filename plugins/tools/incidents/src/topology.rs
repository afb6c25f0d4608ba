//! Which services one fault can reach: failures travel from a service to those that call it.

use mandate_sdk::telemetry::Edge;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Services and how many calls away they are.
type Reach = Rc<BTreeMap<String, u32>>;

/// The most calls between two services that one fault is taken to reach.
const FAR: u32 = 3;

/// Who calls whom.
#[derive(Default)]
pub struct Topology {
    callees: BTreeMap<String, Vec<String>>,
    /// What was found out: a storm of alerts asks the same over and over.
    known: RefCell<BTreeMap<String, Reach>>,
}

impl Topology {
    /// From the edges of the telemetry.
    pub fn new(edges: Vec<Edge>) -> Self {
        let mut callees: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for edge in edges {
            callees.entry(edge.caller).or_default().push(edge.callee);
        }
        Self {
            callees,
            known: RefCell::default(),
        }
    }

    /// How many calls lie between two services: down from one to the other, or down from both to something that
    /// both depend on. None when they are further apart than a fault reaches, or not connected. Two services with
    /// only a caller in common are not: no fault of the one shows at the other.
    pub fn distance(&self, one: &str, other: &str) -> Option<u32> {
        let below = self.below(one);
        self.below(other)
            .iter()
            .filter_map(|(service, down)| Some(below.get(service)? + down))
            .min()
            .filter(|distance| *distance <= FAR)
    }

    /// What a service depends on, itself included, and how many calls away.
    fn below(&self, service: &str) -> Reach {
        if let Some(known) = self.known.borrow().get(service) {
            return known.clone();
        }
        let mut found = BTreeMap::from([(service.to_owned(), 0)]);
        let mut next = VecDeque::from([(service, 0)]);
        while let Some((caller, distance)) = next.pop_front() {
            if distance == FAR {
                continue;
            }
            for callee in self.callees.get(caller).into_iter().flatten() {
                if !found.contains_key(callee) {
                    found.insert(callee.clone(), distance + 1);
                    next.push_back((callee, distance + 1));
                }
            }
        }
        let found = Rc::new(found);
        self.known
            .borrow_mut()
            .insert(service.to_owned(), found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(edges: &[(&str, &str)]) -> Topology {
        let edge = |(caller, callee): &(&str, &str)| Edge {
            caller: (*caller).to_owned(),
            callee: (*callee).to_owned(),
        };
        Topology::new(edges.iter().map(edge).collect())
    }

    #[test]
    fn a_fault_reaches_callers_and_what_shares_its_victim() {
        let shop = topology(&[
            ("web", "cart"),
            ("web", "search"),
            ("cart", "db"),
            ("orders", "db"),
            ("search", "index"),
            ("index", "disk"),
            ("disk", "raid"),
        ]);
        assert_eq!(shop.distance("web", "cart"), Some(1));
        assert_eq!(shop.distance("db", "web"), Some(2));
        assert_eq!(shop.distance("cart", "orders"), Some(2), "both call db");
        assert_eq!(
            shop.distance("cart", "search"),
            None,
            "only a caller in common"
        );
        assert_eq!(shop.distance("web", "disk"), Some(3));
        assert_eq!(shop.distance("web", "raid"), None, "too far");
        assert_eq!(shop.distance("web", "web"), Some(0));
        assert_eq!(shop.distance("nobody", "web"), None);
    }

    #[test]
    fn circles_end() {
        let circle = topology(&[("a", "b"), ("b", "a"), ("a", "a")]);
        assert_eq!(circle.distance("a", "b"), Some(1));
    }
}
