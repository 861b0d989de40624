//! Scatter-gather DMA registration.

use core::ffi::c_void;

use wdk_sys::{DEVICE_OBJECT, SCATTER_GATHER_LIST};

use crate::object::NDIS_OBJECT_HEADER;
use crate::types::{NDIS_HANDLE, NDIS_PHYSICAL_ADDRESS};

/// Takes the scatter-gather list of a frame. `DISPATCH_LEVEL`. NDIS 6.0.
pub type MINIPORT_PROCESS_SG_LIST = unsafe extern "win64" fn(
    pDO: *mut DEVICE_OBJECT,
    Reserved: *mut c_void,
    pSGL: *mut SCATTER_GATHER_LIST,
    Context: *mut c_void,
);
/// Takes shared memory allocated asynchronously. `PASSIVE_LEVEL`. NDIS 6.0.
pub type MINIPORT_ALLOCATE_SHARED_MEM_COMPLETE = unsafe extern "win64" fn(
    MiniportAdapterContext: NDIS_HANDLE,
    VirtualAddress: *mut c_void,
    PhysicalAddress: *mut NDIS_PHYSICAL_ADDRESS,
    Length: u32,
    Context: *mut c_void,
);

/// DMA needs of an adapter (`NdisMRegisterScatterGatherDma`). NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_SG_DMA_DESCRIPTION {
    /// Type `NDIS_OBJECT_TYPE_SG_DMA_DESCRIPTION`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_SG_DMA_*`.
    pub Flags: u32,
    /// Largest transfer in bytes.
    pub MaximumPhysicalMapping: u32,
    /// Required.
    pub ProcessSGListHandler: Option<MINIPORT_PROCESS_SG_LIST>,
    /// Optional.
    pub SharedMemAllocateCompleteHandler: Option<MINIPORT_ALLOCATE_SHARED_MEM_COMPLETE>,
    /// Set by NDIS: bytes to keep for a list.
    pub ScatterGatherListSize: u32,
}

/// First revision. NDIS 6.0.
pub const NDIS_SG_DMA_DESCRIPTION_REVISION_1: u8 = 1;

/// Bytes of revision 1, without its tail padding. NDIS 6.0.
pub const NDIS_SIZEOF_SG_DMA_DESCRIPTION_REVISION_1: usize = 0x24;

/// Flag: 64-bit addresses. NDIS 6.0.
pub const NDIS_SG_DMA_64_BIT_ADDRESS: u32 = 1;
/// Flag: version 3 of the DMA interface. NDIS 6.40.
pub const NDIS_SG_DMA_V3_HAL_API: u32 = 2;
/// Flag of `NdisMAllocateNetBufferSGList`: data goes to the device. NDIS 6.0.
pub const NDIS_SG_LIST_WRITE_TO_DEVICE: u32 = 1;
