//! A provider's place in the chain: whether it is asked at all, and how it did so far.

use crate::breaker::{Breaker, BreakerSettings, BreakerState, Pass};
use crate::fault::{Fault, Kind};
use crate::gate::{Gate, Limits};
use crate::{ModelClass, Provider};
use mandate_types::MicroUsd;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whoever spent all his money is asked again after so long, if he does not say when.
const SPENT: Duration = Duration::from_secs(3_600);
/// So many of the last answers are looked at for how long they take.
const MOST_TIMES: usize = 256;

/// A provider in the chain.
pub struct Seat {
    /// Who.
    pub provider: Arc<dyn Provider>,
    /// Before which its requests wait; none if it takes any.
    pub gate: Option<Arc<Gate>>,
    breakers: BTreeMap<ModelClass, Breaker>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Classes that are not asked until a test of them succeeds, and why.
    out: BTreeMap<ModelClass, (Kind, String)>,
    answered: u64,
    failed: u64,
    times: Vec<Duration>,
    next: usize,
    last_error: Option<String>,
    cost: MicroUsd,
}

/// How a provider stands, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// How its breaker stands for a class.
    pub breakers: BTreeMap<ModelClass, (BreakerState, Option<Duration>)>,
    /// Classes that are not asked until a test of them succeeds, and why.
    pub out: BTreeMap<ModelClass, String>,
    /// Attempts that were answered, since the host started.
    pub answered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// The middle of how long the last answers took,
    pub p50: Option<Duration>,
    /// what one in twenty exceeds,
    pub p95: Option<Duration>,
    /// and what only one in a hundred exceeds.
    pub p99: Option<Duration>,
    /// What it said when it last failed.
    pub last_error: Option<String>,
    /// What its attempts cost since the host started.
    pub cost: MicroUsd,
}

impl Seat {
    /// A place for `provider`.
    pub fn new(provider: Arc<dyn Provider>, settings: BreakerSettings, limits: Limits) -> Self {
        let breakers = [ModelClass::Fast, ModelClass::Smart, ModelClass::Embed]
            .into_iter()
            .filter(|class| provider.model(*class).is_some())
            .map(|class| (class, Breaker::new(settings)))
            .collect();
        Self {
            provider,
            gate: (limits != Limits::default()).then(|| Gate::new(limits)),
            breakers,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to ask for `class` now; who `insists` may ask also what is out.
    ///
    /// # Errors
    /// Why not, and when it may be asked again, if that is known.
    pub fn pass(
        &self,
        class: ModelClass,
        insists: bool,
    ) -> Result<Pass<'_>, (String, Option<Duration>)> {
        // What the provider said may quote whoever asked then.
        if let Some((kind, _)) = self.kept().out.get(&class).filter(|_| !insists) {
            let why = match kind {
                Kind::Key => "it refuses the key",
                _ => "it does not know the model",
            };
            return Err((
                format!("it is out until a test of it succeeds or the host starts again: {why}"),
                None,
            ));
        }
        let Some(breaker) = self.breakers.get(&class) else {
            return Err(("it has no model of this class".to_owned(), None));
        };
        breaker.pass(Instant::now()).map_err(|wait| {
            let why = if wait.is_zero() {
                "it failed often, and one request tries whether it is well again".to_owned()
            } else {
                format!("it is left alone for {} s more", wait.as_secs().max(1))
            };
            (why, Some(wait))
        })
    }

    /// Remembers an answer: the class is not out any more, and the key is good.
    pub fn answered(&self, pass: Pass<'_>, class: ModelClass, took: Duration) {
        pass.succeeded();
        let mut kept = self.kept();
        kept.answered += 1;
        kept.out
            .retain(|out, (kind, _)| *out != class && *kind != Kind::Key);
        if kept.times.len() < MOST_TIMES {
            kept.times.push(took);
        } else {
            let next = kept.next;
            if let Some(slot) = kept.times.get_mut(next) {
                *slot = took;
            }
            kept.next = (next + 1) % MOST_TIMES;
        }
    }

    /// Remembers a failure, and leaves the provider alone if it says so.
    pub fn failed(&self, pass: Pass<'_>, class: ModelClass, fault: &Fault) {
        let now = Instant::now();
        match fault.kind {
            // The wrong request says that whoever answered it is well.
            Kind::Request | Kind::TooLong => pass.succeeded(),
            Kind::Spent => pass.keep_away(now, fault.retry_after.unwrap_or(SPENT)),
            Kind::Key | Kind::Model => drop(pass),
            _ => pass.failed(now, fault.retry_after),
        }
        let mut kept = self.kept();
        kept.failed += 1;
        kept.last_error = Some(fault.reason.clone());
        if fault.kind == Kind::Key {
            for class in self.breakers.keys() {
                kept.out.insert(*class, (Kind::Key, fault.reason.clone()));
            }
        } else if fault.kind == Kind::Model {
            kept.out.insert(class, (Kind::Model, fault.reason.clone()));
        }
    }

    /// Remembers what an attempt cost.
    pub fn cost(&self, cost: MicroUsd) {
        let mut kept = self.kept();
        kept.cost = kept.cost.plus(cost);
    }

    /// Whether a request for `class` would be let through now.
    pub fn would_pass(&self, class: ModelClass) -> bool {
        let breaker = self.breakers.get(&class);
        let is_well = breaker.is_some_and(|breaker| breaker.would_pass(Instant::now()));
        is_well && !self.kept().out.contains_key(&class)
    }

    /// Within what time `percent` of the last answers came; none if there were none.
    pub fn latency(&self, percent: usize) -> Option<Duration> {
        let mut times = self.kept().times.clone();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        times.get((times.len() * percent / 100).min(last)).copied()
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let now = Instant::now();
        let breakers = self.breakers.iter();
        let breakers = breakers
            .map(|(class, breaker)| (*class, breaker.state(now)))
            .collect();
        let [p50, p95, p99] = [50, 95, 99].map(|percent| self.latency(percent));
        let kept = self.kept();
        Standing {
            breakers,
            out: kept
                .out
                .iter()
                .map(|(class, (_, why))| (*class, why.clone()))
                .collect(),
            answered: kept.answered,
            failed: kept.failed,
            p50,
            p95,
            p99,
            last_error: kept.last_error.clone(),
            cost: kept.cost,
        }
    }
}
