//! The seam, and every capability behind it.
