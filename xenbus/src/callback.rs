//! Functions of the children's drivers, with the value they get back.
#![allow(
    unsafe_code,
    reason = "calls functions of other drivers; each block states its reason"
)]

use core::ffi::c_void;

use interface::{EventCallback, SuspendCallback, SuspendPhase, WatchCallback};
use nt::irql::{Isr, Passive};

/// A value of somebody else's that is handed back to them and never followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opaque(pub(crate) *mut c_void);

// SAFETY: the pointer is not followed here; whoever registered it takes it back on any thread, as
// the interface's contract says.
unsafe impl Send for Opaque {}
// SAFETY: as above.
unsafe impl Sync for Opaque {}

/// Called for the events of a channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventTarget {
    callback: EventCallback,
    cookie: Opaque,
}

impl EventTarget {
    /// # Safety
    /// `callback` may be called with `cookie` in interrupt service routines until the channel it is
    /// given to is closed.
    pub(crate) unsafe fn new(callback: EventCallback, cookie: *mut c_void) -> Self {
        Self {
            callback,
            cookie: Opaque(cookie),
        }
    }

    pub(crate) fn call(&self, _irql: &Isr<'_>) {
        // SAFETY: by the contract of new, in a service routine, for an open channel.
        unsafe { (self.callback)(self.cookie.0) };
    }
}

/// Called for the events of a watch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WatchTarget {
    callback: WatchCallback,
    cookie: Opaque,
}

impl WatchTarget {
    /// # Safety
    /// `callback` may be called with `cookie` at `PASSIVE_LEVEL` until the watch it is given to is
    /// removed.
    pub(crate) unsafe fn new(callback: WatchCallback, cookie: *mut c_void) -> Self {
        Self {
            callback,
            cookie: Opaque(cookie),
        }
    }

    pub(crate) fn call(&self, _irql: &Passive<'_>) {
        // SAFETY: by the contract of new, at PASSIVE_LEVEL, for a watch that is not removed.
        unsafe { (self.callback)(self.cookie.0) };
    }
}

/// Called around a suspend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SuspendTarget {
    callback: SuspendCallback,
    cookie: Opaque,
}

impl SuspendTarget {
    /// # Safety
    /// `callback` may be called with `cookie` at `PASSIVE_LEVEL` until its registration ends.
    pub(crate) unsafe fn new(callback: SuspendCallback, cookie: *mut c_void) -> Self {
        Self {
            callback,
            cookie: Opaque(cookie),
        }
    }

    pub(crate) fn call(&self, phase: SuspendPhase, _irql: &Passive<'_>) {
        // SAFETY: by the contract of new, at PASSIVE_LEVEL, for a live registration.
        unsafe { (self.callback)(self.cookie.0, phase) };
    }
}
