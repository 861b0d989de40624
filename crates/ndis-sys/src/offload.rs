//! Task offloads: capabilities, current configuration, settings.
//!
//! `NDIS_OFFLOAD` is the layout of revision 5, the newest of the NDIS 6.80 headers; what later
//! revisions append follows in [`NDIS_OFFLOAD_R8`], whose first bytes are the same.

use core::mem::offset_of;

use crate::object::NDIS_OBJECT_HEADER;
use crate::types::BOOLEAN;

/// Checksum abilities of IPv4, one direction. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_IPV4_CHECKSUM_OFFLOAD {
    /// `NDIS_ENCAPSULATION_*`.
    pub Encapsulation: u32,
    /// Two-bit fields; the first is `IpOptionsSupported`, see the `*_SHIFT` constants.
    pub IpOptionsSupported: u32,
}

impl NDIS_IPV4_CHECKSUM_OFFLOAD {
    /// Shift of `IpOptionsSupported` (2 bits).
    pub const IP_OPTIONS_SHIFT: u32 = 0;
    /// Shift of `TcpOptionsSupported` (2 bits).
    pub const TCP_OPTIONS_SHIFT: u32 = 2;
    /// Shift of `TcpChecksum` (2 bits).
    pub const TCP_CHECKSUM_SHIFT: u32 = 4;
    /// Shift of `UdpChecksum` (2 bits).
    pub const UDP_CHECKSUM_SHIFT: u32 = 6;
    /// Shift of `IpChecksum` (2 bits).
    pub const IP_CHECKSUM_SHIFT: u32 = 8;
}

/// Checksum abilities of IPv6, one direction. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_IPV6_CHECKSUM_OFFLOAD {
    /// `NDIS_ENCAPSULATION_*`.
    pub Encapsulation: u32,
    /// Two-bit fields; the first is `IpExtensionHeadersSupported`, see the `*_SHIFT` constants.
    pub IpExtensionHeadersSupported: u32,
}

impl NDIS_IPV6_CHECKSUM_OFFLOAD {
    /// Shift of `IpExtensionHeadersSupported` (2 bits).
    pub const IP_EXTENSION_HEADERS_SHIFT: u32 = 0;
    /// Shift of `TcpOptionsSupported` (2 bits).
    pub const TCP_OPTIONS_SHIFT: u32 = 2;
    /// Shift of `TcpChecksum` (2 bits).
    pub const TCP_CHECKSUM_SHIFT: u32 = 4;
    /// Shift of `UdpChecksum` (2 bits).
    pub const UDP_CHECKSUM_SHIFT: u32 = 6;
}

/// LSO version 1 abilities. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_LSO_V1_IPV4 {
    /// `NDIS_ENCAPSULATION_*`.
    pub Encapsulation: u32,
    /// Largest payload in bytes.
    pub MaxOffLoadSize: u32,
    /// Fewest segments.
    pub MinSegmentCount: u32,
    /// Two-bit fields `TcpOptions` (shift 0) and `IpOptions` (shift 2).
    pub TcpOptions: u32,
}

/// LSO version 2 abilities for IPv4. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_LSO_V2_IPV4 {
    /// `NDIS_ENCAPSULATION_*`.
    pub Encapsulation: u32,
    /// Largest payload in bytes.
    pub MaxOffLoadSize: u32,
    /// Fewest segments.
    pub MinSegmentCount: u32,
}

/// LSO version 2 abilities for IPv6. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_LSO_V2_IPV6 {
    /// `NDIS_ENCAPSULATION_*`.
    pub Encapsulation: u32,
    /// Largest payload in bytes.
    pub MaxOffLoadSize: u32,
    /// Fewest segments.
    pub MinSegmentCount: u32,
    /// Two-bit fields `IpExtensionHeadersSupported` (shift 0) and `TcpOptionsSupported` (shift 2).
    pub IpExtensionHeadersSupported: u32,
}

/// Coalescing of one IP version. NDIS 6.30.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RSC_ENABLED {
    /// Whether it is on (or possible, in capabilities).
    pub Enabled: BOOLEAN,
}

