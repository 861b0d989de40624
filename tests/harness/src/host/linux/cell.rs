//! What the OS thread runs for: one cell in thread-local storage.

use core::cell::Cell;
use std::thread_local;

use crate::host::context::Current;

thread_local! {
    static CURRENT: Cell<Current> =
        const { Cell::new(Current { kernel: core::ptr::null(), cpu: 0, on_fiber: false }) };
}

// Not inlined: a fiber may continue on another OS thread, so no address of thread-local data may be kept
// across a switch.
#[inline(never)]
pub(crate) fn current() -> Current {
    CURRENT.get()
}

#[inline(never)]
pub(crate) fn set_current(to: Current) {
    CURRENT.set(to);
}
