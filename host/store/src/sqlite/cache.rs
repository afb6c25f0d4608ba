//! Tasks as last read, because clients ask for the same ones again and again while they wait.

use crate::Task;
use mandate_types::TaskId;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// So many parts, each with a lock of its own.
const SHARDS: usize = 64;
/// Tasks of one part; when there are more, it starts anew.
const TASKS: usize = 64;
/// Larger tasks are not kept, which bounds the whole to 64 MiB of text.
pub(super) const MAX_BYTES: i64 = 16 << 10;

#[derive(Default)]
struct Shard {
    /// Goes up with each change, so that what was read before it is not kept after it.
    changes: u64,
    tasks: HashMap<TaskId, Arc<Task>>,
}

/// The tasks that were read lately. The writer forgets a task before it acknowledges its change.
pub(super) struct TaskCache {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
}

/// The right to keep what is read from now on, unless it changes in between.
pub(super) struct Ticket(u64);

impl TaskCache {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    fn with<T>(&self, id: &TaskId, act: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        let place = usize::try_from(self.hasher.hash_one(id) % SHARDS as u64).ok()?;
        let shard = self.shards.get(place)?;
        Some(act(&mut shard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)))
    }

    /// The task, or the right to keep it once it is read.
    pub(super) fn get(&self, id: &TaskId) -> Result<Arc<Task>, Ticket> {
        self.with(id, |shard| {
            shard
                .tasks
                .get(id)
                .map(Arc::clone)
                .ok_or(Ticket(shard.changes))
        })
        .unwrap_or(Err(Ticket(0)))
    }

    /// Keeps what was read, if it is still true.
    pub(super) fn keep(&self, ticket: &Ticket, task: &Task) {
        self.with(&task.id, |shard| {
            if shard.changes == ticket.0 {
                if shard.tasks.len() >= TASKS {
                    shard.tasks.clear();
                }
                shard.tasks.insert(task.id.clone(), Arc::new(task.clone()));
            }
        });
    }

    /// The task was changed or removed.
    pub(super) fn forget(&self, id: &TaskId) {
        self.with(id, |shard| {
            shard.changes += 1;
            shard.tasks.remove(id);
        });
    }

    /// Any task may have been removed.
    pub(super) fn forget_all(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.changes += 1;
            shard.tasks.clear();
        }
    }
}