/// Encapsulation of one IP version. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_ENCAPSULATION_SETTING {
    /// `NDIS_OFFLOAD_SET_*`.
    pub Enabled: u32,
    /// `NDIS_ENCAPSULATION_*`.
    pub EncapsulationType: u32,
    /// Bytes of the MAC header, if the encapsulation has a variable one.
    pub HeaderSize: u32,
}

/// Segmentation of UDP over IPv4. NDIS 6.83.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_USO_IPV4 {
    /// `NDIS_ENCAPSULATION_*`.
    pub Encapsulation: u32,
    /// Largest payload in bytes.
    pub MaxOffLoadSize: u32,
    /// `MinSegmentCount` (6 bits, shift 0) and `SubMssFinalSegmentSupported` (1 bit, shift 6).
    pub MinSegmentCount: u32,
}

/// Segmentation of UDP over IPv6. NDIS 6.83.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_USO_IPV6 {
    /// `NDIS_ENCAPSULATION_*`.
    pub Encapsulation: u32,
    /// Largest payload in bytes.
    pub MaxOffLoadSize: u32,
    /// `MinSegmentCount` (6 bits, shift 0) and `SubMssFinalSegmentSupported` (1 bit, shift 6).
    pub MinSegmentCount: u32,
    /// `IpExtensionHeadersSupported` (2 bits, shift 0).
    pub IpExtensionHeadersSupported: u32,
}

/// Checksum abilities. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_TCP_IP_CHECKSUM_OFFLOAD {
    /// IPv4, sending.
    pub IPv4Transmit: NDIS_IPV4_CHECKSUM_OFFLOAD,
    /// IPv4, receiving.
    pub IPv4Receive: NDIS_IPV4_CHECKSUM_OFFLOAD,
    /// IPv6, sending.
    pub IPv6Transmit: NDIS_IPV6_CHECKSUM_OFFLOAD,
    /// IPv6, receiving.
    pub IPv6Receive: NDIS_IPV6_CHECKSUM_OFFLOAD,
}

/// Large send offload, version 1. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_V1 {
    /// IPv4.
    pub IPv4: NDIS_LSO_V1_IPV4,
}

/// Large send offload, version 2. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_V2 {
    /// IPv4.
    pub IPv4: NDIS_LSO_V2_IPV4,
    /// IPv6.
    pub IPv6: NDIS_LSO_V2_IPV6,
}

/// Receive segment coalescing. NDIS 6.30.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD {
    /// IPv4.
    pub IPv4: NDIS_RSC_ENABLED,
    /// IPv6.
    pub IPv6: NDIS_RSC_ENABLED,
}

/// Offloads of NVGRE frames. NDIS 6.30.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD {
    /// Four-bit fields: transmit checksum (shift 0), receive checksum (4), `LSOv2` (8), RSS (12),
    /// VMQ (16), USO (20, NDIS 6.84).
    pub TransmitChecksumOffloadSupported: u32,
    /// Bytes.
    pub MaxHeaderSizeSupported: u32,
}

/// Offloads of VXLAN frames. NDIS 6.50.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2 {
    /// Four-bit fields as in `NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD`.
    pub TransmitChecksumOffloadSupported: u32,
    /// Bytes.
    pub MaxHeaderSizeSupported: u32,
    /// VXLAN UDP port (16 bits) and whether it can be changed (1 bit, shift 16).
    pub EncapsulationProtocolInfo: u32,
    /// Reserved.
    pub Reserved1: u32,
    /// Reserved.
    pub Reserved2: u32,
}

/// 464XLAT offload. NDIS 6.70.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RFC6877_464XLAT_OFFLOAD {
    /// Whether and when.
    pub XlatOffload: NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS,
    /// 0.
    pub Flags: u32,
}

/// `IPsec` version 1; all zero in this driver. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_IPSEC_OFFLOAD_V1 {
    /// Encapsulation and general abilities.
    pub Supported: [u32; 5],
    /// Two-bit fields.
    pub IPv4AH: u32,
    /// Two-bit fields.
    pub IPv4ESP: u32,
}

