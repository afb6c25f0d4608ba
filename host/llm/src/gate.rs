//! How many requests a provider gets at once and in a minute, and who of those that wait is next:
//! plugins take turns, so that one with a thousand calls does not starve one with a single call.

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What a provider takes; nothing is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests under way at once.
    pub concurrency: Option<NonZeroU32>,
    /// Requests in a minute.
    pub requests_per_minute: Option<NonZeroU32>,
}

/// Lets requests to one provider pass.
pub struct Gate {
    concurrency: Option<NonZeroU32>,
    rate: Option<DefaultDirectRateLimiter>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    running: u32,
    /// Those that wait, by plugin; the plugin in front is next, and then goes to the back.
    ring: VecDeque<(String, VecDeque<oneshot::Sender<Permit>>)>,
    /// The next turn comes by itself, when the rate allows it.
    is_timed: bool,
}

/// The right to one request, as long as it is held.
pub struct Permit(Arc<Gate>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.inner().running -= 1;
        self.0.turn();
    }
}

impl Gate {
    /// A gate with these limits.
    pub fn new(limits: Limits) -> Arc<Self> {
        let quota = limits.requests_per_minute.map(Quota::per_minute);
        Arc::new(Self {
            concurrency: limits.concurrency,
            rate: quota.map(RateLimiter::direct),
            inner: Mutex::default(),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is the turn of `plugin`, but no longer than `most`. None if it is not by then.
    pub async fn enter(self: &Arc<Self>, plugin: &str, most: Duration) -> Option<Permit> {
        let (sender, permit) = oneshot::channel();
        {
            let mut inner = self.inner();
            match inner.ring.iter_mut().find(|(name, _)| name == plugin) {
                Some((_, queue)) => queue.push_back(sender),
                None => inner
                    .ring
                    .push_back((plugin.to_owned(), VecDeque::from([sender]))),
            }
        }
        self.turn();
        tokio::time::timeout(most, permit).await.ok()?.ok()
    }

    /// Lets pass who may.
    fn turn(self: &Arc<Self>) {
        loop {
            let (sender, permit) = {
                let mut inner = self.inner();
                let Some(sender) = self.next(&mut inner) else {
                    return;
                };
                inner.running += 1;
                (sender, Permit(self.clone()))
            };
            // Who left meanwhile gives it back: a permit that is dropped takes its own turn.
            if let Err(unused) = sender.send(permit) {
                drop(unused);
                return;
            }
        }
    }

    fn next(self: &Arc<Self>, inner: &mut Inner) -> Option<oneshot::Sender<Permit>> {
        if self
            .concurrency
            .is_some_and(|most| inner.running >= most.get())
        {
            return None;
        }
        // Who gave up is not next.
        while let Some((_, queue)) = inner.ring.front_mut() {
            while queue.front().is_some_and(oneshot::Sender::is_closed) {
                queue.pop_front();
            }
            if !queue.is_empty() {
                break;
            }
            inner.ring.pop_front();
        }
        if inner.ring.is_empty() {
            return None;
        }
        if let Some(rate) = &self.rate
            && let Err(later) = rate.check()
        {
            if !inner.is_timed {
                inner.is_timed = true;
                let wait = later.wait_time_from(DefaultClock::default().now());
                let gate = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    gate.inner().is_timed = false;
                    gate.turn();
                });
            }
            return None;
        }
        let (plugin, mut queue) = inner.ring.pop_front()?;
        let sender = queue.pop_front();
        if !queue.is_empty() {
            inner.ring.push_back((plugin, queue));
        }
        sender
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(concurrency: u32) -> Arc<Gate> {
        Gate::new(Limits {
            concurrency: NonZeroU32::new(concurrency),
            requests_per_minute: None,
        })
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn no_more_than_allowed_are_under_way() {
        let gate = gate(2);
        let first = gate.enter("a", LONG).await.unwrap();
        let _second = gate.enter("a", LONG).await.unwrap();
        assert!(gate.enter("a", Duration::ZERO).await.is_none());
        drop(first);
        assert!(gate.enter("a", LONG).await.is_some());
    }

    #[tokio::test]
    async fn plugins_take_turns_however_many_calls_one_has() {
        let gate = gate(1);
        let first = gate.enter("many", LONG).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for plugin in ["many", "many", "many", "one", "two"] {
            let (gate, order) = (gate.clone(), order.clone());
            let mut entered = Box::pin(async move {
                let permit = gate.enter(plugin, LONG).await.unwrap();
                order.lock().unwrap().push(plugin);
                drop(permit);
            });
            // In line, in this order.
            assert!(futures_util::poll!(&mut entered).is_pending());
            waiting.push(entered);
        }
        drop(first);
        futures_util::future::join_all(waiting).await;
        assert_eq!(
            *order.lock().unwrap(),
            ["many", "one", "two", "many", "many"]
        );
    }

    #[tokio::test]
    async fn who_gives_up_does_not_keep_the_place() {
        let gate = gate(1);
        let first = gate.enter("a", LONG).await.unwrap();
        for _ in 0..3 {
            assert!(gate.enter("b", Duration::ZERO).await.is_none());
        }
        drop(first);
        let second = gate.enter("c", LONG).await;
        assert!(second.is_some());
        drop(second);
        assert_eq!(gate.inner().running, 0);
    }

    #[tokio::test]
    async fn a_minute_has_so_many_and_no_more() {
        let gate = Gate::new(Limits {
            concurrency: None,
            requests_per_minute: NonZeroU32::new(3),
        });
        for _ in 0..3 {
            drop(gate.enter("a", LONG).await.unwrap());
        }
        assert!(gate.enter("a", Duration::from_millis(20)).await.is_none());
    }
}
