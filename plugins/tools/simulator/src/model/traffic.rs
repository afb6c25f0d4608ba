//! The requests of a few seconds, each walked through the call graph: what they take, what fails, what they leave.
//!
//! Nothing is computed from formulas that could be walked: so slowness and errors reach callers as they do in life,
//! by the share of calls, through timeouts, second tries and what a caller can do without.

use super::random::Random;
use super::services::{PerService, Service};
use super::spec::{Call, Role, Spec};
use super::strain::Strain;

/// How a service is at one moment.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What is wrong with it.
    pub strain: Strain,
    /// By how much waiting for a free worker stretches its own work; 1 is not at all.
    pub stretch: f64,
    /// Share of calls that are turned away because nothing is free.
    pub shed: f64,
}

/// A span of one of the requests that are kept as samples. Times are in seconds from the begin of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Who worked.
    pub service: Service,
    /// The place of the caller's span in the trace.
    pub parent: Option<usize>,
    /// When it began.
    pub start: f64,
    /// How long it took.
    pub took: f64,
    /// Whether it failed.
    pub failed: bool,
}

/// What was seen of a service.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How long each request took, in seconds, in the order in which they ended.
    pub times: Vec<f64>,
    /// How many of them failed.
    pub failed: u32,
    /// How many took longer than the objective.
    pub slow: u32,
    /// For how many calls it gave up waiting, and of whom last.
    pub gave_up: u32,
    /// As above.
    pub gave_up_on: Option<Service>,
    /// How many requests failed because of somebody that it calls, and of whom last.
    pub failed_below: u32,
    /// As above.
    pub below: Option<Service>,
    /// How many calls of its unwatched dependency failed.
    pub lost: u32,
}

/// How a call ended, as its caller sees it.
struct Outcome {
    took: f64,
    failed: bool,
    /// Of a cache: it had the answer.
    hit: bool,
}

/// Walks requests.
pub struct Traffic<'c> {
    conditions: &'c PerService<Condition>,
    random: Random,
    seen: PerService<Seen>,
    trace: Vec<Sample>,
}

/// Longer than that nobody waits, whatever the timeouts say, in seconds.
const LONGEST: f64 = 30.0;
/// The share of requests that take much longer for no reason worth knowing.
const RARE: f64 = 0.003;

impl<'c> Traffic<'c> {
    /// Nothing was walked yet.
    pub fn new(conditions: &'c PerService<Condition>, random: Random) -> Self {
        Self {
            conditions,
            random,
            seen: PerService::each(|_| Seen::default()),
            trace: Vec::new(),
        }
    }

    /// One request that comes from outside; what it left behind at each service.
    pub fn request(&mut self, entry: Service) -> &[Sample] {
        self.trace.clear();
        self.call(entry, None, 0.0);
        &self.trace
    }

    /// What was seen of all requests.
    pub fn seen(self) -> PerService<Seen> {
        self.seen
    }

    fn call(&mut self, service: Service, parent: Option<usize>, start: f64) -> Outcome {
        let spec = service.spec();
        let conditions = self.conditions;
        let condition = &conditions[service];
        let strain = &condition.strain;
        let place = self.trace.len();
        let queued = match strain.queued > 0.0 {
            true => strain.queued * self.random.between(0.5, 1.5),
            false => 0.0,
        };
        let start = start + queued;
        self.trace.push(Sample {
            service,
            parent,
            start,
            took: 0.0,
            failed: false,
        });
        let mut own = self.random.log_normal(spec.own, spec.spread) * condition.stretch;
        if self.random.chance(RARE) {
            own *= self.random.between(2.0, 4.0);
        }
        if self.random.chance(strain.held_share) {
            own += strain.held * self.random.between(0.6, 1.5);
        }
        let failing = spec.errors + strain.errors + condition.shed;
        let mut failed = self.random.chance(failing);
        // Half of the work is done before others are asked.
        let mut took = own * 0.5;
        if !failed {
            let (more, failed_below) = self.ask(service, spec, place, start + took);
            took += more;
            failed = failed_below;
        }
        took = (took + own * 0.5).min(LONGEST);
        if let Some(sample) = self.trace.get_mut(place) {
            sample.took = took;
            sample.failed = failed;
        }
        let seen = &mut self.seen[service];
        seen.times.push(took);
        seen.failed += u32::from(failed);
        seen.slow += u32::from(spec.objective.is_some_and(|most| took > most));
        let hit = spec.role == Role::Cache && self.random.chance(spec.hits * strain.hits);
        Outcome {
            took: took + queued,
            failed,
            hit,
        }
    }

