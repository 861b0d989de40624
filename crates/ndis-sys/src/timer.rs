//! Timer objects and work items.

use core::ffi::c_void;

use crate::object::NDIS_OBJECT_HEADER;
use crate::types::NDIS_HANDLE;

/// Runs when a timer expires. `DISPATCH_LEVEL`. NDIS 6.0.
pub type NDIS_TIMER_FUNCTION = unsafe extern "win64" fn(
    SystemSpecific1: *mut c_void,
    FunctionContext: *mut c_void,
    SystemSpecific2: *mut c_void,
    SystemSpecific3: *mut c_void,
);
/// Runs as a work item. `PASSIVE_LEVEL`. NDIS 6.0.
pub type NDIS_IO_WORKITEM_FUNCTION =
    unsafe extern "win64" fn(WorkItemContext: *mut c_void, NdisIoWorkItemHandle: NDIS_HANDLE);

/// A timer object to allocate. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_TIMER_CHARACTERISTICS {
    /// Type `NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Pool tag.
    pub AllocationTag: u32,
    /// Required.
    pub TimerFunction: Option<NDIS_TIMER_FUNCTION>,
    /// Default context.
    pub FunctionContext: *mut c_void,
}

/// The only revision. NDIS 6.0.
pub const NDIS_TIMER_CHARACTERISTICS_REVISION_1: u8 = 1;

/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_TIMER_CHARACTERISTICS_REVISION_1: usize = 0x18;
