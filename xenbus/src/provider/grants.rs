//! Grants for children.
#![allow(
    unsafe_code,
    reason = "functions of the table; each block states its reason"
)]

use core::ffi::c_void;

use interface::{GrantSlot, STATUS_GRANT_STILL_IN_USE};
use nt::status::Status;
use wdk_sys::NTSTATUS;
use xen_abi::grant_table::GrantRef;

use super::{at_most_dispatch, raw};
use crate::grants::ReleaseError;

/// # Safety
/// As [`interface::XenbusInterface::grants_reserve`] says.
pub(super) unsafe extern "C" fn reserve(
    context: *mut c_void,
    count: usize,
    slots: *mut GrantSlot,
) -> NTSTATUS {
    // SAFETY: a function of the table, with its context.
    let child = unsafe { raw::child(context) };
    // SAFETY: may be called at DISPATCH_LEVEL.
    let mut irql = unsafe { raw::at_most_dispatch() };
    if slots.is_null() && count != 0 {
        return Status::INVALID_PARAMETER.into_raw();
    }
    let reserved = at_most_dispatch(child, &mut irql, |bus, irql| {
        bus.grants
            .reserve(child.owner, count, irql, |index, gref, entry| {
                let slot = GrantSlot {
                    gref: gref.0,
                    entry,
                };
                // SAFETY: the caller's room for `count` slots, of which this is one.
                unsafe { slots.wrapping_add(index).write(slot) };
            })
    });
    Status::of(reserved).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::grant_release`] says.
pub(super) unsafe extern "C" fn release(context: *mut c_void, gref: u32) -> NTSTATUS {
    // SAFETY: a function of the table, with its context.
    let child = unsafe { raw::child(context) };
    // SAFETY: may be called at DISPATCH_LEVEL.
    let mut irql = unsafe { raw::at_most_dispatch() };
    let released = at_most_dispatch(child, &mut irql, |bus, irql| {
        let released = bus.grants.release(child.owner, GrantRef(gref), irql);
        released.map_err(|error| match error {
            ReleaseError::StillInUse => Status::from_raw(STATUS_GRANT_STILL_IN_USE),
            ReleaseError::NotYours => Status::INVALID_PARAMETER,
        })
    });
    Status::of(released).into_raw()
}

/// # Safety
/// As [`interface::XenbusInterface::grants_free`] says.
pub(super) unsafe extern "C" fn free(context: *mut c_void) -> usize {
    // SAFETY: a function of the table, with its context.
    let child = unsafe { raw::child(context) };
    // SAFETY: may be called at DISPATCH_LEVEL.
    let mut irql = unsafe { raw::at_most_dispatch() };
    at_most_dispatch(child, &mut irql, |bus, irql| Ok(bus.grants.free(irql))).unwrap_or(0)
}
