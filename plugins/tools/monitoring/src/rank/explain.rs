//! Which component explains the symptom: a walk from the symptom along the calls. At each component the extra time
//! (or the extra failures) of all its requests is what has to be explained. A callee explains as much of it as its own
//! requests took more, or failed more; the walk goes on to it with that share, and what no callee explains stays.
//!
//! Times and failures of all requests add up along calls, unlike times per request or scores: a component that is far
//! from its usual and called once in a thousand requests explains nothing.

mod blind;
mod origin;
mod rivals;

use super::deviation::{Deviation, belief};
use super::graph::Graph;
use incident_contract::Signal;
use std::collections::BTreeMap;

/// Calls deeper than this below the symptom are not followed.
const MOST_STEPS: usize = 16;
/// Shares below this are not followed.
const LEAST_SHARE: f64 = 1e-4;
/// A callee that nobody called before says more about its caller: so much of its share moves on.
const NEW: f64 = 0.33;
/// How callers of the same callee share it is only known by their requests; no caller has less than this.
const LEAST_PART: f64 = 0.05;
/// Callers that give up on a slow callee fail, while it does not: the callee answers at least twice as slowly, ...
const SLOW_SCORE: f64 = 4.0;
/// ... costs the caller at least so many seconds for each failure, ...
const SECONDS_PER_FAILURE: f64 = 0.25;
/// ... and is then as likely as two failures of the caller's own.
const SLOW_WEIGHT: f64 = 2.0;
/// A caller whose callees fail may try again and be slow: a callee at which this share of the caller's requests fails
/// is as likely the reason as the caller itself.
const RETRIED: f64 = 0.05;
/// The same symptom in the other signal speaks too, but less.
const OTHER_SIGNAL: f64 = 0.1;
/// From so many standard deviations on a component is clearly unusual: of some forty components one is beyond three
/// by chance. What shows in the signal that was not asked about counts less.
const CLEAR: f64 = 4.0;
const NOT_ASKED: f64 = 0.7;
/// How much of what a component is suspected of its caller is suspected of, too: the two may be two views of the
/// same calls, and what is measured by the caller may be the caller's.
const SHARED: f64 = 0.15;
const SHARED_STEPS: usize = 3;
/// What deviates and is not below the symptom: edges may be missing.
const FALLBACK: f64 = 0.02;
const FALLBACK_ELSEWHERE: f64 = 0.3;

/// What the walk found.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// How much each component is suspected; sums up to about 1.
    pub suspicion: Vec<f64>,
    /// How far the symptom's component is from its usual in the signal that was asked about.
    pub visible: f64,
    /// Components whose own callers' traffic made them suspects, by component.
    pub origin_of: BTreeMap<usize, usize>,
}

/// Shares that came in from callers: callee, then caller.
type Into = BTreeMap<usize, BTreeMap<usize, f64>>;

/// Extra time, or extra failures.
fn amount(deviation: &Deviation, signal: Signal) -> (f64, f64) {
    match signal {
        Signal::Latency => (deviation.extra_time, deviation.latency.score),
        Signal::Availability => (deviation.failures, deviation.failing.score),
    }
}

/// The other one.
fn other(signal: Signal) -> Signal {
    match signal {
        Signal::Latency => Signal::Availability,
        Signal::Availability => Signal::Latency,
    }
}

