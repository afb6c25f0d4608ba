//! Tasks that nobody asks for by hand: an event that a plugin waits for, or a time that came.
//! Each event and each tick fires once: how far a trigger has come is committed with its task.

mod clock;
mod event;

use crate::task::Tasks;
use event::Watch;
use mandate_kernel::Kernel;
use mandate_store::{StoreError, TriggerState};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The triggers of everything that is installed.
pub struct Triggers {
    kernel: Arc<Kernel>,
    tasks: Arc<Tasks>,
    keep: Duration,
}

impl Triggers {
    /// Triggers that submit to `tasks`; what schedules start is kept for `keep`.
    pub fn new(kernel: Arc<Kernel>, tasks: Arc<Tasks>, keep: Duration) -> Arc<Self> {
        Arc::new(Self {
            kernel,
            tasks,
            keep,
        })
    }

    /// Begins to watch.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn start(self: Arc<Self>) -> Result<(), StoreError> {
        let changes = self.kernel.store().subscribe();
        let states = self.states().await?;
        let watch = Watch::new(self.kernel.clone(), self.tasks.clone(), states);
        tokio::spawn(watch.run(changes));
        tokio::spawn(self.watch_clock());
        Ok(())
    }

    async fn states(&self) -> Result<HashMap<String, TriggerState>, StoreError> {
        let states = self.kernel.store().triggers().await?;
        Ok(states
            .into_iter()
            .map(|state| (state.name.clone(), state))
            .collect())
    }
}
