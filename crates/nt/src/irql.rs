//! The interrupt request level as values.
//!
//! A token proves the IRQL its holder runs at. The FFI shims make one for the time of a callback
//! and lend it on; nothing else can. Tokens are zero-sized, not `Copy`, and stay on their thread.
//!
//! | token | proves | given to |
//! |---|---|---|
//! | [`Passive`] | `PASSIVE_LEVEL` | plug-and-play, OIDs, work items, threads: may wait |
//! | [`Dispatch`] | `DISPATCH_LEVEL` | DPCs, timers, holders of a spin lock |
//! | [`AtMostDispatch`] | one of the two | `MiniportSendNetBufferLists`, power IRPs |
//! | [`Isr`] | a device's IRQL | interrupt service routines: only atomics and `Dpc::queue` |
//!
//! [`Passive`] and [`Dispatch`] lend an [`AtMostDispatch`] by dereferencing. Taking a spin lock
//! borrows the token mutably, so that under the lock no token of the lower level is left:
//!
//! ```compile_fail,E0502
//! use nt::{irql::Passive, spinlock::SpinLock};
//! fn must_not_wait(_: &Passive<'_>) {}
//! fn bad(lock: &SpinLock<u32>, mut irql: Passive<'_>) {
//!     lock.with(&mut irql, |_, _| must_not_wait(&irql));
//! }
//! ```
//!
//! A DPC cannot say that it runs at `PASSIVE_LEVEL`:
//!
//! ```compile_fail,E0308
//! use nt::irql::{Dispatch, Passive};
//! fn must_not_wait(_: &Passive<'_>) {}
//! fn dpc(irql: &Dispatch<'_>) {
//!     must_not_wait(irql);
//! }
//! ```
//!
//! Nor can a token be copied, nor leave its thread:
//!
//! ```compile_fail,E0382
//! fn bad(irql: nt::irql::Passive<'_>) -> (nt::irql::Passive<'_>, nt::irql::Passive<'_>) {
//!     (irql, irql)
//! }
//! ```
//!
//! ```compile_fail,E0277
//! fn send<T: Send>() {}
//! send::<nt::irql::Dispatch<'static>>();
//! ```
//!
//! ```compile_fail,E0277
//! fn sync<T: Sync>() {}
//! sync::<nt::irql::Passive<'static>>();
//! ```

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// `PASSIVE_LEVEL`, the level of ordinary threads.
const PASSIVE_LEVEL: u8 = 0;
/// `DISPATCH_LEVEL`, the level of DPCs and of spin lock holders.
const DISPATCH_LEVEL: u8 = 2;

/// `'c` is the callback; the raw pointer makes the token neither `Send` nor `Sync`.
type Scope<'c> = PhantomData<(&'c (), *const ())>;

/// Proof of running at `PASSIVE_LEVEL` or `DISPATCH_LEVEL`.
#[derive(Debug)]
pub struct AtMostDispatch<'c> {
    scope: Scope<'c>,
}

/// Proof of running at `PASSIVE_LEVEL`: may wait, use paged memory and the registry.
#[derive(Debug)]
pub struct Passive<'c> {
    at_most: AtMostDispatch<'c>,
}

/// Proof of running at `DISPATCH_LEVEL`: never waits, never moves to another processor.
#[derive(Debug)]
pub struct Dispatch<'c> {
    at_most: AtMostDispatch<'c>,
}

/// Proof of running in an interrupt service routine.
#[derive(Debug)]
pub struct Isr<'c> {
    _scope: Scope<'c>,
}

impl AtMostDispatch<'_> {
    /// Makes a token; a checked build verifies it with a bug check.
    ///
    /// # Safety
    /// For as long as the token lives, its thread must run at `DISPATCH_LEVEL` or below.
    pub unsafe fn assume() -> Self {
        check(|irql| irql <= DISPATCH_LEVEL);
        Self { scope: PhantomData }
    }
}

impl Passive<'_> {
    /// Makes a token; a checked build verifies it with a bug check.
    ///
    /// # Safety
    /// For as long as the token lives and is not mutably borrowed, its thread must run at
    /// `PASSIVE_LEVEL`.
    pub unsafe fn assume() -> Self {
        check(|irql| irql == PASSIVE_LEVEL);
        Self {
            at_most: AtMostDispatch { scope: PhantomData },
        }
    }
}

impl Dispatch<'_> {
    /// Makes a token; a checked build verifies it with a bug check.
    ///
    /// # Safety
    /// For as long as the token lives, its thread must run at `DISPATCH_LEVEL`.
    pub unsafe fn assume() -> Self {
        check(|irql| irql == DISPATCH_LEVEL);
        Self {
            at_most: AtMostDispatch { scope: PhantomData },
        }
    }
}

impl Isr<'_> {
    /// Makes a token; a checked build verifies it with a bug check.
    ///
    /// # Safety
    /// Only an interrupt service routine may make it, and it must not outlive the routine.
    pub unsafe fn assume() -> Self {
        check(|irql| irql > DISPATCH_LEVEL);
        Self {
            _scope: PhantomData,
        }
    }
}

impl<'c> Deref for Passive<'c> {
    type Target = AtMostDispatch<'c>;

    fn deref(&self) -> &Self::Target {
        &self.at_most
    }
}

impl DerefMut for Passive<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.at_most
    }
}

impl<'c> Deref for Dispatch<'c> {
    type Target = AtMostDispatch<'c>;

    fn deref(&self) -> &Self::Target {
        &self.at_most
    }
}

impl DerefMut for Dispatch<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.at_most
    }
}

/// Stops a checked build when the IRQL is not what the shim says.
#[cfg(all(windows, debug_assertions))]
fn check(holds: impl FnOnce(u8) -> bool) {
    // SAFETY: reads the current IRQL; callable at any.
    let irql = unsafe { crate::imports::KeGetCurrentIrql() };
    if !holds(irql) {
        crate::bugcheck::stop(
            crate::bugcheck::Code::WrongIrql,
            [usize::from(irql), 0, 0, 0],
        );
    }
}

#[cfg(not(all(windows, debug_assertions)))]
fn check(_holds: impl FnOnce(u8) -> bool) {}

#[cfg(test)]
mod tests {
    use super::{AtMostDispatch, Dispatch, Isr, Passive};

    fn lower_edge(_: &AtMostDispatch<'_>) -> &'static str {
        "called"
    }

    #[test]
    fn tokens_take_no_space() {
        assert_eq!(size_of::<Passive<'_>>(), 0);
        assert_eq!(size_of::<Dispatch<'_>>(), 0);
        assert_eq!(size_of::<AtMostDispatch<'_>>(), 0);
        assert_eq!(size_of::<Isr<'_>>(), 0);
    }

    #[test]
    fn passive_and_dispatch_lend_at_most_dispatch() {
        // SAFETY: no kernel and no IRQL here; nothing reached from this test depends on it.
        let passive = unsafe { Passive::assume() };
        assert_eq!(lower_edge(&passive), "called");
        // SAFETY: as above.
        let dispatch = unsafe { Dispatch::assume() };
        assert_eq!(lower_edge(&dispatch), "called");
    }
}
