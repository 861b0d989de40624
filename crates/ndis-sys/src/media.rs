//! Media, link state, packet filters and interface types.

use crate::object::NDIS_OBJECT_HEADER;

/// State of the link, sent with `NDIS_STATUS_LINK_STATE`. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_LINK_STATE {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Connected or not.
    pub MediaConnectState: NDIS_MEDIA_CONNECT_STATE,
    /// Half or full.
    pub MediaDuplexState: NDIS_MEDIA_DUPLEX_STATE,
    /// Bits per second; `NDIS_LINK_SPEED_UNKNOWN` if unknown.
    pub XmitLinkSpeed: u64,
    /// Bits per second.
    pub RcvLinkSpeed: u64,
    /// IEEE 802.3 pause frames in use.
    pub PauseFunctions: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
    /// `NDIS_LINK_STATE_*_AUTO_NEGOTIATED`.
    pub AutoNegotiationFlags: u32,
}

/// Link settings wanted (`OID_GEN_LINK_PARAMETERS`). NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_LINK_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Wanted duplex state.
    pub MediaDuplexState: NDIS_MEDIA_DUPLEX_STATE,
    /// Bits per second.
    pub XmitLinkSpeed: u64,
    /// Bits per second.
    pub RcvLinkSpeed: u64,
    /// Wanted pause functions.
    pub PauseFunctions: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
    /// `NDIS_LINK_STATE_*_AUTO_NEGOTIATED`.
    pub AutoNegotiationFlags: u32,
}

/// Interrupt moderation (`OID_GEN_INTERRUPT_MODERATION`). NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_INTERRUPT_MODERATION_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_INTERRUPT_MODERATION_CHANGE_NEEDS_*`.
    pub Flags: u32,
    /// Whether it is on.
    pub InterruptModeration: NDIS_INTERRUPT_MODERATION,
}

/// The only revision. NDIS 6.0.
pub const NDIS_LINK_STATE_REVISION_1: u8 = 1;
/// The only revision. NDIS 6.0.
pub const NDIS_LINK_PARAMETERS_REVISION_1: u8 = 1;
/// The only revision. NDIS 6.0.
pub const NDIS_INTERRUPT_MODERATION_PARAMETERS_REVISION_1: u8 = 1;

/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_LINK_STATE_REVISION_1: usize = 0x28;
/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_LINK_PARAMETERS_REVISION_1: usize = 0x20;
/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_INTERRUPT_MODERATION_PARAMETERS_REVISION_1: usize = 0xC;

/// Speed of a link that is not known: the 64-bit value -1. NDIS 6.0.
pub const NDIS_LINK_SPEED_UNKNOWN: u64 = u64::MAX;