/// `IPsec` version 2; all zero in this driver. NDIS 6.1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_IPSEC_OFFLOAD_V2 {
    /// `NDIS_ENCAPSULATION_*`.
    pub Encapsulation: u32,
    /// IPv6.
    pub IPv6Supported: BOOLEAN,
    /// Frames with IPv4 options.
    pub IPv4Options: BOOLEAN,
    /// Frames with other extension headers.
    pub IPv6NonIPsecExtensionHeaders: BOOLEAN,
    /// Authentication header.
    pub Ah: BOOLEAN,
    /// Encapsulating security payload.
    pub Esp: BOOLEAN,
    /// Both in one frame.
    pub AhEspCombined: BOOLEAN,
    /// Transport mode.
    pub Transport: BOOLEAN,
    /// Tunnel mode.
    pub Tunnel: BOOLEAN,
    /// Both modes in one frame.
    pub TransportTunnelCombined: BOOLEAN,
    /// Together with LSO.
    pub LsoSupported: BOOLEAN,
    /// 64-bit sequence numbers.
    pub ExtendedSequenceNumbers: BOOLEAN,
    /// ESP in UDP.
    pub UdpEsp: u32,
    /// Bit mask.
    pub AuthenticationAlgorithms: u32,
    /// Bit mask.
    pub EncryptionAlgorithms: u32,
    /// Security associations.
    pub SaOffloadCapacity: u32,
}

/// Task offloads an adapter can do, or has enabled; revision 5. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OFFLOAD {
    /// Type `NDIS_OBJECT_TYPE_OFFLOAD`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Checksums.
    pub Checksum: NDIS_TCP_IP_CHECKSUM_OFFLOAD,
    /// Large send, version 1.
    pub LsoV1: NDIS_TCP_LARGE_SEND_OFFLOAD_V1,
    /// `IPsec` version 1.
    pub IPsecV1: NDIS_IPSEC_OFFLOAD_V1,
    /// Large send, version 2.
    pub LsoV2: NDIS_TCP_LARGE_SEND_OFFLOAD_V2,
    /// `NDIS_OFFLOAD_FLAGS_*`.
    pub Flags: u32,
    /// `IPsec` version 2; since revision 2 (NDIS 6.1).
    pub IPsecV2: NDIS_IPSEC_OFFLOAD_V2,
    /// Coalescing; since revision 3 (NDIS 6.30).
    pub Rsc: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD,
    /// NVGRE; since revision 3 (NDIS 6.30).
    pub EncapsulatedPacketTaskOffloadGre: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD,
    /// VXLAN; since revision 4 (NDIS 6.50).
    pub EncapsulatedPacketTaskOffloadVxlan: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2,
    /// `NDIS_ENCAPSULATION_TYPE_*`; since revision 4 (NDIS 6.50).
    pub EncapsulationTypes: u8,
    /// 464XLAT; since revision 5 (NDIS 6.70).
    pub Rfc6877Xlat: NDIS_RFC6877_464XLAT_OFFLOAD,
}

/// UDP segmentation. NDIS 6.83.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_UDP_SEGMENTATION_OFFLOAD {
    /// IPv4.
    pub IPv4: NDIS_USO_IPV4,
    /// IPv6.
    pub IPv6: NDIS_USO_IPV6,
}

/// UDP receive coalescing (URO). NDIS 6.89.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_UDP_RSC_OFFLOAD {
    /// Whether it is on (or possible, in capabilities).
    pub Enabled: BOOLEAN,
}

/// `NDIS_OFFLOAD` with what revisions 6 to 8 append. NDIS 6.89.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OFFLOAD_R8 {
    /// Revision 5; its header holds the true revision and size.
    pub Base: NDIS_OFFLOAD,
    /// Since revision 6 (NDIS 6.83).
    pub UdpSegmentation: NDIS_UDP_SEGMENTATION_OFFLOAD,
    /// Since revision 8 (NDIS 6.89).
    pub UdpRsc: NDIS_UDP_RSC_OFFLOAD,
}

