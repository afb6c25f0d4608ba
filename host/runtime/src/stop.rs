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
    reason: OnceLock<String>,
    changed: Notify,
}

impl Stop {
    /// A handle that has not stopped anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops, for good; the first reason stays. Guests started later with this handle end at once.
    pub fn stop(&self, reason: impl Into<String>) {
        // Only the first reason is kept: whoever came second did not stop anything.
        let _ = self.shared.reason.set(reason.into());
        self.shared.changed.notify_waiters();
    }

    /// Why it was stopped; none if it was not.
    pub fn reason(&self) -> Option<&str> {
        self.shared.reason.get().map(String::as_str)
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