/// Transmit speed was negotiated. NDIS 6.0.
pub const NDIS_LINK_STATE_XMIT_LINK_SPEED_AUTO_NEGOTIATED: u32 = 1;
/// Receive speed was negotiated. NDIS 6.0.
pub const NDIS_LINK_STATE_RCV_LINK_SPEED_AUTO_NEGOTIATED: u32 = 2;
/// Duplex state was negotiated. NDIS 6.0.
pub const NDIS_LINK_STATE_DUPLEX_AUTO_NEGOTIATED: u32 = 4;
/// Pause functions were negotiated. NDIS 6.0.
pub const NDIS_LINK_STATE_PAUSE_FUNCTIONS_AUTO_NEGOTIATED: u32 = 8;
/// A change needs a reset. NDIS 6.0.
pub const NDIS_INTERRUPT_MODERATION_CHANGE_NEEDS_RESET: u32 = 1;
/// A change needs a new initialisation. NDIS 6.0.
pub const NDIS_INTERRUPT_MODERATION_CHANGE_NEEDS_REINITIALIZE: u32 = 2;
/// Frames to the adapter's address. NDIS 6.0.
pub const NDIS_PACKET_TYPE_DIRECTED: u32 = 1;
/// Frames to listed multicast addresses. NDIS 6.0.
pub const NDIS_PACKET_TYPE_MULTICAST: u32 = 2;
/// Every multicast frame. NDIS 6.0.
pub const NDIS_PACKET_TYPE_ALL_MULTICAST: u32 = 4;
/// Broadcast frames. NDIS 6.0.
pub const NDIS_PACKET_TYPE_BROADCAST: u32 = 8;
/// Source-routed frames. NDIS 6.0.
pub const NDIS_PACKET_TYPE_SOURCE_ROUTING: u32 = 0x10;
/// Every frame. NDIS 6.0.
pub const NDIS_PACKET_TYPE_PROMISCUOUS: u32 = 0x20;
/// FDDI management. NDIS 6.0.
pub const NDIS_PACKET_TYPE_SMT: u32 = 0x40;
/// Frames sent from this host. NDIS 6.0.
pub const NDIS_PACKET_TYPE_ALL_LOCAL: u32 = 0x80;
/// Frames to the current group address. NDIS 6.0.
pub const NDIS_PACKET_TYPE_GROUP: u32 = 0x1000;
/// Token ring. NDIS 6.0.
pub const NDIS_PACKET_TYPE_ALL_FUNCTIONAL: u32 = 0x2000;
/// Token ring. NDIS 6.0.
pub const NDIS_PACKET_TYPE_FUNCTIONAL: u32 = 0x4000;
/// Token ring. NDIS 6.0.
pub const NDIS_PACKET_TYPE_MAC_FRAME: u32 = 0x8000;
/// No loopback, used by protocols. NDIS 6.0.
pub const NDIS_PACKET_TYPE_NO_LOCAL: u32 = 0x0001_0000;
/// `EtherType` of IPv4. NDIS 6.0.
pub const NDIS_ETH_TYPE_IPV4: u32 = 0x800;
/// `EtherType` of ARP. NDIS 6.0.
pub const NDIS_ETH_TYPE_ARP: u32 = 0x806;
/// `EtherType` of IPv6. NDIS 6.0.
pub const NDIS_ETH_TYPE_IPV6: u32 = 0x86DD;
/// `EtherType` of a VLAN tag. NDIS 6.0.
pub const NDIS_ETH_TYPE_802_1Q: u32 = 0x8100;
/// `EtherType` of 802.1X. NDIS 6.0.
pub const NDIS_ETH_TYPE_802_1X: u32 = 0x888E;
/// `EtherType` of slow protocols. NDIS 6.0.
pub const NDIS_ETH_TYPE_SLOW_PROTOCOL: u32 = 0x8809;

/// Logical medium. NDIS 6.0.
pub type NDIS_MEDIUM = i32;
/// Ethernet.
pub const NdisMedium802_3: NDIS_MEDIUM = 0;
/// Token ring.
pub const NdisMedium802_5: NDIS_MEDIUM = 1;
/// Wide area.
pub const NdisMediumWan: NDIS_MEDIUM = 3;
/// Loopback.
pub const NdisMediumLoopback: NDIS_MEDIUM = 0x11;
/// Tunnel.
pub const NdisMediumTunnel: NDIS_MEDIUM = 0xF;
/// Raw IP.
pub const NdisMediumIP: NDIS_MEDIUM = 0x13;
/// Number of media.
pub const NdisMediumMax: NDIS_MEDIUM = 0x14;

/// Physical medium. NDIS 6.0.
pub type NDIS_PHYSICAL_MEDIUM = i32;
/// None of the others.
pub const NdisPhysicalMediumUnspecified: NDIS_PHYSICAL_MEDIUM = 0;
/// Wireless.
pub const NdisPhysicalMediumWirelessLan: NDIS_PHYSICAL_MEDIUM = 1;
/// Ethernet.
pub const NdisPhysicalMedium802_3: NDIS_PHYSICAL_MEDIUM = 0xE;
/// Another one.
pub const NdisPhysicalMediumOther: NDIS_PHYSICAL_MEDIUM = 0x13;
/// Number of physical media.
pub const NdisPhysicalMediumMax: NDIS_PHYSICAL_MEDIUM = 0x15;

/// Whether the medium is connected. NDIS 6.0.
pub type NDIS_MEDIA_CONNECT_STATE = i32;
/// Not known; reported in low power without wake-on-link.
pub const MediaConnectStateUnknown: NDIS_MEDIA_CONNECT_STATE = 0;
/// Connected.
pub const MediaConnectStateConnected: NDIS_MEDIA_CONNECT_STATE = 1;
/// Not connected.
pub const MediaConnectStateDisconnected: NDIS_MEDIA_CONNECT_STATE = 2;

