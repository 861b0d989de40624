//! `NET_BUFFER`, `NET_BUFFER_LIST` and their pools.

use core::ffi::c_void;

use wdk_sys::MDL;

use crate::nbl_info::MaxNetBufferListInfo;
use crate::object::NDIS_OBJECT_HEADER;
use crate::types::{BOOLEAN, MemoryAligned, NDIS_HANDLE, NDIS_PHYSICAL_ADDRESS, NDIS_STATUS};

/// Where a frame's bytes are; the first members of `NET_BUFFER`. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_BUFFER_DATA {
    /// Next frame of the list.
    pub Next: *mut NET_BUFFER,
    /// MDL that holds the first byte of the frame.
    pub CurrentMdl: *mut MDL,
    /// Bytes of that MDL before the first byte.
    pub CurrentMdlOffset: u32,
    /// Bytes of the frame; its low half is Microsoft's `DataLength`, the only part to trust.
    pub stDataLength: usize,
    /// First MDL, which may lie before `CurrentMdl`.
    pub MdlChain: *mut MDL,
    /// Bytes from the start of `MdlChain` to the first byte.
    pub DataOffset: u32,
}

/// One frame. NDIS 6.0.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct NET_BUFFER {
    /// Next frame of the list.
    pub Next: *mut NET_BUFFER,
    /// MDL that holds the first byte of the frame.
    pub CurrentMdl: *mut MDL,
    /// Bytes of that MDL before the first byte.
    pub CurrentMdlOffset: u32,
    /// Bytes of the frame; its low half is Microsoft's `DataLength`, the only part to trust.
    pub stDataLength: usize,
    /// First MDL, which may lie before `CurrentMdl`.
    pub MdlChain: *mut MDL,
    /// Bytes from the start of `MdlChain` to the first byte.
    pub DataOffset: u32,
    /// Tail padding of Microsoft's `NET_BUFFER_HEADER`, which ends here.
    pub HeaderPadding: u32,
    /// Not for miniports.
    pub ChecksumBias: u16,
    /// Reserved.
    pub Reserved: u16,
    /// Pool it came from.
    pub NdisPoolHandle: NDIS_HANDLE,
    /// NDIS's own.
    pub NdisReserved: MemoryAligned<[*mut c_void; 2]>,
    /// The originator's own.
    pub ProtocolReserved: [*mut c_void; 6],
    /// The miniport's while it owns the frame.
    pub MiniportReserved: [*mut c_void; 4],
    /// Physical address, if the provider knows it.
    pub DataPhysicalAddress: NDIS_PHYSICAL_ADDRESS,
    /// `NET_BUFFER_SHARED_MEMORY` or scatter-gather list.
    pub SharedMemoryInfo: *mut c_void,
}

/// Links of a list; the first members of `NET_BUFFER_LIST`. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_BUFFER_LIST_DATA {
    /// Next list of the chain.
    pub Next: *mut NET_BUFFER_LIST,
    /// First frame.
    pub FirstNetBuffer: *mut NET_BUFFER,
}

/// Context space in front of which NDIS keeps sizes. NDIS 6.0.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct NET_BUFFER_LIST_CONTEXT {
    /// Next context.
    pub Next: *mut NET_BUFFER_LIST_CONTEXT,
    /// Bytes allocated at `ContextData`.
    pub Size: u16,
    /// Bytes of it not used.
    pub Offset: u16,
    /// First byte.
    pub ContextData: MemoryAligned<[u8; 0]>,
}

/// Frames that are sent or received together, with their out-of-band data. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_BUFFER_LIST {
    /// Next list of the chain.
    pub Next: *mut NET_BUFFER_LIST,
    /// First frame.
    pub FirstNetBuffer: *mut NET_BUFFER,
    /// Context space or null.
    pub Context: *mut NET_BUFFER_LIST_CONTEXT,
    /// List it was derived from.
    pub ParentNetBufferList: *mut NET_BUFFER_LIST,
    /// Pool it came from.
    pub NdisPoolHandle: NDIS_HANDLE,
    /// NDIS's own.
    pub NdisReserved: MemoryAligned<[*mut c_void; 2]>,
    /// The originator's own.
    pub ProtocolReserved: MemoryAligned<[*mut c_void; 4]>,
    /// The miniport's while it owns the list.
    pub MiniportReserved: MemoryAligned<[*mut c_void; 2]>,
    /// The present owner's.
    pub Scratch: *mut c_void,
    /// Who made or indicated it.
    pub SourceHandle: NDIS_HANDLE,
    /// `NDIS_NBL_FLAGS_*`.
    pub NblFlags: u32,
    /// Derived lists.
    pub ChildRefCount: i32,
    /// NDIS's own.
    pub Flags: u32,
    /// Result of a send.
    pub Status: NDIS_STATUS,
    /// Out-of-band data, by `NDIS_NET_BUFFER_LIST_INFO`.
    pub NetBufferListInfo: [*mut c_void; MaxNetBufferListInfo as usize],
}

/// A pool of lists to make. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_BUFFER_LIST_POOL_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_PROTOCOL_ID_*`.
    pub ProtocolId: u8,
    /// Each list comes with a frame.
    pub fAllocateNetBuffer: BOOLEAN,
    /// Bytes, a multiple of 16.
    pub ContextSize: u16,
    /// Pool tag, not 0.
    pub PoolTag: u32,
    /// Bytes of data buffer per frame, or 0.
    pub DataSize: u32,
}

