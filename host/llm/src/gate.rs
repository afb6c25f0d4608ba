//! How many requests a provider gets at once, and how many with how many tokens in a minute, and who
//! of those that wait is next: plugins take turns, so that one with a thousand calls does not starve
//! one with a single call.

use crate::bucket::Bucket;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a provider takes; nothing is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests under way at once.
    pub concurrency: Option<NonZeroU32>,
    /// Requests in a minute.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Tokens in a minute, read and written: until they are counted, four bytes of a request are
    /// one, and the answer is as long as it may be.
    pub tokens_per_minute: Option<NonZeroU32>,
}

/// Lets requests to one provider pass.
pub struct Gate {
    concurrency: Option<NonZeroU32>,
    tokens: Option<NonZeroU32>,
    inner: Mutex<Inner>,
}

/// Who waits, with so many tokens.
struct Waiting {
    sender: oneshot::Sender<Permit>,
    tokens: f64,
}

struct Inner {
    running: u32,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// Those that wait, by plugin; the plugin in front is next, and then goes to the back.
    ring: VecDeque<(String, VecDeque<Waiting>)>,
    /// When the next turn comes by itself, because the rates allow it then.
    timed: Option<Instant>,
}

/// The right to one request, as long as it is held.
pub struct Permit {
    gate: Arc<Gate>,
    /// What was taken for it.
    tokens: f64,
    is_asked: bool,
}

impl Permit {
    /// The request goes: what was taken for it is used, unless it is said to be less.
    pub fn asks(&mut self) {
        self.is_asked = true;
    }

    /// So many tokens were used: what was taken for more is given back, and who used more than
    /// was thought pays that, too.
    pub fn used(&self, tokens: u64) {
        self.gate.counted(self.tokens, tokens as f64);
        self.gate.turn();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.is_asked {
            self.gate.counted(self.tokens, 0.0);
        }
        self.gate.inner().running -= 1;
        self.gate.turn();
    }
}

/// Somebody comes or leaves: whose turn is it?
struct Turns<'a>(&'a Arc<Gate>);

impl Drop for Turns<'_> {
    fn drop(&mut self) {
        self.0.turn();
    }
}

impl Gate {
    /// A gate with these limits.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            concurrency: limits.concurrency,
            tokens: limits.tokens_per_minute,
            inner: Mutex::new(Inner {
                running: 0,
                requests: limits.requests_per_minute.map(Bucket::of),
                tokens: limits.tokens_per_minute.map(Bucket::of),
                ring: VecDeque::new(),
                timed: None,
            }),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is the turn of `plugin` with a request of about so many tokens, but no
    /// longer than `most`. None if it is not by then.
    pub async fn enter(
        self: &Arc<Self>,
        plugin: &str,
        tokens: u64,
        most: Duration,
    ) -> Option<Permit> {
        // Who leaves in front of others lets them pass; dropped after the place in the line.
        let _turns = Turns(self);
        let (sender, permit) = oneshot::channel();
        {
            let tokens = self.at_most(tokens as f64);
            let waiting = Waiting { sender, tokens };
            let mut inner = self.inner();
            match inner.ring.iter_mut().find(|(name, _)| name == plugin) {
                Some((_, queue)) => queue.push_back(waiting),
                None => inner
                    .ring
                    .push_back((plugin.to_owned(), VecDeque::from([waiting]))),
            }
        }
        self.turn();
        tokio::time::timeout(most, permit).await.ok()?.ok()
    }

    /// One request counts for no more than there is in a minute, whoever says so.
    fn at_most(&self, tokens: f64) -> f64 {
        let most = self.tokens.map_or(f64::MAX, |most| f64::from(most.get()));
        tokens.min(most)
    }

    fn counted(&self, taken: f64, used: f64) {
        if let Some(bucket) = &mut self.inner().tokens {
            bucket.give_back(taken - self.at_most(used));
        }
    }

    /// Lets pass who may.
    fn turn(self: &Arc<Self>) {
        loop {
            let (sender, permit) = {
                let mut inner = self.inner();
                let Some(Waiting { sender, tokens }) = self.next(&mut inner) else {
                    return;
                };
                inner.running += 1;
                let permit = Permit {
                    gate: self.clone(),
                    tokens,
                    is_asked: false,
                };
                (sender, permit)
            };
            // Who left meanwhile gives it back: a permit that is dropped takes its own turn.
            if let Err(unused) = sender.send(permit) {
                drop(unused);
                return;
            }
        }
    }