/// Offload settings wanted (`OID_TCP_OFFLOAD_PARAMETERS`); revision 4. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OFFLOAD_PARAMETERS {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_OFFLOAD_PARAMETERS_NO_CHANGE` or `..._TX_RX_*`.
    pub IPv4Checksum: u8,
    /// As above.
    pub TCPIPv4Checksum: u8,
    /// As above.
    pub UDPIPv4Checksum: u8,
    /// As above.
    pub TCPIPv6Checksum: u8,
    /// As above.
    pub UDPIPv6Checksum: u8,
    /// `NDIS_OFFLOAD_PARAMETERS_LSOV1_*`.
    pub LsoV1: u8,
    /// Unused here.
    pub IPsecV1: u8,
    /// `NDIS_OFFLOAD_PARAMETERS_LSOV2_*`.
    pub LsoV2IPv4: u8,
    /// `NDIS_OFFLOAD_PARAMETERS_LSOV2_*`.
    pub LsoV2IPv6: u8,
    /// Unused here.
    pub TcpConnectionIPv4: u8,
    /// Unused here.
    pub TcpConnectionIPv6: u8,
    /// `NDIS_OFFLOAD_PARAMETERS_SKIP_REGISTRY_UPDATE`.
    pub Flags: u32,
    /// Since revision 2 (NDIS 6.1).
    pub IPsecV2: u8,
    /// Since revision 2 (NDIS 6.1).
    pub IPsecV2IPv4: u8,
    /// `NDIS_OFFLOAD_PARAMETERS_RSC_*`; since revision 3 (NDIS 6.30).
    pub RscIPv4: u8,
    /// As above.
    pub RscIPv6: u8,
    /// `NDIS_OFFLOAD_SET_*`; since revision 3 (NDIS 6.30).
    pub EncapsulatedPacketTaskOffload: u8,
    /// `NDIS_ENCAPSULATION_TYPE_*`.
    pub EncapsulationTypes: u8,
    /// VXLAN UDP port; since revision 4 (NDIS 6.50).
    pub EncapsulationProtocolParameters: u32,
}

/// `NDIS_OFFLOAD_PARAMETERS` with what revisions 5 and 6 append. NDIS 6.89.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OFFLOAD_PARAMETERS_R6 {
    /// Revision 4; its header holds the true revision and size.
    pub Base: NDIS_OFFLOAD_PARAMETERS,
    /// `NDIS_OFFLOAD_PARAMETERS_USO_*` (`UdpSegmentation.IPv4`); since revision 5 (NDIS 6.83).
    pub UsoIPv4: u8,
    /// As above (`UdpSegmentation.IPv6`).
    pub UsoIPv6: u8,
    /// `NDIS_OFFLOAD_PARAMETERS_URO_*` (`UdpRsc.Enabled`); since revision 6 (NDIS 6.89).
    pub UdpRsc: u8,
}

/// Encapsulation in use (`OID_OFFLOAD_ENCAPSULATION`). NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OFFLOAD_ENCAPSULATION {
    /// Type `NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION`.
    pub Header: NDIS_OBJECT_HEADER,
    /// IPv4.
    pub IPv4: NDIS_ENCAPSULATION_SETTING,
    /// IPv6.
    pub IPv6: NDIS_ENCAPSULATION_SETTING,
}

/// First revision. NDIS 6.0.
pub const NDIS_OFFLOAD_REVISION_1: u8 = 1;
/// With `IPsec` version 2. NDIS 6.1.
pub const NDIS_OFFLOAD_REVISION_2: u8 = 2;
/// With RSC and NVGRE. NDIS 6.30.
pub const NDIS_OFFLOAD_REVISION_3: u8 = 3;
/// With VXLAN. NDIS 6.50.
pub const NDIS_OFFLOAD_REVISION_4: u8 = 4;
/// With 464XLAT. NDIS 6.70.
pub const NDIS_OFFLOAD_REVISION_5: u8 = 5;
/// First revision. NDIS 6.0.
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_1: u8 = 1;
/// With `IPsec` version 2. NDIS 6.1.
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_2: u8 = 2;
/// With RSC. NDIS 6.30.
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_3: u8 = 3;
/// With VXLAN. NDIS 6.50.
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_4: u8 = 4;
/// The only revision. NDIS 6.0.
pub const NDIS_OFFLOAD_ENCAPSULATION_REVISION_1: u8 = 1;