/// Explains the symptom at the component with the index 0.
pub fn explain(graph: &Graph, deviations: &[Deviation], signal: Signal) -> Explanation {
    let nothing = Deviation::default();
    let walk = Walk {
        graph,
        deviations,
        nothing: &nothing,
    };
    let (mut suspicion, mut into) = walk.from(0, signal);
    let (_, visible) = amount(walk.at(0), signal);
    let (_, other_visible) = amount(walk.at(0), other(signal));
    // What cannot be seen in the signal may be seen in the other one.
    let weight =
        (OTHER_SIGNAL + (1.0 - OTHER_SIGNAL) * (1.0 - belief(visible))) * belief(other_visible);
    if weight > 0.0 {
        let (others, other_into) = walk.from(0, other(signal));
        for (one, other) in suspicion.iter_mut().zip(&others) {
            *one = *one * (1.0 - weight) + other * weight;
        }
        for from in into.values_mut().flat_map(BTreeMap::values_mut) {
            *from *= 1.0 - weight;
        }
        for (callee, callers) in other_into {
            for (caller, share) in callers {
                *into.entry(callee).or_default().entry(caller).or_default() += share * weight;
            }
        }
    }
    // What hardly shows at the symptom may be clear below it.
    if let Some((clearest, shown)) = walk.clearest_below(signal) {
        let weight = 1.0 - belief(visible);
        let (elsewhere, _) = walk.from(clearest, shown);
        for (one, other) in suspicion.iter_mut().zip(&elsewhere) {
            *one = *one * (1.0 - weight) + other * weight;
        }
    }
    let origin_of = walk.blame_origins(&mut suspicion);
    share_with_callers(&mut suspicion, &into);
    walk.add_fallback(&mut suspicion, signal);
    Explanation {
        suspicion,
        visible,
        origin_of,
    }
}

struct Walk<'w> {
    graph: &'w Graph,
    deviations: &'w [Deviation],
    nothing: &'w Deviation,
}

