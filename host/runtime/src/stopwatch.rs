//! How long a guest has run, as its limit on time counts it: not while it is replayed, nor while
//! it waits for one that is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How many times its limit on time a guest may be held: a replay takes about as long as what it
/// repeats, and one that goes on for ever must end too.
const MOST_HELD: u32 = 8;

/// Measures one call of a guest, also over several starts of the host. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Stopwatch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// What was measured up to the last change.
    measured: Duration,
    /// When it was last let go.
    since: Option<Instant>,
    holds: u32,
}

impl Stopwatch {
    /// Runs from now on, for a guest that ran so long already.
    pub fn after(measured: Duration) -> Self {
        let state = State {
            measured,
            since: Some(Instant::now()),
            holds: 0,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Notify::new(),
            }),
        }
    }

    /// Stops measuring, until each hold is released.
    pub fn hold(&self) {
        let mut state = self.state();
        state.measured = state.elapsed();
        state.since = None;
        state.holds = state.holds.saturating_add(1);
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Takes one hold back.
    pub fn release(&self) {
        let mut state = self.state();
        state.holds = state.holds.saturating_sub(1);
        if state.holds == 0 && state.since.is_none() {
            state.since = Some(Instant::now());
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// What it has measured.
    pub fn elapsed(&self) -> Duration {
        self.state().elapsed()
    }

    /// Waits until it has measured `limit`, or was held for much longer than that.
    pub async fn reaches(&self, limit: Duration) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change in between is missed.
            changed.as_mut().enable();
            let left = {
                let state = self.state();
                match state.since {
                    Some(_) => limit.saturating_sub(state.elapsed()),
                    None => limit.saturating_mul(MOST_HELD),
                }
            };
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => return,
                () = changed => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn elapsed(&self) -> Duration {
        let running = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.measured.saturating_add(running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(40);

    #[tokio::test]
    async fn what_was_measured_before_counts() {
        let begun = Instant::now();
        Stopwatch::after(LIMIT).reaches(LIMIT).await;
        assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
        let watch = Stopwatch::after(LIMIT / 2);
        watch.reaches(LIMIT).await;
        assert!(watch.elapsed() >= LIMIT);
    }

    #[tokio::test]
    async fn nothing_is_measured_before_the_last_hold_is_released() {
        let watch = Stopwatch::after(LIMIT / 2);
        watch.hold();
        watch.hold();
        let before = watch.elapsed();
        watch.release();
        let reached = watch.reaches(LIMIT);
        tokio::pin!(reached);
        let early = tokio::time::timeout(LIMIT * 2, &mut reached).await;
        assert!(early.is_err(), "it was held");
        assert_eq!(watch.elapsed(), before);
        watch.release();
        reached.await;
        assert!(watch.elapsed() >= LIMIT);
    }

    #[tokio::test]
    async fn a_hold_without_an_end_ends_too() {
        let watch = Stopwatch::after(Duration::ZERO);
        watch.hold();
        watch.reaches(LIMIT / 4).await;
        assert!(watch.elapsed() < LIMIT / 4);
    }
}
