//! One invocation's place in its journal: what is recorded, how far the guest is, and what
//! it may still use.

use crate::replay::Departure;
use mandate_store::Step;
use mandate_types::{LimitHit, LimitName, Limits, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far the guest's clock goes on with each reading, in microseconds.
const TICK: i64 = 1;

/// Where an invocation is in its journal.
pub struct Journal {
    recorded: BTreeMap<(u64, u32), Step>,
    sequence: u64,
    steps: Arc<AtomicU64>,
    bytes: u64,
    log_bytes: u64,
    clock: Timestamp,
    /// Where a replay left what is recorded.
    departure: Option<Departure>,
    sealed: bool,
}

impl Journal {
    /// The journal of an invocation that started at `started`, with the steps already recorded.
    pub fn new(started: Timestamp, recorded: Vec<Step>) -> Self {
        Self {
            recorded: recorded
                .into_iter()
                .map(|s| ((s.sequence, s.index), s))
                .collect(),
            sequence: 0,
            steps: Arc::default(),
            bytes: 0,
            log_bytes: 0,
            clock: started,
            departure: None,
            sealed: false,
        }
    }

    /// The same, for a replay: only what is recorded is answered, and nothing is new.
    pub fn sealed(started: Timestamp, recorded: Vec<Step>) -> Self {
        Self {
            sealed: true,
            ..Self::new(started, recorded)
        }
    }

    /// Whether only what is recorded is answered.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Remembers where the guest left what is recorded; it gets no further.
    pub fn depart(&mut self, departure: Departure) {
        self.departure = Some(departure);
    }

    /// Where the guest left what is recorded.
    pub fn departure(&mut self) -> Option<Departure> {
        self.departure.take()
    }

    /// The number of the next call.
    pub fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Counts a call with so many bytes of arguments.
    ///
    /// # Errors
    /// The limit that it exceeds.
    pub fn count_step(&mut self, limits: &Limits, argument_bytes: usize) -> Result<(), LimitHit> {
        let steps = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        if steps > limits.steps {
            return Err(LimitHit {
                limit: LimitName::Steps,
                value: limits.steps,
            });
        }
        self.count_bytes(limits, argument_bytes)
    }

    /// Counts bytes that go into the journal.
    ///
    /// # Errors
    /// The limit that they exceed.
    pub fn count_bytes(&mut self, limits: &Limits, bytes: usize) -> Result<(), LimitHit> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.bytes > limits.journal_bytes {
            return Err(LimitHit {
                limit: LimitName::JournalBytes,
                value: limits.journal_bytes,
            });
        }
        Ok(())
    }

    /// Counts bytes that go into the plugin's log.
    ///
    /// # Errors
    /// The limit that they exceed.
    pub fn count_log(&mut self, limits: &Limits, bytes: usize) -> Result<(), LimitHit> {
        // An empty line costs something too, or a loop of them would be free.
        self.log_bytes = self.log_bytes.saturating_add(bytes as u64 + 16);
        if self.log_bytes > limits.log_bytes {
            return Err(LimitHit {
                limit: LimitName::LogBytes,
                value: limits.log_bytes,
            });
        }
        Ok(())
    }

    /// The recorded step of this number, if there is one.
    pub fn recorded(&mut self, sequence: u64, index: u32) -> Option<Step> {
        self.recorded.remove(&(sequence, index))
    }

    /// A recorded step that the guest has not asked for yet.
    pub fn left(&self) -> Option<&Step> {
        self.recorded.values().next()
    }

    /// Whether the guest is still where it was before: nothing that it says is new.
    pub fn replaying(&self) -> bool {
        self.sealed || !self.recorded.is_empty()
    }

    /// How many calls were made.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// The count of calls, for whoever outlives the guest.
    pub fn counter(&self) -> Arc<AtomicU64> {
        self.steps.clone()
    }

    /// The guest learned something at this time.
    pub fn answered_at(&mut self, time: Timestamp) {
        self.clock = self.clock.max(time);
    }

    /// The guest's clock: the last answer's time, and a tick for each reading.
    pub fn now(&mut self) -> Timestamp {
        self.clock = Timestamp::from_micros(self.clock.micros().saturating_add(TICK));
        self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let mut journal = Journal::new(Timestamp::from_micros(100), Vec::new());
        let first = journal.now();
        journal.answered_at(Timestamp::from_micros(50));
        assert!(journal.now() > first);
        journal.answered_at(Timestamp::from_micros(500));
        assert_eq!(journal.now(), Timestamp::from_micros(501));
    }

    #[test]
    fn each_limit_names_itself() {
        let limits = Limits {
            steps: 1,
            journal_bytes: 10,
            log_bytes: 40,
            ..Limits::default()
        };
        let mut journal = Journal::new(Timestamp::default(), Vec::new());
        assert!(journal.count_step(&limits, 5).is_ok());
        assert_eq!(
            journal.count_step(&limits, 0).unwrap_err().limit,
            LimitName::Steps
        );
        assert_eq!(
            journal.count_bytes(&limits, 6).unwrap_err().limit,
            LimitName::JournalBytes
        );
        assert!(journal.count_log(&limits, 0).is_ok());
        assert_eq!(
            journal.count_log(&limits, 20).unwrap_err().limit,
            LimitName::LogBytes
        );
    }
}