/// Duplex state. NDIS 6.0.
pub type NDIS_MEDIA_DUPLEX_STATE = i32;
/// Not known.
pub const MediaDuplexStateUnknown: NDIS_MEDIA_DUPLEX_STATE = 0;
/// Half duplex.
pub const MediaDuplexStateHalf: NDIS_MEDIA_DUPLEX_STATE = 1;
/// Full duplex.
pub const MediaDuplexStateFull: NDIS_MEDIA_DUPLEX_STATE = 2;

/// IEEE 802.3 pause frames. NDIS 6.0.
pub type NDIS_SUPPORTED_PAUSE_FUNCTIONS = i32;
/// None.
pub const NdisPauseFunctionsUnsupported: NDIS_SUPPORTED_PAUSE_FUNCTIONS = 0;
/// Sent only.
pub const NdisPauseFunctionsSendOnly: NDIS_SUPPORTED_PAUSE_FUNCTIONS = 1;
/// Received only.
pub const NdisPauseFunctionsReceiveOnly: NDIS_SUPPORTED_PAUSE_FUNCTIONS = 2;
/// Both.
pub const NdisPauseFunctionsSendAndReceive: NDIS_SUPPORTED_PAUSE_FUNCTIONS = 3;
/// Not known yet.
pub const NdisPauseFunctionsUnknown: NDIS_SUPPORTED_PAUSE_FUNCTIONS = 4;

/// State of interrupt moderation. NDIS 6.0.
pub type NDIS_INTERRUPT_MODERATION = i32;
/// Not known.
pub const NdisInterruptModerationUnknown: NDIS_INTERRUPT_MODERATION = 0;
/// Not supported.
pub const NdisInterruptModerationNotSupported: NDIS_INTERRUPT_MODERATION = 1;
/// On.
pub const NdisInterruptModerationEnabled: NDIS_INTERRUPT_MODERATION = 2;
/// Off.
pub const NdisInterruptModerationDisabled: NDIS_INTERRUPT_MODERATION = 3;

/// Interface access type (RFC 2863). NDIS 6.0.
pub type NET_IF_ACCESS_TYPE = i32;
/// Loopback.
pub const NET_IF_ACCESS_LOOPBACK: NET_IF_ACCESS_TYPE = 1;
/// Broadcast: Ethernet.
pub const NET_IF_ACCESS_BROADCAST: NET_IF_ACCESS_TYPE = 2;
/// Point to point.
pub const NET_IF_ACCESS_POINT_TO_POINT: NET_IF_ACCESS_TYPE = 3;
/// Point to multipoint.
pub const NET_IF_ACCESS_POINT_TO_MULTI_POINT: NET_IF_ACCESS_TYPE = 4;
/// End of the values.
pub const NET_IF_ACCESS_MAXIMUM: NET_IF_ACCESS_TYPE = 5;

/// Directions of an interface. NDIS 6.0.
pub type NET_IF_DIRECTION_TYPE = i32;
/// Both.
pub const NET_IF_DIRECTION_SENDRECEIVE: NET_IF_DIRECTION_TYPE = 0;
/// Sends only.
pub const NET_IF_DIRECTION_SENDONLY: NET_IF_DIRECTION_TYPE = 1;
/// Receives only.
pub const NET_IF_DIRECTION_RECEIVEONLY: NET_IF_DIRECTION_TYPE = 2;
/// End of the values.
pub const NET_IF_DIRECTION_MAXIMUM: NET_IF_DIRECTION_TYPE = 3;

/// How the connection is made. NDIS 6.0.
pub type NET_IF_CONNECTION_TYPE = i32;
/// Always there: Ethernet.
pub const NET_IF_CONNECTION_DEDICATED: NET_IF_CONNECTION_TYPE = 1;
/// Others connect to it.
pub const NET_IF_CONNECTION_PASSIVE: NET_IF_CONNECTION_TYPE = 2;
/// On demand.
pub const NET_IF_CONNECTION_DEMAND: NET_IF_CONNECTION_TYPE = 3;
/// End of the values.
pub const NET_IF_CONNECTION_MAXIMUM: NET_IF_CONNECTION_TYPE = 4;
