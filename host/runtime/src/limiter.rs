//! Bounds the sum of all memories and tables of one guest, and ends the guest that wants more.
//!
//! A refused growth would be visible to the guest and differ between hosts; an end is the same
//! everywhere.

use crate::engine::{
    CORE_INSTANCES_PER_COMPONENT, MEMORIES_PER_COMPONENT, TABLE_ELEMENTS, TABLES_PER_COMPONENT,
};
use crate::invocation::End;
use mandate_types::{LimitHit, LimitName};
use wasmtime::ResourceLimiter;

/// What one element of a table takes.
const ELEMENT_BYTES: u64 = 8;

/// The count of one guest's memory.
pub(crate) struct Limiter {
    /// What the grant says: shown when it is exceeded.
    limit: u64,
    /// What one memory can have at most.
    pool: u64,
    used: u64,
    peak: u64,
    /// The growth that was allowed last, to be taken back if it then fails.
    last: u64,
}

impl Limiter {
    pub(crate) fn new(limit: u64, pool: u64) -> Self {
        Self {
            limit,
            pool,
            used: 0,
            peak: 0,
            last: 0,
        }
    }

    /// The largest sum so far, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    fn grow(&mut self, by: u64) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_add(by);
        if wanted > self.limit {
            return Err(self.exceeded());
        }
        self.used = wanted;
        self.peak = self.peak.max(wanted);
        self.last = by;
        Ok(true)
    }

    fn exceeded(&self) -> wasmtime::Error {
        let hit = LimitHit {
            limit: LimitName::MemoryBytes,
            value: self.limit.min(self.pool),
        };
        End::Limit(hit).into()
    }

    /// The guest's own maximum is part of its behaviour; the pool's is not and must end it.
    fn refused_by_guest(desired: usize, maximum: Option<usize>, pool: u64) -> bool {
        maximum.is_some_and(|maximum| (maximum as u64) < pool && desired > maximum)
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if Self::refused_by_guest(desired, maximum, self.pool) {
            return Ok(false);
        }
        if desired as u64 > self.pool {
            return Err(self.exceeded());
        }
        self.grow(desired.saturating_sub(current) as u64)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.used = self.used.saturating_sub(self.last);
        self.last = 0;
        // It was allowed and is within every maximum: the host itself lacks memory. Answering the
        // guest -1 would make its run depend on that.
        Err(error)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if Self::refused_by_guest(desired, maximum, TABLE_ELEMENTS as u64) {
            return Ok(false);
        }
        if desired > TABLE_ELEMENTS {
            return Err(self.exceeded());
        }
        self.grow((desired.saturating_sub(current) as u64).saturating_mul(ELEMENT_BYTES))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_grow_failed(error)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_PER_COMPONENT as usize
    }

    fn tables(&self) -> usize {
        TABLES_PER_COMPONENT as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_PER_COMPONENT as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(error: &wasmtime::Error) -> u64 {
        match error.downcast_ref::<End>() {
            Some(End::Limit(hit)) => hit.value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn memories_and_tables_count_together() {
        let mut limiter = Limiter::new(200_000, 1 << 30);
        assert!(limiter.memory_growing(0, 65_536, None).unwrap());
        assert!(limiter.memory_growing(0, 65_536, None).unwrap());
        assert!(limiter.table_growing(0, 8_000, None).unwrap());
        assert_eq!(limiter.peak(), 131_072 + 64_000);
        assert_eq!(
            hit(&limiter.table_growing(8_000, 9_000, None).unwrap_err()),
            200_000
        );
    }

    #[test]
    fn a_guests_own_maximum_is_answered_and_not_counted() {
        let mut limiter = Limiter::new(1 << 20, 1 << 30);
        assert!(!limiter.memory_growing(0, 131_072, Some(65_536)).unwrap());
        assert_eq!(limiter.peak(), 0);
    }

    #[test]
    fn the_pools_maximum_ends_the_guest() {
        let mut limiter = Limiter::new(1 << 40, 1 << 30);
        let error = limiter
            .memory_growing(0, 2 << 30, Some(1 << 30))
            .unwrap_err();
        assert_eq!(hit(&error), 1 << 30);
    }
}
