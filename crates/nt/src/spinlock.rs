//! Executive spin locks that own their data.

use core::cell::UnsafeCell;
use core::fmt;

use wdk_sys::{KSPIN_LOCK, ntddk};

use crate::irql::{AtMostDispatch, Dispatch};

/// Data behind a spin lock.
///
/// The lock is taken for the time of a closure. A guard would carry the IRQL to go back to, and two
/// guards dropped out of order would lower it while one lock is still held; closures nest.
///
/// Inside a closure, further locks are taken with [`SpinLock::with_at`] and the token the closure
/// got. Taking the same lock again never returns.
pub struct SpinLock<T> {
    lock: UnsafeCell<KSPIN_LOCK>,
    data: UnsafeCell<T>,
}

// SAFETY: the lock lets one thread at a time at the data, so sharing the lock moves the data
// between threads and nothing more.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock. NT's free spin lock is a zero word (`KeInitializeSpinLock` on x86-64).
    pub const fn new(data: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            data: UnsafeCell::new(data),
        }
    }

    /// Runs `body` with the lock held, at `DISPATCH_LEVEL`, and goes back to the level before.
    ///
    /// `irql` is borrowed for that time: `body` has no token that would let it wait.
    pub fn with<R>(
        &self,
        irql: &mut AtMostDispatch<'_>,
        body: impl FnOnce(&mut T, &Dispatch<'_>) -> R,
    ) -> R {
        let _ = irql;
        // SAFETY: the lock word lives as long as self, and the token proves at most DISPATCH_LEVEL.
        let before = unsafe { ntddk::KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        let result = {
            // SAFETY: the call above raised to DISPATCH_LEVEL; the token ends with this block.
            let dispatch = unsafe { Dispatch::assume() };
            // SAFETY: the lock is held, so this is the only reference to the data.
            let data = unsafe { &mut *self.data.get() };
            body(data, &dispatch)
        };
        // SAFETY: taken above on this processor; `before` is the level it was taken at.
        unsafe { ntddk::KeReleaseSpinLock(self.lock.get(), before) };
        result
    }

    /// Runs `body` with the lock held, when already at `DISPATCH_LEVEL`.
    pub fn with_at<R>(&self, dispatch: &Dispatch<'_>, body: impl FnOnce(&mut T) -> R) -> R {
        let _ = dispatch;
        // SAFETY: the lock word lives as long as self, and the token proves DISPATCH_LEVEL.
        unsafe { ntddk::KeAcquireSpinLockAtDpcLevel(self.lock.get()) };
        let result = {
            // SAFETY: the lock is held, so this is the only reference to the data.
            let data = unsafe { &mut *self.data.get() };
            body(data)
        };
        // SAFETY: taken above on this processor.
        unsafe { ntddk::KeReleaseSpinLockFromDpcLevel(self.lock.get()) };
        result
    }

    /// The data, when nobody else can have the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    /// Ends the lock and returns its data.
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: Default> Default for SpinLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for SpinLock<T> {
    /// Does not take the lock, so does not show the data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock").finish_non_exhaustive()
    }
}

/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<nt::spinlock::SpinLock<*mut u8>>();
/// ```
#[cfg(doctest)]
struct SyncNeedsSendData;

#[cfg(test)]
mod tests {
    use super::SpinLock;

    #[test]
    fn data_is_reached_without_the_lock_when_owned() {
        let mut lock = SpinLock::new(std::vec![1]);
        lock.get_mut().push(2);
        assert_eq!(lock.into_inner(), [1, 2]);
    }

    #[test]
    fn a_new_lock_is_free() {
        let lock = SpinLock::new(());
        // SAFETY: nothing else uses this lock.
        assert_eq!(unsafe { lock.lock.get().read() }, 0);
    }
}