/// With USO. NDIS 6.83.
pub const NDIS_OFFLOAD_REVISION_6: u8 = 6;
/// With USO of encapsulated frames, same layout. NDIS 6.84.
pub const NDIS_OFFLOAD_REVISION_7: u8 = 7;
/// With USO. NDIS 6.83.
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_5: u8 = 5;

/// With URO. NDIS 6.89.
pub const NDIS_OFFLOAD_REVISION_8: u8 = 8;
/// With URO. NDIS 6.89.
pub const NDIS_OFFLOAD_PARAMETERS_REVISION_6: u8 = 6;

/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_1: usize = 0x70;
/// Bytes of revision 2. NDIS 6.1.
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_2: usize = 0x90;
/// Bytes of revision 3. NDIS 6.30.
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_3: usize = 0x9C;
/// Bytes of revision 4, not a multiple of 4. NDIS 6.50.
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_4: usize = 0xB1;
/// Bytes of revision 5. NDIS 6.70.
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_5: usize = size_of::<NDIS_OFFLOAD>();
/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1: usize = 0x14;
/// Bytes of revision 2. NDIS 6.1.
pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_2: usize = 0x16;
/// Bytes of revision 3. NDIS 6.30.
pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3: usize = 0x1A;
/// Bytes of revision 4. NDIS 6.50.
pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_4: usize = size_of::<NDIS_OFFLOAD_PARAMETERS>();
/// Bytes of revision 1. NDIS 6.0.
pub const NDIS_SIZEOF_OFFLOAD_ENCAPSULATION_REVISION_1: usize = 0x1C;

/// Bytes of revision 6. NDIS 6.83.
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_6: usize = offset_of!(NDIS_OFFLOAD_R8, UdpRsc);
/// Bytes of revision 7. NDIS 6.84.
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_7: usize = offset_of!(NDIS_OFFLOAD_R8, UdpRsc);
/// Bytes of revision 5. NDIS 6.83.
pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_5: usize =
    offset_of!(NDIS_OFFLOAD_PARAMETERS_R6, UdpRsc);

/// Bytes of revision 8. NDIS 6.89.
pub const NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_8: usize = offset_of!(NDIS_OFFLOAD_R8, UdpRsc) + 1;
/// Bytes of revision 6. NDIS 6.89.
pub const NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_6: usize =
    offset_of!(NDIS_OFFLOAD_PARAMETERS_R6, UdpRsc) + 1;

/// Capability: no. NDIS 6.0.
pub const NDIS_OFFLOAD_NOT_SUPPORTED: u32 = 0;
/// Capability: yes. NDIS 6.0.
pub const NDIS_OFFLOAD_SUPPORTED: u32 = 1;
/// Setting: leave as it is. NDIS 6.0.
pub const NDIS_OFFLOAD_SET_NO_CHANGE: u32 = 0;
/// Setting and current state: on. NDIS 6.0.
pub const NDIS_OFFLOAD_SET_ON: u32 = 1;
/// Setting and current state: off. NDIS 6.0.
pub const NDIS_OFFLOAD_SET_OFF: u32 = 2;
/// Flag: TCP and UDP checksums are set together. NDIS 6.0.
pub const NDIS_OFFLOAD_FLAGS_GROUP_CHECKSUM_CAPABILITIES: u32 = 1;
/// Encapsulation: none. NDIS 6.0.
pub const NDIS_ENCAPSULATION_NOT_SUPPORTED: u32 = 0;
/// Encapsulation: no MAC header. NDIS 6.0.
pub const NDIS_ENCAPSULATION_NULL: u32 = 1;
/// Encapsulation: Ethernet, required. NDIS 6.0.
pub const NDIS_ENCAPSULATION_IEEE_802_3: u32 = 2;
/// Encapsulation: VLAN tag in the frame. NDIS 6.0.
pub const NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q: u32 = 4;
/// Encapsulation: VLAN tag out of band. NDIS 6.0.
pub const NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q_IN_OOB: u32 = 8;
/// Encapsulation: LLC and SNAP. NDIS 6.0.
pub const NDIS_ENCAPSULATION_IEEE_LLC_SNAP_ROUTED: u32 = 0x10;
/// Tunnel: NVGRE. NDIS 6.30.
pub const NDIS_ENCAPSULATION_TYPE_GRE_MAC: u32 = 1;
/// Tunnel: VXLAN. NDIS 6.50.
pub const NDIS_ENCAPSULATION_TYPE_VXLAN: u32 = 2;
/// Longest IP and TCP headers of a large send, in bytes. NDIS 6.0.
pub const NDIS_LARGE_SEND_OFFLOAD_MAX_HEADER_LENGTH: u32 = 0x80;

