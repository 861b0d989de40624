//! Waiting for what is out, without waiting: who finishes last completes the pause.

use core::sync::atomic::{AtomicUsize, Ordering};

/// How many have not finished yet.
#[derive(Debug, Default)]
pub(crate) struct Drain(AtomicUsize);

impl Drain {
    /// Begins, with the caller as the one to wait for.
    pub(crate) fn begin(&self) {
        self.0.store(1, Ordering::Release);
    }

    /// One more to wait for.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// One is done; true when it was the last.
    #[must_use]
    pub(crate) fn done(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }
}
