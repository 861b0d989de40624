//! Kernel events.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::time::Duration;

use wdk_sys::{KEVENT, KPROCESSOR_MODE, LARGE_INTEGER, NTSTATUS, ntddk};

use crate::bugcheck;
use crate::irql::{AtMostDispatch, Passive};
use crate::pool::{OutOfMemory, PoolBox, Tag};
use crate::status::Status;
use crate::time::relative;

/// `KernelMode` of `MODE`.
pub(crate) const KERNEL_MODE: KPROCESSOR_MODE = 0;

/// What a satisfied wait does to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Stays signalled until cleared: all waiters go on.
    Notification,
    /// Is cleared by the wait it ends: one waiter goes on.
    Synchronization,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Wait {
    /// The object was signalled.
    Signalled,
    /// The time was over first.
    TimedOut,
}

/// A kernel event. Lives in pool, since waiters are linked to its address.
pub struct Event {
    event: PoolBox<UnsafeCell<KEVENT>>,
}

// SAFETY: the kernel guards the event's own state; it has no owner thread.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// A new event.
    pub fn try_new(tag: Tag, kind: EventKind, signalled: bool) -> Result<Self, OutOfMemory> {
        let event = PoolBox::try_new(tag, UnsafeCell::new(KEVENT::default()))?;
        // SAFETY: the event is ours, at its final address, and nobody knows it yet.
        unsafe { initialize(event.get(), kind, signalled) };
        Ok(Self { event })
    }

    /// Signals the event. Returns whether it was signalled before.
    pub fn set(&self, irql: &AtMostDispatch<'_>) -> bool {
        let _ = irql;
        // SAFETY: initialized in try_new and live; the token proves DISPATCH_LEVEL at most.
        unsafe { signal(self.event.get()) }
    }

    /// Ends the signal.
    pub fn clear(&self, irql: &AtMostDispatch<'_>) {
        let _ = irql;
        // SAFETY: initialized in try_new and live; the token proves DISPATCH_LEVEL at most.
        unsafe { ntddk::KeClearEvent(self.event.get()) };
    }

    /// Whether the event is signalled now.
    pub fn is_set(&self) -> bool {
        // SAFETY: initialized in try_new and live; callable at any IRQL.
        unsafe { ntddk::KeReadStateEvent(self.event.get()) != 0 }
    }

    /// Waits for the signal, at most for `timeout`; without one, for as long as it takes.
    pub fn wait(&self, timeout: Option<Duration>, irql: &Passive<'_>) -> Wait {
        // SAFETY: initialized in try_new and live.
        unsafe { wait_for(self.event.get().cast(), timeout, irql) }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").finish_non_exhaustive()
    }
}

/// Makes `event` an event.
///
/// # Safety
/// `event` is valid memory that nobody waits on, and stays where it is while used.
pub(crate) unsafe fn initialize(event: *mut KEVENT, kind: EventKind, signalled: bool) {
    let kind = match kind {
        EventKind::Notification => wdk_sys::_EVENT_TYPE::NotificationEvent,
        EventKind::Synchronization => wdk_sys::_EVENT_TYPE::SynchronizationEvent,
    };
    // SAFETY: by the contract; callable at any IRQL.
    unsafe { ntddk::KeInitializeEvent(event, kind, u8::from(signalled)) };
}

/// Signals `event`, and tells whether it was signalled before.
///
/// # Safety
/// `event` is an initialized event, and the IRQL is at most `DISPATCH_LEVEL`.
pub(crate) unsafe fn signal(event: *mut KEVENT) -> bool {
    // SAFETY: by the contract. No wait follows at once, so DISPATCH_LEVEL is allowed.
    unsafe { ntddk::KeSetEvent(event, 0, 0) != 0 }
}

/// Waits for a dispatcher object.
///
/// # Safety
/// `object` is a live event, timer or thread.
pub(crate) unsafe fn wait_for(
    object: *mut c_void,
    timeout: Option<Duration>,
    _irql: &Passive<'_>,
) -> Wait {
    let mut span: LARGE_INTEGER = relative(timeout.unwrap_or(Duration::ZERO));
    let span = if timeout.is_some() {
        &raw mut span
    } else {
        core::ptr::null_mut()
    };
    // SAFETY: the object is live by the contract, and the token proves PASSIVE_LEVEL.
    let status: NTSTATUS = unsafe {
        ntddk::KeWaitForSingleObject(
            object,
            wdk_sys::_KWAIT_REASON::Executive,
            KERNEL_MODE,
            0,
            span,
        )
    };
    match Status::from_raw(status) {
        Status::SUCCESS => Wait::Signalled,
        Status::TIMEOUT => Wait::TimedOut,
        // A wait in kernel mode that is not alertable ends in no other way.
        other => bugcheck::kernel_contract("KeWaitForSingleObject", other),
    }
}
