//! When a provider is left alone: after too many failures in a row of time, for as long as it
//! wants, and then with one request at a time until one succeeds.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// So many failures
    pub failures: u32,
    /// within so long open it,
    pub window: Duration,
    /// for so long, unless the provider wants longer.
    pub cool_down: Duration,
}

impl Default for BreakerSettings {
    /// Five failures in sixty seconds.
    fn default() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(60),
            cool_down: Duration::from_secs(30),
        }
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// None passes.
    Open,
    /// One passes, and decides.
    HalfOpen,
}

/// Leaves one model of one provider alone.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    failures: VecDeque<Instant>,
    /// Until then none passes; it was open if there is one.
    until: Option<Instant>,
    /// Whether a probe is under way: nobody but itself ends it.
    probing: bool,
}

/// The right to make one request. Dropping it without a word gives a probe back: nothing was
/// learnt.
#[derive(Debug)]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Breaker {
    /// A closed one.
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request pass, or says for how long none does.
    ///
    /// # Errors
    /// How long to wait; zero when a probe is under way.
    pub fn pass(&self, now: Instant) -> Result<Pass<'_>, Duration> {
        let mut inner = self.inner();
        let Some(until) = inner.until else {
            return Ok(Pass {
                breaker: self,
                is_probe: false,
            });
        };
        if now < until {
            return Err(until - now);
        }
        if inner.probing {
            return Err(Duration::ZERO);
        }
        inner.probing = true;
        Ok(Pass {
            breaker: self,
            is_probe: true,
        })
    }

    /// Whether a request would pass.
    pub fn would_pass(&self, now: Instant) -> bool {
        let inner = self.inner();
        match inner.until {
            None => true,
            Some(until) => now >= until && !inner.probing,
        }
    }

    /// How it stands, and for how long none passes.
    pub fn state(&self, now: Instant) -> (BreakerState, Option<Duration>) {
        let inner = self.inner();
        match inner.until {
            None => (BreakerState::Closed, None),
            Some(until) if now < until => (BreakerState::Open, Some(until - now)),
            Some(_) => (BreakerState::HalfOpen, None),
        }
    }
}

impl Pass<'_> {
    /// The request was answered. Only a probe closes what is open: an answer that was under way
    /// since before says nothing of now.
    pub fn succeeded(mut self) {
        let mut inner = self.breaker.inner();
        if mem::take(&mut self.is_probe) {
            *inner = Inner::default();
        } else if inner.until.is_none() {
            inner.failures.clear();
        }
    }

    /// The request failed in a way that says the provider is not well. A cool-down only ever
    /// becomes longer.
    pub fn failed(self, now: Instant, retry_after: Option<Duration>) {
        let settings = self.breaker.settings;
        let mut inner = self.breaker.inner();
        inner.failures.push_back(now);
        while inner
            .failures
            .front()
            .is_some_and(|at| now.saturating_duration_since(*at) > settings.window)
        {
            inner.failures.pop_front();
        }
        let too_many = inner.failures.len() >= settings.failures as usize;
        if too_many || self.is_probe {
            inner.keep_away(now + settings.cool_down);
        }
        if let Some(retry_after) = retry_after {
            inner.keep_away(now + retry_after);
        }
        // What opened it does not open it again by itself.
        if inner.until.is_some() {
            inner.failures.clear();
        }
    }

    /// The provider is to be left alone for so long, whatever it did before.
    pub fn keep_away(self, now: Instant, least: Duration) {
        self.breaker.inner().keep_away(now + least);
    }
}

impl Inner {
    fn keep_away(&mut self, until: Instant) {
        self.until = Some(self.until.map_or(until, |known| known.max(until)));
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.inner().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Breaker, Instant) {
        (Breaker::new(BreakerSettings::default()), Instant::now())
    }

    fn fail(breaker: &Breaker, at: Instant) {
        breaker.pass(at).unwrap().failed(at, None);
    }

    #[test]
    fn five_failures_in_a_minute_open_it_and_no_fewer() {
        let (breaker, start) = breaker();
        for second in [0, 20, 40, 59] {
            fail(&breaker, start + SECOND * second);
        }
        // The first is older than a minute now.
        fail(&breaker, start + SECOND * 61);
        assert_eq!(breaker.state(start + SECOND * 61).0, BreakerState::Closed);
        fail(&breaker, start + SECOND * 62);
        let now = start + SECOND * 63;
        assert_eq!(breaker.state(now), (BreakerState::Open, Some(SECOND * 29)));
        assert_eq!(breaker.pass(now).unwrap_err(), SECOND * 29);
    }

    #[test]
    fn a_minute_is_over_when_it_is_over() {
        let (breaker, start) = breaker();
        for second in [0, 1, 2, 3, 60] {
            fail(&breaker, start + SECOND * second);
        }
        assert_eq!(breaker.state(start + SECOND * 60).0, BreakerState::Open);
    }

    #[test]
    fn an_answer_in_between_forgives() {
        let (breaker, now) = breaker();
        for _ in 0..4 {
            fail(&breaker, now);
        }
        breaker.pass(now).unwrap().succeeded();
        fail(&breaker, now);
        assert_eq!(breaker.state(now).0, BreakerState::Closed);
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let (breaker, start) = breaker();
        // Under way since before it opened.
        let late = breaker.pass(start).unwrap();
        for _ in 0..5 {
            fail(&breaker, start);
        }
        let now = start + SECOND * 30;
        let probe = breaker.pass(now).unwrap();
        assert!(probe.is_probe);
        assert_eq!(breaker.pass(now).unwrap_err(), Duration::ZERO);
        assert!(!breaker.would_pass(now));
        late.succeeded();
        assert_eq!(breaker.state(now).0, BreakerState::HalfOpen, "no probe");
        probe.failed(now, None);
        assert_eq!(breaker.state(now), (BreakerState::Open, Some(SECOND * 30)));
        assert!(!breaker.would_pass(now), "it is left alone again");
        let now = now + SECOND * 30;
        assert!(breaker.would_pass(now));
        drop(breaker.pass(now).unwrap());
        assert!(breaker.would_pass(now), "who says nothing gives it back");
        breaker.pass(now).unwrap().keep_away(now, SECOND);
        let now = now + SECOND;
        assert!(breaker.would_pass(now), "it wanted no more");
        breaker.pass(now).unwrap().succeeded();
        assert_eq!(breaker.state(now).0, BreakerState::Closed);
        assert!(!breaker.pass(now).unwrap().is_probe);
    }

    #[test]
    fn a_longer_cool_down_is_never_shortened() {
        let (breaker, now) = breaker();
        let passes: Vec<_> = (0..6).map(|_| breaker.pass(now).unwrap()).collect();
        let mut passes = passes.into_iter();
        passes
            .next()
            .unwrap()
            .failed(now, Some(Duration::from_secs(600)));
        for pass in passes {
            pass.failed(now, Some(SECOND));
        }
        assert_eq!(breaker.state(now).1, Some(Duration::from_secs(600)));
    }
}
