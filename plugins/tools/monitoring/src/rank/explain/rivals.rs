//! Callees that could each be the reason of what is wrong at one component: often two views of the same calls.

use super::{NEW, Walk, amount, belief};
use incident_contract::Signal;
use std::collections::BTreeMap;

impl Walk<'_> {
    /// Of callees that could each be the reason of a demand, prefers the one that has more of it than the demand needs:
    /// callers hide a part of what happens to them, and never add to it. By the root only: amounts are noisy.
    pub(super) fn prefer_the_greater(&self, parts: &mut BTreeMap<usize, f64>, signal: Signal) {
        let believed = |callee: usize| {
            let deviation = self.at(callee);
            let (amount, score) = amount(deviation, signal);
            amount * belief(score) * if deviation.new { NEW } else { 1.0 }
        };
        let most = parts.keys().map(|&of| believed(of)).fold(0.0, f64::max);
        for (&callee, part) in parts.iter_mut() {
            let has = believed(callee);
            // What is only seen below it has no amount of its own to compare.
            if has > 0.0 && most > 0.0 {
                *part *= (has / most).sqrt();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rank::deviation::{Change, Deviation};
    use crate::rank::explain::explain;
    use crate::rank::graph::Graph;
    use incident_contract::Signal;

    fn fails(failures: f64) -> Deviation {
        Deviation {
            failing: Change {
                rise: failures,
                score: failures,
                observed: Some(failures),
                usual: Some(0.0),
            },
            traffic: 100.0,
            usual_traffic: 100.0,
            failures,
            measured: true,
            ..Deviation::default()
        }
    }

    fn fan() -> Graph {
        let edges = ["b", "c", "d"].map(|callee| ("a".to_owned(), callee.to_owned()));
        Graph::new("a", &edges, Vec::new())
    }

    #[test]
    fn of_two_that_explain_everything_the_greater_comes_first() {
        let of = |greater: usize| {
            let mut all = [fails(10.0), fails(20.0), fails(20.0), fails(0.0)];
            all[greater] = fails(40.0);
            let suspicion = explain(&fan(), &all, Signal::Availability).suspicion;
            (suspicion[1], suspicion[2])
        };
        let ((b, c), (other_b, other_c)) = (of(1), of(2));
        assert!(b > 1.2 * c, "{b} {c}");
        assert!((b - other_c).abs() < 1e-9 && (c - other_b).abs() < 1e-9);
    }
}
