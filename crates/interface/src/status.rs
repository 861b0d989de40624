//! `NTSTATUS` values with a meaning of their own in this interface (names and numbers of ntstatus.h).

use wdk_sys::NTSTATUS;

/// The backend still uses the page (`STATUS_DEVICE_BUSY`): keep the page and the grant, ask again.
pub const STATUS_GRANT_STILL_IN_USE: NTSTATUS = ntstatus(0x8000_0011);

/// A transaction met a change by somebody else (`STATUS_RETRY`): do all of it again.
pub const STATUS_STORE_CONFLICT: NTSTATUS = ntstatus(0xC000_022D);

/// xenstored did not answer within the time given (`STATUS_IO_TIMEOUT`).
pub const STATUS_STORE_TIMEOUT: NTSTATUS = ntstatus(0xC000_00B5);

/// The child's device is gone or being removed (`STATUS_DELETE_PENDING`).
pub const STATUS_CHILD_GONE: NTSTATUS = ntstatus(0xC000_0056);

/// The signed form of a status written as ntstatus.h writes it.
const fn ntstatus(value: u32) -> NTSTATUS {
    value.cast_signed()
}
