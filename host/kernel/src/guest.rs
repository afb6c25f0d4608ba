//! The host as one guest sees it: the state behind the imports of one invocation.

use crate::capability::Scope;
use crate::journal::Journal;
use crate::streams::Streams;
use crate::thoughts::Beside;
use crate::tree::{Halted, Replaying};
use mandate_runtime::{Ambient, End, HostError, Stopwatch, Stream};
use mandate_store::{LogLevel, LogLine, Write};
use mandate_types::{MicroUsd, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;
use std::sync::Arc;

/// What an import answers; the error is a trap that ends the instance.
pub type Told<T> = mandate_runtime::HostResult<T>;

/// One invocation's side of the sandbox boundary.
pub struct Guest {
    /// Who asks.
    pub scope: Arc<Scope>,
    /// Where it is.
    pub journal: Journal,
    /// What its own steps cost.
    pub cost: MicroUsd,
    /// Why the execution cannot go on here, if that ended the instance.
    pub halted: Option<Halted>,
    /// What the task's next execution is to begin with, if that ended the instance.
    pub continuation: Option<Value>,
    /// The models' answers that it hears piece by piece.
    pub streams: Streams,
    /// What they said beside their answers.
    pub beside: Beside,
    /// Lines that came where nothing could be awaited.
    lines: Vec<Write>,
    random: ChaCha20Rng,
    /// As long as it only repeats what is recorded.
    replaying: Option<Replaying>,
}

impl Guest {
    /// The guest's host. All randomness that the guest sees comes from `seed`.
    pub fn new(scope: Arc<Scope>, journal: Journal, seed: [u8; 32]) -> Self {
        // Who only looks at a recording waits for the guest, however long ago that ran.
        let repeats = journal.replaying() && !journal.is_sealed();
        Self {
            replaying: repeats.then(|| Replaying::begin(&scope.lineage)),
            scope,
            journal,
            cost: MicroUsd::ZERO,
            halted: None,
            continuation: None,
            streams: Streams::default(),
            beside: Beside::default(),
            lines: Vec::new(),
            random: ChaCha20Rng::from_seed(seed),
        }
    }

    /// Whatever it does from here on is new, if nothing more is recorded.
    pub fn repeated(&mut self) {
        if !self.journal.replaying() {
            self.replaying = None;
        }
    }

    /// How long it has run, in microseconds.
    pub fn active_us(&self) -> u64 {
        self.scope.lineage.active_us()
    }

    /// Ends the instance with `end`.
    pub fn end(&self, end: End) -> HostError {
        HostError::from(end)
    }

    /// Ends the instance because the execution cannot go on here.
    pub fn halt(&mut self, halted: Halted) -> HostError {
        let end = End::Stopped(halted.to_string());
        if let Halted::ByOperator(halt) = &halted {
            self.scope.tree.halt(halt);
            if self.scope.tree.task.is_none() {
                // Nobody goes on with it: it ends here, as if it had been cancelled.
                return HostError::from(end);
            }
        }
        self.halted = Some(halted);
        HostError::from(end)
    }

    /// Ends the instance because a row does not have the form that this host writes.
    pub fn broken(&mut self, error: &serde_json::Error) -> HostError {
        self.halt(Halted::Store(mandate_store::StoreError::Corrupt(
            error.to_string(),
        )))
    }

    /// Keeps a line of the plugin's log.
    ///
    /// # Errors
    /// The trap, when the plugin logged more than it may.
    pub async fn log_line(&mut self, level: LogLevel, message: String) -> Told<()> {
        self.take_line(level, message)
            .map_err(|end| self.end(end))?;
        let lines = std::mem::take(&mut self.lines);
        let tree = self.scope.tree.clone();
        tree.push(lines).await.map_err(|halted| self.halt(halted))
    }

    /// The lines that are not in the journal yet.
    pub fn take_lines(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.lines)
    }

    fn take_line(&mut self, level: LogLevel, message: String) -> Result<(), End> {
        self.journal
            .count_log(&self.scope.limits, message.len())
            .map_err(End::Limit)?;
        if self.journal.replaying() {
            return Ok(());
        }
        let tree = &self.scope.tree;
        self.lines.push(Write::Log(Box::new(LogLine {
            at: Timestamp::now(),
            level,
            message,
            plugin: self.scope.plugin.name().clone(),
            invocation: self.scope.id.clone(),
            task: tree.task.clone(),
            subject: tree.subject.clone(),
            tenant: tree.tenant.clone(),
        })));
        Ok(())
    }

    /// The next random bytes: the same on replay.
    pub fn random_bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.random.fill_bytes(&mut bytes);
        bytes
    }
}

impl Ambient for Guest {
    fn wasi_now(&mut self) -> u64 {
        self.journal.now().micros().unsigned_abs()
    }

    fn wasi_random(&mut self, buffer: &mut [u8]) {
        self.random.fill_bytes(buffer);
    }

    fn wasi_output(&mut self, stream: Stream, line: &str) -> Result<(), End> {
        let level = match stream {
            Stream::Stdout => LogLevel::Info,
            Stream::Stderr => LogLevel::Warn,
        };
        self.take_line(level, line.to_owned())
    }

    fn stopwatch(&self) -> Stopwatch {
        self.scope.lineage.watch.clone()
    }
}
