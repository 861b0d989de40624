//! Small crossings of what the types cannot say: tokens on the way through safe closures, and the
//! bus's own callback.
#![allow(
    unsafe_code,
    reason = "makes tokens and follows our own cookie; each block states its reason"
)]

use core::ffi::c_void;

use nt::irql::{AtMostDispatch, Dispatch, Passive};
use nt::pool::PoolBox;

use crate::callback::EventTarget;
use crate::host::StoreDpc;

/// A token to take locks with, in a DPC.
pub(crate) fn lower<'d>(_irql: &'d Dispatch<'_>) -> AtMostDispatch<'d> {
    // SAFETY: the token given proves DISPATCH_LEVEL for as long as it is borrowed.
    unsafe { AtMostDispatch::assume() }
}

/// Runs `body` with a token, inside a closure of a function that was given one.
///
/// For bodies of `run_on`, which run at the level of their caller, `PASSIVE_LEVEL`.
pub(crate) fn with_passive<R>(body: impl FnOnce(&mut Passive<'_>) -> R) -> R {
    // SAFETY: called in the body of run_on only, which takes a Passive for its time.
    body(&mut unsafe { Passive::assume() })
}

/// Has the store's events queue `dpc`, which is closed only after the channel.
pub(crate) fn store_target(dpc: &PoolBox<StoreDpc>) -> EventTarget {
    let cookie = PoolBox::as_non_null(dpc).as_ptr().cast();
    // SAFETY: the callback takes the address of such a cell, which does not move in its box.
    unsafe { EventTarget::new(store_event, cookie) }
}

/// # Safety
/// Called for the store's channel, with the cookie of [`store_target`].
unsafe extern "C" fn store_event(cookie: *mut c_void) {
    // SAFETY: the cell is as it is until the channel is closed.
    let dpc = unsafe { &*cookie.cast::<StoreDpc>() };
    if let Some(dpc) = dpc {
        dpc.queue();
    }
}
