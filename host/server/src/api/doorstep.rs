//! Where WebSocket clients stand that have not said yet who they are. Strangers cannot keep others
//! out: when the step is full, the one who has stood there longest has to go.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// How many may stand there.
const MOST: usize = 256;

/// Those who wait, the longest first; dropping a sender sends its stranger away.
#[derive(Default)]
pub struct Doorstep {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    strangers: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// One who waits; leaves when dropped.
pub struct Stranger {
    number: u64,
    sent_away: oneshot::Receiver<()>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Doorstep {
    /// One more waits; if that is one too many, the one who waits longest is sent away.
    pub fn step_up(&self) -> Stranger {
        let (stays, sent_away) = oneshot::channel();
        // What is behind the lock is whole between any two of its lines.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let number = waiting.next;
        waiting.next += 1;
        waiting.strangers.push_back((number, stays));
        if waiting.strangers.len() > MOST {
            waiting.strangers.pop_front();
        }
        Stranger {
            number,
            sent_away,
            waiting: self.waiting.clone(),
        }
    }
}

impl Stranger {
    /// Ends when there is no room any more.
    pub async fn sent_away(&mut self) {
        // Nothing is ever sent: the sender is dropped.
        let _ = (&mut self.sent_away).await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let found = waiting
            .strangers
            .binary_search_by_key(&self.number, |(number, _)| *number);
        if let Ok(place) = found {
            waiting.strangers.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(stranger: &mut Stranger) -> bool {
        stranger.sent_away.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn the_one_who_waits_longest_makes_room() {
        let step = Doorstep::default();
        let mut first = step.step_up();
        let mut others: Vec<_> = (1..MOST).map(|_| step.step_up()).collect();
        assert!(!gone(&mut first));
        // Whoever signs in or leaves makes room, and nobody has to go.
        drop(others.remove(100));
        let mut newer = step.step_up();
        assert!(!gone(&mut first));
        let mut newest = step.step_up();
        assert!(gone(&mut first));
        assert!(!gone(&mut newer) && !gone(&mut newest) && !others.iter_mut().any(gone));
    }
}
