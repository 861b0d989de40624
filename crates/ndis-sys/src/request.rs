//! OID requests and status indications.

use core::ffi::c_void;

use wdk_sys::GUID;

use crate::object::NDIS_OBJECT_HEADER;
use crate::types::{NDIS_HANDLE, NDIS_OID, NDIS_PORT_NUMBER, NDIS_STATUS};

/// Query data of a request. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OID_REQUEST_QUERY_INFORMATION {
    /// Object asked for.
    pub Oid: NDIS_OID,
    /// Where the answer goes; may be unaligned, null with length 0.
    pub InformationBuffer: *mut c_void,
    /// Bytes of the buffer.
    pub InformationBufferLength: u32,
    /// Set by the driver: bytes written.
    pub BytesWritten: u32,
    /// Set by the driver: bytes the answer needs.
    pub BytesNeeded: u32,
}

/// Set data of a request. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OID_REQUEST_SET_INFORMATION {
    /// Object to set.
    pub Oid: NDIS_OID,
    /// Where the value is; may be unaligned, null with length 0.
    pub InformationBuffer: *mut c_void,
    /// Bytes of the buffer.
    pub InformationBufferLength: u32,
    /// Set by the driver: bytes read.
    pub BytesRead: u32,
    /// Set by the driver: bytes the value must have.
    pub BytesNeeded: u32,
}

/// Method data of a request. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OID_REQUEST_METHOD_INFORMATION {
    /// Object addressed.
    pub Oid: NDIS_OID,
    /// Input and output buffer.
    pub InformationBuffer: *mut c_void,
    /// Bytes of input.
    pub InputBufferLength: u32,
    /// Bytes of room for output.
    pub OutputBufferLength: u32,
    /// Method identifier.
    pub MethodId: u32,
    /// Set by the driver: bytes written.
    pub BytesWritten: u32,
    /// Set by the driver: bytes read.
    pub BytesRead: u32,
    /// Set by the driver: bytes needed.
    pub BytesNeeded: u32,
}

/// Data of a request; `RequestType` says which. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NDIS_OID_REQUEST_DATA {
    /// For `NdisRequestQueryInformation` and `NdisRequestQueryStatistics`.
    pub QUERY_INFORMATION: NDIS_OID_REQUEST_QUERY_INFORMATION,
    /// For `NdisRequestSetInformation`.
    pub SET_INFORMATION: NDIS_OID_REQUEST_SET_INFORMATION,
    /// For `NdisRequestMethod`.
    pub METHOD_INFORMATION: NDIS_OID_REQUEST_METHOD_INFORMATION,
}

/// A request to the miniport. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OID_REQUEST {
    /// Type `NDIS_OBJECT_TYPE_OID_REQUEST`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Query, set, method...
    pub RequestType: NDIS_REQUEST_TYPE,
    /// Port it concerns.
    pub PortNumber: NDIS_PORT_NUMBER,
    /// Seconds; 0 is no limit.
    pub Timeout: u32,
    /// Identifier for `MiniportCancelOidRequest`.
    pub RequestId: *mut c_void,
    /// Originator's handle.
    pub RequestHandle: NDIS_HANDLE,
    /// The request.
    pub DATA: NDIS_OID_REQUEST_DATA,
    /// NDIS's own.
    pub NdisReserved: [u8; 128],
    /// For the miniport while it owns the request.
    pub MiniportReserved: [*mut c_void; 2],
    /// For the originator.
    pub SourceReserved: [*mut c_void; 2],
    /// Set by the miniport after a successful set of a revisioned structure.
    pub SupportedRevision: u8,
    /// Reserved.
    pub Reserved1: u8,
    /// Reserved.
    pub Reserved2: u16,
    /// NIC switch; since revision 2 (NDIS 6.50).
    pub SwitchId: u32,
    /// Virtual port; valid with `NDIS_OID_REQUEST_FLAGS_VPORT_ID_VALID`.
    pub VPortId: u32,
    /// `NDIS_OID_REQUEST_FLAGS_*`.
    pub Flags: u32,
}

/// A status told to the drivers above (`NdisMIndicateStatusEx`). NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_STATUS_INDICATION {
    /// Type `NDIS_OBJECT_TYPE_STATUS_INDICATION`.
    pub Header: NDIS_OBJECT_HEADER,
    /// The miniport adapter handle.
    pub SourceHandle: NDIS_HANDLE,
    /// 0 for the default port or the adapter.
    pub PortNumber: NDIS_PORT_NUMBER,
    /// Which status.
    pub StatusCode: NDIS_STATUS,
    /// 0.
    pub Flags: u32,
    /// Null unless it answers one request.
    pub DestinationHandle: NDIS_HANDLE,
    /// Null unless it answers one request.
    pub RequestId: *mut c_void,
    /// Data of the status.
    pub StatusBuffer: *mut c_void,
    /// Bytes.
    pub StatusBufferSize: u32,
    /// For statuses the driver invents.
    pub Guid: GUID,
    /// NDIS's own.
    pub NdisReserved: [*mut c_void; 4],
}

/// First revision. NDIS 6.0.
pub const NDIS_OID_REQUEST_REVISION_1: u8 = 1;
/// With switch and port. NDIS 6.50.
pub const NDIS_OID_REQUEST_REVISION_2: u8 = 2;
/// The only revision. NDIS 6.0.
pub const NDIS_STATUS_INDICATION_REVISION_1: u8 = 1;

/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_OID_REQUEST_REVISION_1: usize = 0xEC;
/// Bytes of revision 2. NDIS 6.50.
pub const NDIS_SIZEOF_OID_REQUEST_REVISION_2: usize = 0xF8;

/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_STATUS_INDICATION_REVISION_1: usize = size_of::<NDIS_STATUS_INDICATION>();

/// Time-out: none. NDIS 6.0.
pub const NDIS_OID_REQUEST_TIMEOUT_INFINITE: u32 = 0;
/// Flag: `VPortId` is valid. NDIS 6.50.
pub const NDIS_OID_REQUEST_FLAGS_VPORT_ID_VALID: u32 = 1;
/// Indication flag: connected again without a disconnect. NDIS 6.0.
pub const NDIS_STATUS_INDICATION_FLAGS_MEDIA_CONNECT_TO_CONNECT: u32 = 0x1000;

/// Kind of request. NDIS 6.0.
pub type NDIS_REQUEST_TYPE = i32;
/// Query.
pub const NdisRequestQueryInformation: NDIS_REQUEST_TYPE = 0;
/// Set.
pub const NdisRequestSetInformation: NDIS_REQUEST_TYPE = 1;
/// Query of a counter.
pub const NdisRequestQueryStatistics: NDIS_REQUEST_TYPE = 2;
/// Input and output in one buffer.
pub const NdisRequestMethod: NDIS_REQUEST_TYPE = 0xC;
