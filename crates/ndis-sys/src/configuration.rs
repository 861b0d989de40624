//! Registry parameters of an adapter.

use core::ffi::c_void;

use wdk_sys::UNICODE_STRING;

use crate::object::NDIS_OBJECT_HEADER;
use crate::types::NDIS_HANDLE;

/// Binary value of a parameter. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BINARY_DATA {
    /// Bytes.
    pub Length: u16,
    /// First byte.
    pub Buffer: *mut c_void,
}

/// Value of a parameter; `ParameterType` says which. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NDIS_CONFIGURATION_PARAMETER_DATA {
    /// For `NdisParameterInteger` and `NdisParameterHexInteger`.
    pub IntegerData: u32,
    /// For `NdisParameterString` and `NdisParameterMultiString`.
    pub StringData: UNICODE_STRING,
    /// For `NdisParameterBinary`.
    pub BinaryData: BINARY_DATA,
}

/// What `NdisOpenConfigurationEx` opens. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_CONFIGURATION_OBJECT {
    /// Type `NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Adapter handle.
    pub NdisHandle: NDIS_HANDLE,
    /// 0.
    pub Flags: u32,
}

/// A value read; freed when the configuration is closed. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_CONFIGURATION_PARAMETER {
    /// Kind of value.
    pub ParameterType: NDIS_PARAMETER_TYPE,
    /// The value.
    pub ParameterData: NDIS_CONFIGURATION_PARAMETER_DATA,
}

/// The only revision. NDIS 6.0.
pub const NDIS_CONFIGURATION_OBJECT_REVISION_1: u8 = 1;

/// Bytes of revision 1, without its tail padding. NDIS 6.0.
pub const NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1: usize = 0x14;

/// Kind of a configuration value. NDIS 6.0.
pub type NDIS_PARAMETER_TYPE = i32;
/// Integer, decimal if it is text.
pub const NdisParameterInteger: NDIS_PARAMETER_TYPE = 0;
/// Integer, hexadecimal if it is text.
pub const NdisParameterHexInteger: NDIS_PARAMETER_TYPE = 1;
/// Text.
pub const NdisParameterString: NDIS_PARAMETER_TYPE = 2;
/// Several texts.
pub const NdisParameterMultiString: NDIS_PARAMETER_TYPE = 3;
/// Bytes.
pub const NdisParameterBinary: NDIS_PARAMETER_TYPE = 4;
