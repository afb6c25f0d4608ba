//! The handle by which others end a running guest, while it computes and while it waits.

use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// Stops the guests that it was given to. Clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    reason: OnceLock<Reason>,
    changed: Notify,
}

#[derive(Debug)]
struct Reason {
    text: String,
    suspends: bool,
}

impl Stop {
    /// A handle that has not stopped anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops, for good; the first reason stays. Guests started later with this handle end at once.
    pub fn stop(&self, reason: impl Into<String>) {
        self.set(reason.into(), false);
    }

    /// As [`Stop::stop`], but nothing of what is stopped has ended: it goes on another time, from
    /// its journal.
    pub fn suspend(&self, reason: impl Into<String>) {
        self.set(reason.into(), true);
    }

    fn set(&self, text: String, suspends: bool) {
        // Only the first reason is kept: whoever came second did not stop anything.
        let _ = self.shared.reason.set(Reason { text, suspends });
        self.shared.changed.notify_waiters();
    }

    /// Why it was stopped; none if it was not.
    pub fn reason(&self) -> Option<&str> {
        self.shared.reason.get().map(|reason| reason.text.as_str())
    }

    /// Whether it was suspended.
    pub fn suspends(&self) -> bool {
        self.shared
            .reason
            .get()
            .is_some_and(|reason| reason.suspends)
    }

    /// Waits until it is stopped, and says why.
    pub async fn stopped(&self) -> String {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a stop in between is not missed.
            changed.as_mut().enable();
            if let Some(reason) = self.reason() {
                return reason.to_owned();
            }
            changed.await;
        }
    }
}
