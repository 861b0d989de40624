//! Callbacks from the bus driver.
#![allow(
    unsafe_code,
    reason = "callbacks with raw cookies; each says what the cookie is"
)]

use core::ffi::c_void;

use interface::SuspendPhase;
use nt::irql::Passive;

use crate::adapter::Adapter;
use crate::queue::Queue;

/// An event: counts it and queues the DPC. Up to `HIGH_LEVEL`.
///
/// # Safety
/// The cookie is a [`Queue`] that lives until the channel is closed.
pub(crate) unsafe extern "C" fn event(cookie: *mut c_void) {
    // SAFETY: what the channel was opened with.
    if let Some(queue) = unsafe { cookie.cast::<Queue>().as_ref() } {
        queue.event();
    }
}

/// An event of the control ring: queues its DPC. Up to `HIGH_LEVEL`.
///
/// # Safety
/// The cookie is an [`Adapter`] that lives until the channel is closed.
pub(crate) unsafe extern "C" fn control_event(cookie: *mut c_void) {
    // SAFETY: what the channel was opened with.
    if let Some(adapter) = unsafe { cookie.cast::<Adapter>().as_ref() } {
        adapter.wake_control();
    }
}

/// A watched path changed: wakes the connection thread. `PASSIVE_LEVEL`.
///
/// # Safety
/// The cookie is an [`Adapter`] that lives until the watch is removed.
pub(crate) unsafe extern "C" fn watch(cookie: *mut c_void) {
    // SAFETY: watches fire at PASSIVE_LEVEL; the token ends with this call.
    let irql = unsafe { Passive::assume() };
    // SAFETY: what the watch was added with.
    if let Some(adapter) = unsafe { cookie.cast::<Adapter>().as_ref() } {
        adapter.mail().store_changed(&irql);
    }
}

/// A suspend. `PASSIVE_LEVEL`.
///
/// # Safety
/// The cookie is an [`Adapter`] that lives until the registration is ended.
pub(crate) unsafe extern "C" fn suspend(cookie: *mut c_void, phase: SuspendPhase) {
    // SAFETY: suspends are told at PASSIVE_LEVEL; the token ends with this call.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: what the registration was made with.
    if let Some(adapter) = unsafe { cookie.cast::<Adapter>().as_ref() } {
        adapter.suspend(phase, &mut irql);
    }
}
