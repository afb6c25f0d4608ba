//! Effects that are under way outside of the host: an execution does not go on before those that
//! it began here have ended, or it would take them for lost.

use mandate_types::ExecutionId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// All that are under way.
#[derive(Clone, Default)]
pub struct Effects {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    running: Mutex<HashMap<ExecutionId, usize>>,
    ended: Notify,
}

/// One that is under way, as long as this is held.
pub struct UnderWay {
    effects: Effects,
    execution: ExecutionId,
}

impl Effects {
    /// Counts one more.
    pub fn begin(&self, execution: &ExecutionId) -> UnderWay {
        *self.running().entry(execution.clone()).or_default() += 1;
        UnderWay {
            effects: self.clone(),
            execution: execution.clone(),
        }
    }

    /// Waits until none of `execution` is under way.
    pub async fn ended(&self, execution: &ExecutionId) {
        self.until(|running| !running.contains_key(execution)).await;
    }

    /// Waits until none is under way at all.
    pub async fn all_ended(&self) {
        self.until(HashMap::is_empty).await;
    }

    async fn until(&self, over: impl Fn(&HashMap<ExecutionId, usize>) -> bool) {
        loop {
            let ended = self.shared.ended.notified();
            tokio::pin!(ended);
            // Registered before the look, so that the last end is not missed.
            ended.as_mut().enable();
            if over(&self.running()) {
                return;
            }
            ended.await;
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<ExecutionId, usize>> {
        self.shared
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut running = self.effects.running();
        if let Some(count) = running.get_mut(&self.execution) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                running.remove(&self.execution);
            }
        }
        drop(running);
        self.effects.shared.ended.notify_waiters();
    }
}
