//! Entries in the system's event log.
#![allow(unsafe_code, reason = "calls NDIS's variadic function")]

use ndis_sys as sys;
use ndis_sys::{NDIS_ERROR_CODE, NDIS_HANDLE};

/// Writes an entry without values. IRQL <= `DISPATCH_LEVEL`.
///
/// # Safety
/// `adapter` is an adapter's handle, not halted.
pub(crate) unsafe fn write(adapter: NDIS_HANDLE, code: NDIS_ERROR_CODE) {
    // SAFETY: the caller's handle; no values follow.
    unsafe { sys::NdisWriteErrorLogEntry(adapter, code, 0) }
}
