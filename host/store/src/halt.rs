//! Halts, and the tasks that wait for their end.

use crate::{StoreError, Task};
use mandate_types::Halt;

/// Reading halts.
#[async_trait::async_trait]
pub trait HaltStore: Send + Sync {
    /// All of them.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn halts(&self) -> Result<Vec<Halt>, StoreError>;

    /// The tasks whose execution a halt stopped, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn halted_tasks(&self) -> Result<Vec<Task>, StoreError>;
}
