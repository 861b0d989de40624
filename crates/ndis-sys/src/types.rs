//! Scalar types every other module uses. NDIS typedefs of C `int`-sized enums are `i32` here, as
//! the Windows C ABI has them.

use core::ffi::c_void;

/// Handle that NDIS gives out or takes; opaque. NDIS 6.0.
pub type NDIS_HANDLE = *mut c_void;

/// Status of NDIS functions and handlers; the bits are those of an `NTSTATUS`. NDIS 6.0.
pub type NDIS_STATUS = i32;

/// Event-log code given to `NdisWriteErrorLogEntry`. NDIS 6.0.
pub type NDIS_ERROR_CODE = u32;

/// Object identifier (`OID_*`). NDIS 6.0.
pub type NDIS_OID = u32;

/// Number of a miniport port; 0 is the default port. NDIS 6.0.
pub type NDIS_PORT_NUMBER = u32;

/// Counted UTF-16 string; NDIS uses the kernel's type. NDIS 6.0.
pub type NDIS_STRING = wdk_sys::UNICODE_STRING;

/// Physical address as a 64-bit number (the kernel's `PHYSICAL_ADDRESS` union, seen as its
/// `QuadPart`). NDIS 6.0.
pub type NDIS_PHYSICAL_ADDRESS = i64;

/// Interface index of RFC 2863, as NDIS assigns it. NDIS 6.0.
pub type NET_IFINDEX = u32;

/// Interface type number of the IANA `ifType` registry. NDIS 6.0.
pub type NET_IFTYPE = u16;

/// Locally unique interface identifier: reserved:24, `NetLuidIndex`:24, `IfType`:16. NDIS 6.0.
pub type NET_LUID = u64;

/// The kernel's `BOOLEAN`: 0 is false, anything else true.
pub type BOOLEAN = u8;

/// Value aligned to `MEMORY_ALLOCATION_ALIGNMENT` (16), as `NET_BUFFER_LIST` aligns its reserved
/// areas.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct MemoryAligned<T>(pub T);

/// `MEMORY_ALLOCATION_ALIGNMENT` of 64-bit Windows: NBL context sizes are multiples of it.
pub const MEMORY_ALLOCATION_ALIGNMENT: usize = 16;

/// Makes a status from the unsigned form that the documentation prints.
pub(crate) const fn status(code: u32) -> NDIS_STATUS {
    code.cast_signed()
}
