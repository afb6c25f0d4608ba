//! Components that cannot show what happens below them: the walk looks through them, or it would end where the data
//! do, and blame the caller.

use super::{Walk, amount, belief};
use incident_contract::Signal;

/// A component that fails more than this percentage of its requests anyway does not show what fails below it.
const USELESS: f64 = 30.0;
/// So many components that show nothing are looked through, one below the other, ...
const STEPS: usize = 2;
/// ... and what is seen through them counts so much of what a component shows itself.
const LOOKED_THROUGH: f64 = 0.9;

impl Walk<'_> {
    /// What has to be explained at a component: at one that cannot show it, what is seen below.
    pub(super) fn demand(&self, component: usize, signal: Signal) -> (f64, f64) {
        let (demand, score) = amount(self.at(component), signal);
        if self.is_blind(component, signal) {
            (demand.max(self.below(component, signal, STEPS)), score)
        } else {
            (demand, score)
        }
    }

    /// How much of the demand is explained by what a callee calls that cannot show it.
    pub(super) fn through(&self, callee: usize, demand: f64, signal: Signal) -> f64 {
        if self.is_blind(callee, signal) {
            self.below(callee, signal, STEPS).min(demand) * LOOKED_THROUGH
        } else {
            0.0
        }
    }

    /// Whether a component cannot show what happens below it: nobody measures it, or it fails anyway.
    fn is_blind(&self, component: usize, signal: Signal) -> bool {
        let deviation = self.at(component);
        let fails_anyway = || deviation.failing.usual.is_some_and(|usual| usual > USELESS);
        match signal {
            Signal::Latency => deviation.latency.observed.is_none(),
            Signal::Availability => deviation.failing.observed.is_none() || fails_anyway(),
        }
    }

    /// The greatest amount that is believed of what a component calls.
    fn below(&self, component: usize, signal: Signal, steps: usize) -> f64 {
        let callees = self.graph.callees(component).iter();
        let believed = callees.map(|callee| {
            let (amount, score) = amount(self.at(*callee), signal);
            let own = amount * belief(score);
            if steps > 1 && self.is_blind(*callee, signal) {
                own.max(self.below(*callee, signal, steps - 1))
            } else {
                own
            }
        });
        believed.fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use crate::rank::deviation::{Change, Deviation};
    use crate::rank::explain::explain;
    use crate::rank::graph::Graph;
    use incident_contract::Signal;

    /// A component of which so many percent fail, of so many usually.
    fn failing(observed: Option<f64>, usual: f64, traffic: f64) -> Deviation {
        let rise = observed.map_or(0.0, |observed| observed - usual);
        Deviation {
            failing: Change {
                rise,
                score: rise / 2.0,
                observed,
                usual: Some(usual),
            },
            traffic,
            usual_traffic: traffic,
            failures: rise.max(0.0) * traffic / 100.0,
            measured: true,
            ..Deviation::default()
        }
    }

    /// Who is suspected most when the middle one of three is like this.
    fn suspected(middle: Deviation) -> usize {
        let edges = [("a", "b"), ("b", "c")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let graph = Graph::new("a", &edges, Vec::new());
        let deviations = [
            failing(Some(10.0), 0.0, 100.0),
            middle,
            failing(Some(50.0), 0.0, 20.0),
        ];
        let suspicion = explain(&graph, &deviations, Signal::Availability).suspicion;
        let most = suspicion
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1));
        most.unwrap().0
    }

    #[test]
    fn what_shows_nothing_is_looked_through() {
        assert_eq!(suspected(failing(Some(50.0), 0.0, 20.0)), 2, "it shows it");
        assert_eq!(
            suspected(failing(Some(76.0), 75.0, 20.0)),
            2,
            "it fails anyway"
        );
        assert_eq!(suspected(failing(None, 0.0, 20.0)), 2, "nobody measures it");
        assert_eq!(
            suspected(failing(Some(0.0), 0.0, 20.0)),
            0,
            "it hides it from its callers"
        );
    }
}