    /// Asks all that a service needs for a request: how long that takes, and whether it fails for it.
    fn ask(&mut self, service: Service, spec: &Spec, place: usize, start: f64) -> (f64, bool) {
        let mut took = 0.0;
        let mut missed = false;
        for call in spec.calls {
            if call.after_miss && !missed {
                continue;
            }
            if !self.random.chance(call.share) {
                continue;
            }
            let outcome = self.ask_one(service, call, place, start + took);
            took += outcome.took;
            let cache = call.to.spec().role == Role::Cache;
            if outcome.failed && !self.random.chance(call.masked) {
                let seen = &mut self.seen[service];
                seen.failed_below += 1;
                seen.below = Some(call.to);
                return (took, true);
            }
            missed = cache && (outcome.failed || !outcome.hit);
        }
        let strain = &self.conditions[service].strain;
        if let Some(external) = spec.external
            && self.random.chance(external.share)
        {
            let (refused, unanswered) = (strain.refused, strain.unanswered);
            let lost = if self.random.chance(unanswered) {
                took += external.timeout;
                true
            } else {
                took += self.random.log_normal(external.time, 0.3);
                self.random.chance(refused)
            };
            if lost {
                self.seen[service].lost += 1;
                return (took, true);
            }
        }
        (took, false)
    }

