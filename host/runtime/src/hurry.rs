//! When somebody is to be stopped at once, no other guest gets a turn: of many that compute on a
//! few threads, each would else wait for a whole turn of all the others.

use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use tokio::sync::Notify;

/// Whether there is such a hurry. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Hurry(Arc<Shared>);

#[derive(Default)]
struct Shared {
    count: AtomicUsize,
    over: Notify,
}

/// There is one, as long as this is held.
pub struct Hurried(Hurry);

impl Hurry {
    /// From now on.
    pub(crate) fn begin(&self) -> Hurried {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        Hurried(self.clone())
    }

    fn is_on(&self) -> bool {
        self.0.count.load(Ordering::SeqCst) > 0
    }

    async fn over(self) {
        loop {
            let over = self.0.over.notified();
            tokio::pin!(over);
            // Registered before the look, so that the end is not missed.
            over.as_mut().enable();
            if !self.is_on() {
                return;
            }
            over.await;
        }
    }

    /// `guest`, whose turns wait until there is none.
    pub(crate) async fn gives_way<F: Future>(self, guest: F) -> F::Output {
        tokio::pin!(guest);
        let mut pause: Option<BoxFuture<'static, ()>> = None;
        std::future::poll_fn(|context| {
            if pause.is_none() && self.is_on() {
                pause = Some(Box::pin(self.clone().over()));
            }
            if let Some(over) = &mut pause {
                if over.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                pause = None;
            }
            guest.as_mut().poll(context)
        })
        .await
    }
}

impl Drop for Hurried {
    fn drop(&mut self) {
        let shared = &self.0.0;
        if shared.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            shared.over.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;

    #[tokio::test]
    async fn a_turn_waits_until_the_last_hurry_is_over() {
        let hurry = Hurry::default();
        assert_eq!(hurry.clone().gives_way(ready(1)).await, 1);
        let (first, second) = (hurry.begin(), hurry.begin());
        let turn = tokio::spawn(hurry.clone().gives_way(ready(2)));
        drop(first);
        tokio::task::yield_now().await;
        assert!(!turn.is_finished());
        drop(second);
        assert_eq!(turn.await.unwrap(), 2);
    }
}