/// Leave as it is. NDIS 6.0.
pub const NDIS_OFFLOAD_PARAMETERS_NO_CHANGE: u8 = 0;
/// Checksum: off. NDIS 6.0.
pub const NDIS_OFFLOAD_PARAMETERS_TX_RX_DISABLED: u8 = 1;
/// Checksum: sending only. NDIS 6.0.
pub const NDIS_OFFLOAD_PARAMETERS_TX_ENABLED_RX_DISABLED: u8 = 2;
/// Checksum: receiving only. NDIS 6.0.
pub const NDIS_OFFLOAD_PARAMETERS_RX_ENABLED_TX_DISABLED: u8 = 3;
/// Checksum: both. NDIS 6.0.
pub const NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED: u8 = 4;
/// Large send 1: off. NDIS 6.0.
pub const NDIS_OFFLOAD_PARAMETERS_LSOV1_DISABLED: u8 = 1;
/// Large send 1: on. NDIS 6.0.
pub const NDIS_OFFLOAD_PARAMETERS_LSOV1_ENABLED: u8 = 2;
/// Large send 2: off. NDIS 6.0.
pub const NDIS_OFFLOAD_PARAMETERS_LSOV2_DISABLED: u8 = 1;
/// Large send 2: on. NDIS 6.0.
pub const NDIS_OFFLOAD_PARAMETERS_LSOV2_ENABLED: u8 = 2;
/// Coalescing: off. NDIS 6.30.
pub const NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED: u8 = 1;
/// Coalescing: on. NDIS 6.30.
pub const NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED: u8 = 2;

/// UDP segmentation: off. NDIS 6.83.
pub const NDIS_OFFLOAD_PARAMETERS_USO_DISABLED: u8 = 1;
/// UDP segmentation: on. NDIS 6.83.
pub const NDIS_OFFLOAD_PARAMETERS_USO_ENABLED: u8 = 2;

/// UDP coalescing: off. NDIS 6.89.
pub const NDIS_OFFLOAD_PARAMETERS_URO_DISABLED: u8 = 1;
/// UDP coalescing: on. NDIS 6.89.
pub const NDIS_OFFLOAD_PARAMETERS_URO_ENABLED: u8 = 2;

/// Flag: the registry keywords stay as they are. NDIS 6.1.
pub const NDIS_OFFLOAD_PARAMETERS_SKIP_REGISTRY_UPDATE: u32 = 1;

/// 464XLAT modes. NDIS 6.70.
pub type NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS = i32;
/// Not possible.
pub const NDIS_RFC6877_464XLAT_OFFLOAD_NOT_SUPPORTED: NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS = 0;
/// Off.
pub const NDIS_RFC6877_464XLAT_OFFLOAD_DISABLED: NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS = 1;
/// On.
pub const NDIS_RFC6877_464XLAT_OFFLOAD_ENABLED: NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS = 2;
/// On when asked.
pub const NDIS_RFC6877_464XLAT_OFFLOAD_ON_DEMAND: NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS = 3;