    /// Asks one, again if it fails and that is allowed, and no longer than the caller waits.
    fn ask_one(&mut self, caller: Service, call: &Call, place: usize, start: f64) -> Outcome {
        let timeout = call.timeout.min(self.conditions[caller].strain.timeout);
        let mut took = 0.0;
        let mut tries = 0;
        loop {
            let mut outcome = self.call(call.to, Some(place), start + took);
            if outcome.took > timeout {
                outcome.took = timeout;
                outcome.failed = true;
                let seen = &mut self.seen[caller];
                seen.gave_up += 1;
                seen.gave_up_on = Some(call.to);
            }
            took += outcome.took;
            if !outcome.failed || tries == call.retries {
                return Outcome { took, ..outcome };
            }
            tries += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Service::*;

    /// The mean time and the share of failures of each service under one strain.
    fn walk(at: Service, strain: Strain) -> PerService<(f64, f64)> {
        let conditions = PerService::each(|service| Condition {
            strain: match service == at {
                true => strain.clone(),
                false => Strain::default(),
            },
            stretch: 1.0,
            shed: 0.0,
        });
        let mut traffic = Traffic::new(&conditions, Random::new(1, &[]));
        for _ in 0..4_000 {
            traffic.request(Web);
        }
        let seen = traffic.seen();
        PerService::each(|service| {
            let count = seen[service].times.len().max(1) as f64;
            (
                seen[service].times.iter().sum::<f64>() / count,
                f64::from(seen[service].failed) / count,
            )
        })
    }

    #[test]
    fn slowness_reaches_callers_by_their_share_of_calls() {
        let calm = walk(Web, Strain::default());
        let held = Strain {
            held_share: 1.0,
            held: 0.5,
            ..Strain::default()
        };
        let slow = walk(UsersDb, held);
        let rise = |service| slow[service].0 - calm[service].0;
        // 0.5 s, times 1.05 on average, for the 18 % that the cache is asked for and cannot answer.
        assert!((rise(UsersDb) - 0.525).abs() < 0.03, "{}", rise(UsersDb));
        assert!((0.07..0.16).contains(&rise(Users)), "{}", rise(Users));
        assert!((0.01..0.06).contains(&rise(Gateway)), "{}", rise(Gateway));
        assert!(
            rise(Search).abs() < 0.01,
            "who does not call it, is as before"
        );
        assert!(slow[UsersDb].1 < 0.01 && slow[Users].1 < 0.01);
    }

    #[test]
    fn errors_reach_callers_unless_they_can_do_without() {
        let strain = Strain {
            errors: 0.6,
            ..Strain::default()
        };
        let masked = walk(Recommendations, strain.clone());
        assert!(masked[Recommendations].1 > 0.55);
        assert!(masked[Gateway].1 < 0.03, "one of ten is not masked");
        let failing = walk(Payments, strain.clone());
        assert!((failing[Checkout].1 - 0.54).abs() < 0.08);
        assert!((failing[Web].1 - 0.054).abs() < 0.03);
        // A second try helps: 0.6² of 1.
        let queue = walk(OrdersQueue, strain);
        assert!(
            (queue[Checkout].1 - 0.36).abs() < 0.08,
            "{}",
            queue[Checkout].1
        );
    }

    #[test]
    fn a_caller_gives_up_after_its_timeout() {
        let held = Strain {
            held_share: 1.0,
            held: 20.0,
            ..Strain::default()
        };
        let stuck = walk(Payments, held);
        assert!(stuck[Payments].0 > 10.0);
        assert!(stuck[Checkout].0 < 3.5 && stuck[Checkout].1 > 0.8);
        let hasty = Strain {
            timeout: 0.005,
            ..Strain::default()
        };
        let hasty = walk(Checkout, hasty);
        assert!(
            hasty[Checkout].1 > 0.9,
            "it gives up on those that are well"
        );
        assert!(hasty[Carts].1 < 0.01);
    }

    #[test]
    fn a_full_pool_shows_at_callers_more_than_at_itself() {
        let calm = walk(Web, Strain::default());
        let full = Strain {
            queued: 0.6,
            held_share: 0.7,
            held: 0.2,
            ..Strain::default()
        };
        let full = walk(OrdersDb, full);
        assert!(full[OrdersDb].0 < 0.3);
        assert!(full[Checkout].0 - calm[Checkout].0 > 0.7);
    }

    #[test]
    fn a_cache_that_forgets_sends_everything_to_the_database() {
        let count = |strain: Strain| {
            let conditions = PerService::each(|service| Condition {
                strain: match service {
                    CatalogueCache => strain.clone(),
                    _ => Strain::default(),
                },
                stretch: 1.0,
                shed: 0.0,
            });
            let mut traffic = Traffic::new(&conditions, Random::new(1, &[]));
            for _ in 0..2_000 {
                traffic.request(Web);
            }
            traffic.seen()[CatalogueDb].times.len()
        };
        let forgets = Strain {
            hits: 0.05,
            ..Strain::default()
        };
        assert!(count(forgets) > 5 * count(Strain::default()));
    }

    #[test]
    fn a_trace_is_a_tree_whose_spans_lie_within_their_parents() {
        let conditions = PerService::each(|_| Condition {
            strain: Strain::default(),
            stretch: 1.0,
            shed: 0.0,
        });
        let mut traffic = Traffic::new(&conditions, Random::new(1, &[]));
        for _ in 0..200 {
            let trace = traffic.request(Web);
            assert_eq!(trace[0].parent, None);
            for (place, sample) in trace.iter().enumerate().skip(1) {
                let parent = &trace[sample.parent.unwrap()];
                assert!(sample.parent.unwrap() < place);
                assert!(
                    parent
                        .service
                        .spec()
                        .calls
                        .iter()
                        .any(|c| c.to == sample.service)
                );
                assert!(sample.start >= parent.start);
                let end = |sample: &Sample| sample.start + sample.took;
                assert!(
                    end(sample) <= end(parent) + 1e-9
                        || parent.failed
                        || sample.failed
                        || end(sample) > 0.25
                );
            }
        }
    }
}