impl<'w> Walk<'w> {
    fn at(&self, component: usize) -> &'w Deviation {
        self.deviations.get(component).unwrap_or(self.nothing)
    }

    fn from(&self, start: usize, signal: Signal) -> (Vec<f64>, Into) {
        let mut stays = vec![0.0; self.graph.len()];
        let mut into = Into::new();
        let mut open = BTreeMap::from([(start, 1.0)]);
        for _ in 0..MOST_STEPS {
            let mut next: BTreeMap<usize, f64> = BTreeMap::new();
            for (component, share) in open {
                let (own, callees) = self.divide(component, signal);
                if let Some(place) = stays.get_mut(component) {
                    *place += share * own;
                }
                for (callee, part) in callees {
                    if share * part > LEAST_SHARE {
                        *next.entry(callee).or_default() += share * part;
                        *into
                            .entry(callee)
                            .or_default()
                            .entry(component)
                            .or_default() += share * part;
                    }
                }
            }
            open = next;
            if open.is_empty() {
                break;
            }
        }
        for (component, share) in open {
            if let Some(place) = stays.get_mut(component) {
                *place += share;
            }
        }
        (stays, into)
    }

    /// How what is wrong at a component divides into what is its own and what comes from each callee; sums up to 1.
    fn divide(&self, component: usize, signal: Signal) -> (f64, BTreeMap<usize, f64>) {
        let (demand, score) = self.demand(component, signal);
        let mut parts: BTreeMap<usize, f64> = BTreeMap::new();
        if demand <= 0.0 {
            return (1.0, parts);
        }
        for &callee in self.graph.callees(component) {
            let shown = self.supply(component, callee, demand, signal);
            let part = shown.max(self.through(callee, demand, signal));
            if part > 0.0 {
                parts.insert(callee, part);
            }
        }
        self.prefer_the_greater(&mut parts, signal);
        // One cause is likelier than several: what the best callee alone does not explain is the component's own.
        // A component that starves makes all of its callees look a bit slow. Of a demand that may be noise, less is
        // left to be its own.
        let best = parts.values().copied().fold(0.0, f64::max);
        let mut own = (demand * belief(score) - best).max(0.0);
        let mut indirect: BTreeMap<usize, f64> = BTreeMap::new();
        for &callee in self.graph.callees(component) {
            let weight = self.indirectly(component, callee, demand, signal);
            if weight > 0.0 {
                indirect.insert(callee, weight);
            }
        }
        let rivals = 1.0 + indirect.values().sum::<f64>();
        for (callee, weight) in indirect {
            *parts.entry(callee).or_default() += own * weight / rivals;
        }
        own /= rivals;
        let total = own + parts.values().sum::<f64>();
        if total <= 0.0 {
            return (1.0, BTreeMap::new());
        }
        for part in parts.values_mut() {
            *part /= total;
        }
        (own / total, parts)
    }

    /// How much of the demand a callee explains in the same signal.
    fn supply(&self, caller: usize, callee: usize, demand: f64, signal: Signal) -> f64 {
        let deviation = self.at(callee);
        let (amount, score) = amount(deviation, signal);
        if amount <= 0.0 || score <= 0.0 {
            return 0.0;
        }
        // A callee whose noise is greater than the whole demand could look like this without being the reason.
        let all: f64 = self
            .graph
            .callers(callee)
            .iter()
            .map(|of| self.at(*of).usual_traffic)
            .sum();
        let part = (self.at(caller).usual_traffic / all.max(1.0)).max(LEAST_PART);
        let noise = amount / score;
        let believed = belief(score.min(demand / part / noise));
        amount.min(demand) * believed * if deviation.new { NEW } else { 1.0 }
    }

    /// How likely a callee is the reason of what no callee explains in the same signal, against the component itself.
    fn indirectly(&self, caller: usize, callee: usize, demand: f64, signal: Signal) -> f64 {
        let deviation = self.at(callee);
        match signal {
            Signal::Availability => {
                let usual = deviation.latency.usual.unwrap_or(0.0);
                let slow = deviation.latency.score > SLOW_SCORE
                    && deviation.latency.rise > usual
                    && deviation.extra_time > SECONDS_PER_FAILURE * demand
                    && !deviation.new;
                let lost = (deviation.lost / demand).min(1.0);
                lost + if slow { SLOW_WEIGHT } else { 0.0 }
            }
            Signal::Latency => {
                let failures = deviation.failures * deviation.failing.belief();
                let share = failures / self.at(caller).traffic.max(1.0);
                (share / RETRIED).min(1.0)
            }
        }
    }

    /// The component below the symptom that is farthest from its usual, and in which signal; none when none is far.
    fn clearest_below(&self, asked: Signal) -> Option<(usize, Signal)> {
        let far = |component: usize, signal: Signal| {
            let (_, score) = amount(self.at(component), signal);
            score * if signal == asked { 1.0 } else { NOT_ASKED }
        };
        let below = self
            .graph
            .below(0)
            .into_keys()
            .filter(|component| *component != 0);
        below
            .flat_map(|component| [(component, asked), (component, other(asked))])
            .map(|(component, signal)| (far(component, signal), component, signal))
            .filter(|(score, _, _)| *score >= CLEAR)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, component, signal)| (component, signal))
    }

    /// What deviates in the signal gets a little, so that the ranking goes on where calls do not lead.
    fn add_fallback(&self, suspicion: &mut [f64], signal: Signal) {
        let believed: Vec<f64> = (0..self.graph.len())
            .map(|component| {
                let (amount, score) = amount(self.at(component), signal);
                amount * belief(score)
            })
            .collect();
        let most = believed.iter().copied().fold(0.0, f64::max);
        let own = believed
            .first()
            .copied()
            .filter(|own| *own > 0.0)
            .unwrap_or(most);
        if own <= 0.0 {
            return;
        }
        let below = self.graph.below(0);
        for (component, (place, amount)) in suspicion.iter_mut().zip(&believed).enumerate() {
            let near = if below.contains_key(&component) {
                1.0
            } else {
                FALLBACK_ELSEWHERE
            };
            *place += FALLBACK * near * (amount / own).min(1.0);
        }
    }
}

/// Gives the callers through which a suspect was reached a part of the suspicion.
fn share_with_callers(suspicion: &mut [f64], into: &Into) {
    let mut more = vec![0.0; suspicion.len()];
    let mut open: BTreeMap<usize, f64> = suspicion
        .iter()
        .enumerate()
        .filter(|(_, share)| **share > 10.0 * LEAST_SHARE)
        .map(|(component, share)| (component, *share))
        .collect();
    for _ in 0..SHARED_STEPS {
        let mut next: BTreeMap<usize, f64> = BTreeMap::new();
        for (component, share) in open {
            let Some(callers) = into.get(&component) else {
                continue;
            };
            let all: f64 = callers.values().sum();
            if all <= 0.0 {
                continue;
            }
            for (caller, part) in callers {
                *next.entry(*caller).or_default() += SHARED * share * part / all;
            }
        }
        for (component, share) in &next {
            if let Some(place) = more.get_mut(*component) {
                *place += share;
            }
        }
        open = next;
    }
    for (place, more) in suspicion.iter_mut().zip(more) {
        *place += more;
    }
}