/// A pool of frames to make. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_BUFFER_POOL_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Pool tag.
    pub PoolTag: u32,
    /// Bytes of data buffer per frame, or 0.
    pub DataSize: u32,
}

/// Makes an MDL for `NdisRetreatNetBufferDataStart`. At most `DISPATCH_LEVEL`. NDIS 6.0.
pub type NET_BUFFER_ALLOCATE_MDL_HANDLER =
    unsafe extern "win64" fn(BufferSize: *mut u32) -> *mut MDL;
/// Frees an MDL for `NdisAdvanceNetBufferDataStart`. At most `DISPATCH_LEVEL`. NDIS 6.0.
pub type NET_BUFFER_FREE_MDL_HANDLER = unsafe extern "win64" fn(Mdl: *mut MDL);

/// First revision. NDIS 6.0.
pub const NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1: u8 = 1;
/// First revision. NDIS 6.0.
pub const NET_BUFFER_POOL_PARAMETERS_REVISION_1: u8 = 1;
/// No particular protocol. NDIS 6.0.
pub const NDIS_PROTOCOL_ID_DEFAULT: u8 = 0;
/// IPv4. NDIS 6.0.
pub const NDIS_PROTOCOL_ID_TCP_IP: u8 = 2;
/// IPv6. NDIS 6.0.
pub const NDIS_PROTOCOL_ID_IP6: u8 = 3;

/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1: usize = 0x10;
/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1: usize = 0xC;

/// The default port. NDIS 6.0.
pub const NDIS_DEFAULT_PORT_NUMBER: u32 = 0;
/// Bits of the protocol. NDIS 6.0.
pub const NBL_FLAGS_PROTOCOL_RESERVED: u32 = 0xFFF0_0003;
/// Bits of the present owner. NDIS 6.0.
pub const NBL_FLAGS_SCRATCH: u32 = 0x000F_0000;
/// Bits of the miniport. NDIS 6.0.
pub const NBL_FLAGS_MINIPORT_RESERVED: u32 = 0xF000;
/// Bits of NDIS. NDIS 6.0.
pub const NBL_FLAGS_NDIS_RESERVED: u32 = 0xFFC;
/// Data must not be changed (send). NDIS 6.0.
pub const NDIS_NBL_FLAGS_SEND_READ_ONLY: u32 = 1;
/// Data must not be changed (receive). NDIS 6.0.
pub const NDIS_NBL_FLAGS_RECV_READ_ONLY: u32 = 2;
/// Header and data are split. NDIS 6.0.
pub const NDIS_NBL_FLAGS_HD_SPLIT: u32 = 0x100;
/// IPv4. NDIS 6.0.
pub const NDIS_NBL_FLAGS_IS_IPV4: u32 = 0x200;
/// IPv6. NDIS 6.0.
pub const NDIS_NBL_FLAGS_IS_IPV6: u32 = 0x400;
/// TCP. NDIS 6.0.
pub const NDIS_NBL_FLAGS_IS_TCP: u32 = 0x800;
/// UDP. NDIS 6.0.
pub const NDIS_NBL_FLAGS_IS_UDP: u32 = 0x1000;
/// Looped back. NDIS 6.0.
pub const NDIS_NBL_FLAGS_IS_LOOPBACK_PACKET: u32 = 0x8000;
/// Send: IRQL is `DISPATCH_LEVEL`. NDIS 6.0.
pub const NDIS_SEND_FLAGS_DISPATCH_LEVEL: u32 = 1;
/// Send: loop back if it is for this host. NDIS 6.0.
pub const NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK: u32 = 2;
/// Send: all for one queue. NDIS 6.20.
pub const NDIS_SEND_FLAGS_SINGLE_QUEUE: u32 = 4;
/// Completion: IRQL is `DISPATCH_LEVEL`. NDIS 6.0.
pub const NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL: u32 = 1;
/// Completion: all of one queue. NDIS 6.20.
pub const NDIS_SEND_COMPLETE_FLAGS_SINGLE_QUEUE: u32 = 2;
/// Indication: IRQL is `DISPATCH_LEVEL`. NDIS 6.0.
pub const NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL: u32 = 1;
/// Indication: the lists are the miniport's again when the call returns. NDIS 6.0.
pub const NDIS_RECEIVE_FLAGS_RESOURCES: u32 = 2;
/// Indication: one `EtherType`. NDIS 6.0.
pub const NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE: u32 = 0x100;
/// Indication: one VLAN. NDIS 6.0.
pub const NDIS_RECEIVE_FLAGS_SINGLE_VLAN: u32 = 0x200;
/// Indication: only frames the filter asked for. NDIS 6.0.
pub const NDIS_RECEIVE_FLAGS_PERFECT_FILTERED: u32 = 0x400;
/// Indication: all of one queue. NDIS 6.20.
pub const NDIS_RECEIVE_FLAGS_SINGLE_QUEUE: u32 = 0x800;
/// Indication: shared memory information is valid. NDIS 6.20.
pub const NDIS_RECEIVE_FLAGS_SHARED_MEMORY_INFO_VALID: u32 = 0x1000;
/// Indication: more follow. NDIS 6.30.
pub const NDIS_RECEIVE_FLAGS_MORE_NBLS: u32 = 0x2000;
/// Return: IRQL is `DISPATCH_LEVEL`. NDIS 6.0.
pub const NDIS_RETURN_FLAGS_DISPATCH_LEVEL: u32 = 1;
/// Return: all of one queue. NDIS 6.20.
pub const NDIS_RETURN_FLAGS_SINGLE_QUEUE: u32 = 2;