    fn next(self: &Arc<Self>, inner: &mut Inner) -> Option<Waiting> {
        if self
            .concurrency
            .is_some_and(|most| inner.running >= most.get())
        {
            return None;
        }
        // Who gave up is not next.
        while let Some((_, queue)) = inner.ring.front_mut() {
            if queue.front().is_some_and(|it| !it.sender.is_closed()) {
                break;
            }
            queue.pop_front();
            // And whose it was has had his turn.
            let plugin = inner.ring.pop_front();
            let waits = plugin.filter(|(_, queue)| !queue.is_empty());
            inner.ring.extend(waits);
        }
        let tokens = inner.ring.front()?.1.front()?.tokens;
        let wait = |bucket: &mut Option<Bucket>, much| match bucket {
            Some(bucket) => bucket.wait(much),
            None => Duration::ZERO,
        };
        let wait = wait(&mut inner.requests, 1.0).max(wait(&mut inner.tokens, tokens));
        if !wait.is_zero() {
            let at = Instant::now() + wait;
            // Who waited longer may have left.
            if inner.timed.is_none_or(|timed| at < timed) {
                inner.timed = Some(at);
                let gate = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep_until(at).await;
                    gate.inner().timed.take_if(|timed| *timed <= at);
                    gate.turn();
                });
            }
            return None;
        }
        for (bucket, much) in [(&mut inner.requests, 1.0), (&mut inner.tokens, tokens)] {
            if let Some(bucket) = bucket {
                bucket.take(much);
            }
        }
        let (plugin, mut queue) = inner.ring.pop_front()?;
        let waiting = queue.pop_front();
        if !queue.is_empty() {
            inner.ring.push_back((plugin, queue));
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(concurrency: u32) -> Arc<Gate> {
        Gate::new(Limits {
            concurrency: NonZeroU32::new(concurrency),
            ..Limits::default()
        })
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn no_more_than_allowed_are_under_way() {
        let gate = gate(2);
        let first = gate.enter("a", 1, LONG).await.unwrap();
        let _second = gate.enter("a", 1, LONG).await.unwrap();
        assert!(gate.enter("a", 1, Duration::ZERO).await.is_none());
        drop(first);
        assert!(gate.enter("a", 1, LONG).await.is_some());
    }

    #[tokio::test]
    async fn plugins_take_turns_however_many_calls_one_has() {
        let gate = gate(1);
        let first = gate.enter("many", 1, LONG).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for plugin in ["many", "many", "many", "one", "two"] {
            let (gate, order) = (gate.clone(), order.clone());
            let mut entered = Box::pin(async move {
                let permit = gate.enter(plugin, 1, LONG).await.unwrap();
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
        let first = gate.enter("a", 1, LONG).await.unwrap();
        for _ in 0..3 {
            assert!(gate.enter("b", 1, Duration::ZERO).await.is_none());
        }
        drop(first);
        let second = gate.enter("c", 1, LONG).await;
        assert!(second.is_some());
        drop(second);
        assert_eq!(gate.inner().running, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_has_so_many_and_no_more() {
        let gate = Gate::new(Limits {
            requests_per_minute: NonZeroU32::new(3),
            ..Limits::default()
        });
        for _ in 0..3 {
            drop(gate.enter("a", 1, LONG).await.unwrap());
        }
        let begun = tokio::time::Instant::now();
        assert!(gate.enter("a", 1, Duration::from_secs(19)).await.is_none());
        for next in [20, 40, 60] {
            assert!(gate.enter("a", 1, LONG).await.is_some());
            assert_eq!(begun.elapsed().as_secs(), next);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_lets_others_pass() {
        let gate = Gate::new(Limits {
            tokens_per_minute: NonZeroU32::new(600),
            ..Limits::default()
        });
        let mut first = gate.enter("a", 500, LONG).await.unwrap();
        first.asks();
        assert!(gate.enter("b", 200, Duration::from_secs(1)).await.is_none());
        let mut second = Box::pin(gate.enter("b", 200, LONG));
        assert!(futures_util::poll!(&mut second).is_pending());
        first.used(40);
        let begun = tokio::time::Instant::now();
        let mut second = second.await.unwrap();
        second.asks();
        assert!(begun.elapsed().is_zero());
        // More than was thought: the next wait for it. 600 + 10 - 40 - 500 are left.
        second.used(500);
        assert!(gate.enter("a", 100, Duration::from_secs(1)).await.is_none());
        assert!(gate.enter("a", 100, LONG).await.is_some());
        assert_eq!(begun.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nobody_took_nothing() {
        let gate = Gate::new(Limits {
            tokens_per_minute: NonZeroU32::new(600),
            ..Limits::default()
        });
        let begun = tokio::time::Instant::now();
        for _ in 0..3 {
            drop(gate.enter("a", 600, LONG).await.unwrap());
        }
        assert!(begun.elapsed().is_zero());
        // And who got the permit when he had left.
        let mut left = Box::pin(gate.enter("a", 600, LONG));
        let mut first = gate.enter("a", 600, LONG).await.unwrap();
        assert!(futures_util::poll!(&mut left).is_pending());
        first.asks();
        first.used(0);
        drop(first);
        drop(left);
        assert!(gate.enter("b", 600, Duration::ZERO).await.is_some());
        assert_eq!(gate.inner().running, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_takes_more_than_a_minute_has_whoever_says_so() {
        let gate = Gate::new(Limits {
            tokens_per_minute: NonZeroU32::new(600),
            ..Limits::default()
        });
        let mut huge = gate.enter("a", u64::MAX, LONG).await.unwrap();
        huge.asks();
        huge.used(u64::MAX);
        drop(huge);
        let begun = tokio::time::Instant::now();
        assert!(gate.enter("b", 600, 2 * LONG).await.is_some());
        assert_eq!(begun.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_in_front_lets_others_pass() {
        let gate = Gate::new(Limits {
            tokens_per_minute: NonZeroU32::new(600),
            ..Limits::default()
        });
        let mut first = gate.enter("a", 500, LONG).await.unwrap();
        first.asks();
        let mut large = Box::pin(gate.enter("a", 600, Duration::from_secs(5)));
        assert!(futures_util::poll!(&mut large).is_pending());
        let mut next = Box::pin(gate.enter("a", 600, LONG));
        assert!(futures_util::poll!(&mut next).is_pending());
        let mut small = Box::pin(gate.enter("b", 50, LONG));
        assert!(futures_util::poll!(&mut small).is_pending());
        let begun = tokio::time::Instant::now();
        let (large, small) = futures_util::join!(large, async {
            let permit = small.await;
            (permit.is_some(), begun.elapsed().as_secs())
        });
        assert!(large.is_none());
        assert_eq!(small, (true, 5), "its plugin's next is not in front again");
    }
}
