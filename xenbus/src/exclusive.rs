//! A cell for one user at a time, for code that can take no lock.
#![allow(
    unsafe_code,
    reason = "hands out the one reference to the data; each block states its reason"
)]

use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

/// Data that a service routine uses. Whoever comes while it is in use is turned away.
pub(crate) struct Exclusive<T> {
    busy: AtomicBool,
    data: UnsafeCell<T>,
}

// SAFETY: `busy` lets one thread at a time at the data.
unsafe impl<T: Send> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    pub(crate) const fn new(data: T) -> Self {
        Self {
            busy: AtomicBool::new(false),
            data: UnsafeCell::new(data),
        }
    }

    /// Runs `body` on the data; `None` when somebody else is at it.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.busy.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: `busy` was false and is ours now, so this is the only reference.
        let result = body(unsafe { &mut *self.data.get() });
        self.busy.store(false, Ordering::Release);
        Some(result)
    }
}

impl<T> fmt::Debug for Exclusive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclusive").finish_non_exhaustive()
    }
}
