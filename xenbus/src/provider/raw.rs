//! Raw arguments of the table's functions as safe ones.
#![allow(
    unsafe_code,
    reason = "follows pointers that the children's drivers give; each block states its reason"
)]

use core::ffi::c_void;

use interface::{PnpHeader, StoreValue, XENBUS_INTERFACE_GUID, XenbusInterface};
use nt::irql::{AtMostDispatch, Passive};
use nt::pool::PoolArc;
use nt::status::{Result, Status};
use wdk_sys::GUID;
use xenbus_core::interface_version::Offer;

use crate::child::Child;
use crate::parameters::InterfaceRequest;

/// Whether a GUID is the interface's.
pub(super) fn is_ours(guid: &GUID) -> bool {
    let ours = XENBUS_INTERFACE_GUID;
    (guid.Data1, guid.Data2, guid.Data3, guid.Data4)
        == (ours.Data1, ours.Data2, ours.Data3, ours.Data4)
}

/// Writes the table where a request wants it, which has room for the size negotiated.
pub(super) fn hand_out(request: &InterfaceRequest, table: XenbusInterface) {
    let place = request.place.cast::<XenbusInterface>();
    // SAFETY: the negotiation made sure that the sender's room is as long; it may not be aligned.
    unsafe { place.write_unaligned(table) };
}

/// The head of the table for a child, who has a reference already.
pub(super) fn header(child: &PoolArc<Child>, offer: Offer) -> PnpHeader {
    PnpHeader {
        size: offer.size,
        version: offer.version,
        context: core::ptr::from_ref::<Child>(child).cast_mut().cast(),
        reference: Some(reference),
        dereference: Some(dereference),
    }
}

/// The child a function is called for.
///
/// # Safety
/// `context` is that of a table whose references are not all given back during `'a`.
pub(super) unsafe fn child<'a>(context: *mut c_void) -> &'a Child {
    // SAFETY: by the contract: the references keep the child.
    unsafe { &*context.cast::<Child>() }
}

/// # Safety
/// As the table's functions: at `DISPATCH_LEVEL` or below, with a live context.
unsafe extern "C" fn reference(context: *mut c_void) {
    // SAFETY: by the contract.
    let child = unsafe { child(context) };
    // SAFETY: by the contract; the token ends with this call.
    child.acquire_another(&mut unsafe { AtMostDispatch::assume() });
}

/// # Safety
/// As [`reference`]; the caller gives one reference up.
unsafe extern "C" fn dereference(context: *mut c_void) {
    // SAFETY: by the contract.
    let child = unsafe { child(context) };
    // SAFETY: by the contract; the token ends with this call.
    let kept = child.release(&mut unsafe { AtMostDispatch::assume() });
    // The lock in the child is free again, so the child may go.
    drop(kept);
}

/// Proof of the level that the table's rules say.
///
/// # Safety
/// In a function of the table that may be called at `PASSIVE_LEVEL` only.
pub(super) unsafe fn passive<'c>() -> Passive<'c> {
    // SAFETY: by the contract.
    unsafe { Passive::assume() }
}

/// Proof of the level that the table's rules say.
///
/// # Safety
/// In a function of the table that may be called at `DISPATCH_LEVEL` and below.
pub(super) unsafe fn at_most_dispatch<'c>() -> AtMostDispatch<'c> {
    // SAFETY: by the contract.
    unsafe { AtMostDispatch::assume() }
}

/// Bytes a caller gives.
///
/// # Safety
/// `len` readable bytes, or `len` is 0, for the time of the call.
pub(super) unsafe fn bytes<'a>(start: *const u8, len: usize) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if start.is_null() {
        return Err(Status::INVALID_PARAMETER);
    }
    // SAFETY: by the contract.
    Ok(unsafe { core::slice::from_raw_parts(start, len) })
}

/// Writes an answer to a caller's place.
///
/// # Safety
/// Null, or writable.
pub(super) unsafe fn put<T>(place: *mut T, value: T) -> Result<()> {
    if place.is_null() {
        return Err(Status::INVALID_PARAMETER);
    }
    // SAFETY: by the contract.
    unsafe { place.write(value) };
    Ok(())
}

/// Copies an answer to a caller's buffer, and tells its length, also when it does not fit.
///
/// # Safety
/// Null, or as [`StoreValue`] says.
pub(super) unsafe fn put_value(place: *mut StoreValue, value: &[u8]) -> Result<()> {
    // SAFETY: by the contract.
    let place = unsafe { place.as_mut() }.ok_or(Status::INVALID_PARAMETER)?;
    let room = core::mem::replace(&mut place.length, value.len());
    if value.len() > room {
        return Err(Status::BUFFER_TOO_SMALL);
    }
    if value.is_empty() {
        return Ok(());
    }
    if place.data.is_null() {
        return Err(Status::INVALID_PARAMETER);
    }
    // SAFETY: by the contract `data` has the room, which is long enough; the value is ours.
    unsafe {
        place
            .data
            .copy_from_nonoverlapping(value.as_ptr(), value.len());
    };
    Ok(())
}
