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
    /// One for each model: classes that have the same share it.
    breakers: BTreeMap<ModelClass, Arc<Breaker>>,
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
        let mut of_models: BTreeMap<String, Arc<Breaker>> = BTreeMap::new();
        let mut breakers = BTreeMap::new();
        for class in [ModelClass::Fast, ModelClass::Smart, ModelClass::Embed] {
            if let Some(model) = provider.model(class) {
                let breaker = of_models.entry(model.to_owned());
                let breaker = breaker.or_insert_with(|| Arc::new(Breaker::new(settings)));
                breakers.insert(class, breaker.clone());
            }
        }
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

    /// The classes that are served by the same model as `class`.
    fn served_as(&self, class: ModelClass) -> impl Iterator<Item = ModelClass> {
        let model = self.provider.model(class);
        let classes = self.breakers.keys().copied();
        classes.filter(move |other| self.provider.model(*other) == model)
    }

    /// Remembers an answer: its model is not out any more, and the key is good.
    pub fn answered(&self, pass: Pass<'_>, class: ModelClass, took: Duration) {
        pass.succeeded();
        let mut kept = self.kept();
        kept.answered += 1;
        kept.out.retain(|_, (kind, _)| *kind != Kind::Key);
        for class in self.served_as(class) {
            kept.out.remove(&class);
        }
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
            for class in self.served_as(class) {
                kept.out.insert(class, (Kind::Model, fault.reason.clone()));
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Answer, Vectors};
    use crate::{Heard, Price, Request};

    /// `fast` and `smart` are the same model.
    struct Two;

    #[async_trait::async_trait]
    impl Provider for Two {
        fn id(&self) -> &str {
            "two"
        }
        fn model(&self, class: ModelClass) -> Option<&str> {
            Some(match class {
                ModelClass::Embed => "vectors",
                ModelClass::Fast | ModelClass::Smart => "words",
            })
        }
        fn price(&self, _: ModelClass) -> Option<Price> {
            None
        }
        async fn complete(&self, _: &Request) -> Result<Answer, Fault> {
            Err(Fault::new(Kind::Model, "none"))
        }
        async fn stream(&self, request: &Request, _: Heard<'_>) -> Result<Answer, Fault> {
            self.complete(request).await
        }
        async fn embed(&self, _: &[String]) -> Result<Vectors, Fault> {
            Err(Fault::new(Kind::Model, "none"))
        }
    }

    fn seat() -> Seat {
        Seat::new(Arc::new(Two), BreakerSettings::default(), Limits::default())
    }

    fn would_pass(seat: &Seat) -> [bool; 3] {
        [ModelClass::Fast, ModelClass::Smart, ModelClass::Embed].map(|class| seat.would_pass(class))
    }

    fn fail(seat: &Seat, class: ModelClass, kind: Kind) {
        let pass = seat.pass(class, true).unwrap();
        seat.failed(pass, class, &Fault::new(kind, "no"));
    }

    #[test]
    fn what_a_model_does_counts_for_all_that_it_serves() {
        let seat = seat();
        for class in [ModelClass::Fast, ModelClass::Smart]
            .into_iter()
            .cycle()
            .take(5)
        {
            assert_eq!(would_pass(&seat), [true; 3]);
            fail(&seat, class, Kind::Busy);
        }
        assert_eq!(would_pass(&seat), [false, false, true]);
        let standing = seat.standing();
        assert_eq!((standing.answered, standing.failed), (0, 5));
        assert_eq!(standing.last_error.as_deref(), Some("no"));
        assert_eq!(standing.breakers[&ModelClass::Smart].0, BreakerState::Open);
        assert_eq!(
            standing.breakers[&ModelClass::Embed].0,
            BreakerState::Closed
        );
    }

    #[test]
    fn who_is_out_stays_out_until_a_test_of_it_succeeds() {
        let seat = seat();
        fail(&seat, ModelClass::Fast, Kind::Model);
        assert_eq!(would_pass(&seat), [false, false, true]);
        assert_eq!(seat.standing().out[&ModelClass::Smart], "no");
        let (why, wait) = seat.pass(ModelClass::Smart, false).unwrap_err();
        assert!(why.contains("know the model") && wait.is_none(), "{why}");
        for _ in 0..9 {
            fail(&seat, ModelClass::Embed, Kind::Key);
        }
        assert_eq!(would_pass(&seat), [false; 3]);
        let (why, _) = seat.pass(ModelClass::Embed, false).unwrap_err();
        assert!(why.contains("refuses the key"), "{why}");
        // The key is good; whether the other model is known nobody can say.
        let pass = seat.pass(ModelClass::Embed, true).unwrap();
        seat.answered(pass, ModelClass::Embed, Duration::ZERO);
        assert_eq!(would_pass(&seat), [true; 3]);
        fail(&seat, ModelClass::Fast, Kind::Model);
        let pass = seat.pass(ModelClass::Embed, true).unwrap();
        seat.answered(pass, ModelClass::Embed, Duration::ZERO);
        assert_eq!(would_pass(&seat), [false, false, true]);
        let pass = seat.pass(ModelClass::Smart, true).unwrap();
        seat.answered(pass, ModelClass::Smart, Duration::ZERO);
        assert_eq!(would_pass(&seat), [true; 3]);
    }

    #[test]
    fn who_spent_all_is_left_alone_for_an_hour_and_a_mistake_is_no_outage() {
        let seat = seat();
        for _ in 0..9 {
            fail(&seat, ModelClass::Fast, Kind::Request);
            fail(&seat, ModelClass::Fast, Kind::TooLong);
        }
        assert!(seat.would_pass(ModelClass::Fast));
        fail(&seat, ModelClass::Fast, Kind::Spent);
        let (_, wait) = seat.pass(ModelClass::Fast, false).unwrap_err();
        let wait = wait.unwrap();
        assert!(
            wait <= SPENT && wait > SPENT - Duration::from_secs(60),
            "{wait:?}"
        );
    }

    #[test]
    fn of_the_last_answers_it_is_known_how_long_they_took() {
        let seat = seat();
        assert_eq!(seat.latency(50), None);
        let took = |milliseconds| {
            let pass = seat.pass(ModelClass::Fast, false).unwrap();
            seat.answered(pass, ModelClass::Fast, Duration::from_millis(milliseconds));
        };
        // The first are older than what is looked at.
        (0..10).for_each(|_| took(100_000));
        (1..=MOST_TIMES as u64).rev().for_each(took);
        let percent = |percent| seat.latency(percent).unwrap().as_millis();
        assert_eq!((percent(0), percent(50), percent(100)), (1, 129, 256));
        assert_eq!(percent(95), 244);
        seat.cost(MicroUsd(3));
        seat.cost(MicroUsd(4));
        let standing = seat.standing();
        assert_eq!(standing.cost, MicroUsd(7));
        assert_eq!(standing.answered, 10 + MOST_TIMES as u64);
        let [p50, p95, p99] = [standing.p50, standing.p95, standing.p99];
        let asked = [50, 95, 99].map(|percent| seat.latency(percent));
        assert_eq!([p50, p95, p99], asked);
    }
}
