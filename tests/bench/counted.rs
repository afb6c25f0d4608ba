//! How many bytes this process allocates, while somebody wants to know.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static WANTED: AtomicBool = AtomicBool::new(false);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, with a count.
pub struct Counted;

fn count(bytes: usize) {
    if WANTED.load(Ordering::Relaxed) {
        BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

// SAFETY: everything is the system's allocator, which is asked for exactly what is asked here.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Counts from here on; returns what was counted before.
pub fn begin() -> f64 {
    WANTED.store(true, Ordering::Relaxed);
    BYTES.load(Ordering::Relaxed) as f64
}

/// Counts no more; returns what was counted until now.
pub fn end() -> f64 {
    WANTED.store(false, Ordering::Relaxed);
    BYTES.load(Ordering::Relaxed) as f64
}
