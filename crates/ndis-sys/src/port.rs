//! Miniport ports. This driver has only the default port; the types are for status and tests.

use crate::media::{NDIS_MEDIA_CONNECT_STATE, NET_IF_DIRECTION_TYPE};
use crate::object::NDIS_OBJECT_HEADER;
use crate::types::NDIS_PORT_NUMBER;

/// What a port is. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_PORT_CHARACTERISTICS {
    /// Type `NDIS_OBJECT_TYPE_PORT_CHARACTERISTICS`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Number.
    pub PortNumber: NDIS_PORT_NUMBER,
    /// `NDIS_PORT_CHAR_*`.
    pub Flags: u32,
    /// Kind.
    pub Type: NDIS_PORT_TYPE,
    /// Connected or not.
    pub MediaConnectState: NDIS_MEDIA_CONNECT_STATE,
    /// Bits per second.
    pub XmitLinkSpeed: u64,
    /// Bits per second.
    pub RcvLinkSpeed: u64,
    /// Directions.
    pub Direction: NET_IF_DIRECTION_TYPE,
    /// Whether sends are controlled.
    pub SendControlState: NDIS_PORT_CONTROL_STATE,
    /// Whether receives are controlled.
    pub RcvControlState: NDIS_PORT_CONTROL_STATE,
    /// Whether sends are authorised.
    pub SendAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
    /// Whether receives are authorised.
    pub RcvAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
}

/// Authentication states of the default port. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_PORT_AUTHENTICATION_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Whether sends are controlled.
    pub SendControlState: NDIS_PORT_CONTROL_STATE,
    /// Whether receives are controlled.
    pub RcvControlState: NDIS_PORT_CONTROL_STATE,
    /// Whether sends are authorised.
    pub SendAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
    /// Whether receives are authorised.
    pub RcvAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
}

/// Kind of a port. NDIS 6.0.
pub type NDIS_PORT_TYPE = i32;
/// None.
pub const NdisPortTypeUndefined: NDIS_PORT_TYPE = 0;
/// Bridge.
pub const NdisPortTypeBridge: NDIS_PORT_TYPE = 1;
/// Number of kinds.
pub const NdisPortTypeMax: NDIS_PORT_TYPE = 5;

/// Whether authentication controls a direction. NDIS 6.0.
pub type NDIS_PORT_CONTROL_STATE = i32;
/// Not known.
pub const NdisPortControlStateUnknown: NDIS_PORT_CONTROL_STATE = 0;
/// Controlled.
pub const NdisPortControlStateControlled: NDIS_PORT_CONTROL_STATE = 1;
/// Not controlled.
pub const NdisPortControlStateUncontrolled: NDIS_PORT_CONTROL_STATE = 2;

/// Authorisation of a direction. NDIS 6.0.
pub type NDIS_PORT_AUTHORIZATION_STATE = i32;
/// Not known.
pub const NdisPortAuthorizationUnknown: NDIS_PORT_AUTHORIZATION_STATE = 0;
/// Authorised.
pub const NdisPortAuthorized: NDIS_PORT_AUTHORIZATION_STATE = 1;
/// Not authorised.
pub const NdisPortUnauthorized: NDIS_PORT_AUTHORIZATION_STATE = 2;
/// Being authorised again.
pub const NdisPortReauthorizing: NDIS_PORT_AUTHORIZATION_STATE = 3;
