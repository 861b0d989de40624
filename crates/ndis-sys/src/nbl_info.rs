//! Out-of-band data of a `NET_BUFFER_LIST`: slot numbers and the bits inside a slot.
//!
//! Each slot is as wide as a pointer; only the low 32 bits carry fields on x86-64.

/// Defines one slot type: a pointer-wide integer with the bit constants of its fields.
macro_rules! info {
    ($(#[$doc:meta])* $name:ident { $($(#[$cdoc:meta])* $c:ident = $v:expr;)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            /// The whole slot.
            pub Value: u64,
        }
        impl $name {
            $($(#[$cdoc])* pub const $c: u64 = $v;)*
        }
    };
}

info! {
    /// Slot `TcpIpChecksumNetBufferListInfo`. NDIS 6.0.
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO {
        /// Transmit: the frame is IPv4.
        TRANSMIT_IS_IPV4 = 1;
        /// Transmit: the frame is IPv6.
        TRANSMIT_IS_IPV6 = 1 << 1;
        /// Transmit: compute the TCP checksum.
        TRANSMIT_TCP_CHECKSUM = 1 << 2;
        /// Transmit: compute the UDP checksum.
        TRANSMIT_UDP_CHECKSUM = 1 << 3;
        /// Transmit: compute the IPv4 header checksum.
        TRANSMIT_IP_HEADER_CHECKSUM = 1 << 4;
        /// Transmit: shift of `TcpHeaderOffset`, bytes from the frame's start.
        TRANSMIT_TCP_HEADER_OFFSET_SHIFT = 16;
        /// Transmit: mask of `TcpHeaderOffset` after the shift (10 bits).
        TRANSMIT_TCP_HEADER_OFFSET_MASK = 0x3FF;
        /// Receive: the TCP checksum is wrong.
        RECEIVE_TCP_CHECKSUM_FAILED = 1;
        /// Receive: the UDP checksum is wrong.
        RECEIVE_UDP_CHECKSUM_FAILED = 1 << 1;
        /// Receive: the IPv4 header checksum is wrong.
        RECEIVE_IP_CHECKSUM_FAILED = 1 << 2;
        /// Receive: the TCP checksum is right.
        RECEIVE_TCP_CHECKSUM_SUCCEEDED = 1 << 3;
        /// Receive: the UDP checksum is right.
        RECEIVE_UDP_CHECKSUM_SUCCEEDED = 1 << 4;
        /// Receive: the IPv4 header checksum is right.
        RECEIVE_IP_CHECKSUM_SUCCEEDED = 1 << 5;
        /// Receive: looped back; not for miniports.
        RECEIVE_LOOPBACK = 1 << 6;
        /// Receive: the TCP checksum in the frame was not recomputed after coalescing. NDIS 6.30.
        RECEIVE_TCP_CHECKSUM_VALUE_INVALID = 1 << 7;
        /// Receive: the IPv4 checksum in the frame was not recomputed after coalescing. NDIS 6.30.
        RECEIVE_IP_CHECKSUM_VALUE_INVALID = 1 << 8;
    }
}

info! {
    /// Slot `TcpLargeSendNetBufferListInfo`. NDIS 6.0.
    NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO {
        /// Mask of `MSS` (20 bits).
        MSS_MASK = 0xF_FFFF;
        /// Shift of `TcpHeaderOffset`, bytes from the frame's start.
        TCP_HEADER_OFFSET_SHIFT = 20;
        /// Mask of `TcpHeaderOffset` after the shift (10 bits).
        TCP_HEADER_OFFSET_MASK = 0x3FF;
        /// Shift of `Type`: 0 is version 1, 1 is version 2.
        TYPE_SHIFT = 30;
        /// Shift of `IPVersion` (version 2 only): 0 is IPv4, 1 is IPv6.
        IP_VERSION_SHIFT = 31;
        /// Completion of version 1: mask of `TcpPayload` (30 bits).
        TCP_PAYLOAD_MASK = 0x3FFF_FFFF;
    }
}

info! {
    /// Slot `UdpSegmentationOffloadInfo`. NDIS 6.83.
    NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO {
        /// Mask of `MSS` (20 bits).
        MSS_MASK = 0xF_FFFF;
        /// Shift of `UdpHeaderOffset`, bytes from the frame's start.
        UDP_HEADER_OFFSET_SHIFT = 20;
        /// Mask of `UdpHeaderOffset` after the shift (10 bits).
        UDP_HEADER_OFFSET_MASK = 0x3FF;
        /// Shift of `IPVersion`: 0 is IPv4, 1 is IPv6.
        IP_VERSION_SHIFT = 31;
    }
}

info! {
    /// Slot `Ieee8021QNetBufferListInfo`. NDIS 6.0.
    NDIS_NET_BUFFER_LIST_8021Q_INFO {
        /// Mask of `UserPriority` (3 bits, shift 0).
        USER_PRIORITY_MASK = 0x7;
        /// Shift of `CanonicalFormatId` (1 bit).
        CANONICAL_FORMAT_ID_SHIFT = 3;
        /// Shift of `VlanId`.
        VLAN_ID_SHIFT = 4;
        /// Mask of `VlanId` after the shift (12 bits).
        VLAN_ID_MASK = 0xFFF;
    }
}

info! {
    /// Slot `TcpRecvSegCoalesceInfo`. NDIS 6.30.
    NDIS_RSC_NBL_INFO {
        /// Mask of `CoalescedSegCount` (16 bits, shift 0).
        COALESCED_SEG_COUNT_MASK = 0xFFFF;
        /// Shift of `DupAckCount` (16 bits).
        DUP_ACK_COUNT_SHIFT = 16;
    }
}

info! {
    /// Slot `UdpRecvSegCoalesceOffloadInfo`. NDIS 6.84.
    NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO {
        /// Mask of `SegCount` (16 bits, shift 0).
        SEG_COUNT_MASK = 0xFFFF;
        /// Shift of `SegSize` (16 bits).
        SEG_SIZE_SHIFT = 16;
    }
}

info! {
    /// Slot `NetBufferListFilteringInfo`. NDIS 6.20.
    NDIS_NET_BUFFER_LIST_FILTERING_INFO {
        /// Mask of `FilterId` (16 bits, shift 0).
        FILTER_ID_MASK = 0xFFFF;
        /// Shift of `QueueId`, which shares its place with `VPortId` (16 bits).
        QUEUE_ID_SHIFT = 16;
    }
}

info! {
    /// Slot `TcpSendOffloadsSupplementalNetBufferListInfo`: where the headers inside a tunnel are.
    /// NDIS 6.30.
    NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO {
        /// The frame is encapsulated.
        IS_ENCAPSULATED_PACKET = 1;
        /// The offsets are valid.
        OFFSETS_VALID = 1 << 1;
    }
}

/// `Type` of a version 1 large send. NDIS 6.0.
pub const NDIS_TCP_LARGE_SEND_OFFLOAD_V1_TYPE: u64 = 0;
/// `Type` of a version 2 large send. NDIS 6.0.
pub const NDIS_TCP_LARGE_SEND_OFFLOAD_V2_TYPE: u64 = 1;
/// `IPVersion` of IPv4. NDIS 6.0.
pub const NDIS_TCP_LARGE_SEND_OFFLOAD_IPv4: u64 = 0;
/// `IPVersion` of IPv6. NDIS 6.0.
pub const NDIS_TCP_LARGE_SEND_OFFLOAD_IPv6: u64 = 1;

/// Numbers of the out-of-band slots on x86-64. NDIS 6.0.
pub type NDIS_NET_BUFFER_LIST_INFO = i32;
/// Checksums.
pub const TcpIpChecksumNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 0;
/// Connection offload; shares slot 0.
pub const TcpOffloadBytesTransferred: NDIS_NET_BUFFER_LIST_INFO = 0;
/// `IPsec` version 1.
pub const IPsecOffloadV1NetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 1;
/// `IPsec` version 2; shares slot 1.
pub const IPsecOffloadV2NetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 1;
/// Large send.
pub const TcpLargeSendNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 2;
/// Connection offload; shares slot 2.
pub const TcpReceiveNoPush: NDIS_NET_BUFFER_LIST_INFO = 2;
/// Packet classification.
pub const ClassificationHandleNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 3;
/// Priority and VLAN.
pub const Ieee8021QNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 4;
/// Cancel identifier.
pub const NetBufferListCancelId: NDIS_NET_BUFFER_LIST_INFO = 5;
/// Medium's data.
pub const MediaSpecificInformation: NDIS_NET_BUFFER_LIST_INFO = 6;
/// `EtherType`.
pub const NetBufferListFrameType: NDIS_NET_BUFFER_LIST_INFO = 7;
/// Protocol; shares slot 7.
pub const NetBufferListProtocolId: NDIS_NET_BUFFER_LIST_INFO = 7;
/// RSS hash.
pub const NetBufferListHashValue: NDIS_NET_BUFFER_LIST_INFO = 8;
/// Function and type of the hash.
pub const NetBufferListHashInfo: NDIS_NET_BUFFER_LIST_INFO = 9;
/// Filtering platform.
pub const WfpNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 0xA;
/// `IPsec` tunnel.
pub const IPsecOffloadV2TunnelNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 0xB;
/// `IPsec` header.
pub const IPsecOffloadV2HeaderNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 0xC;
/// Trace correlation.
pub const NetBufferListCorrelationId: NDIS_NET_BUFFER_LIST_INFO = 0xD;
/// Receive filter and queue.
pub const NetBufferListFilteringInfo: NDIS_NET_BUFFER_LIST_INFO = 0xE;
/// Medium's data, extended.
pub const MediaSpecificInformationEx: NDIS_NET_BUFFER_LIST_INFO = 0xF;
/// Interface it was received on.
pub const NblOriginalInterfaceIfIndex: NDIS_NET_BUFFER_LIST_INFO = 0x10;
/// Filtering platform; shares slot 16.
pub const NblReAuthWfpFlowContext: NDIS_NET_BUFFER_LIST_INFO = 0x10;
/// Connection offload.
pub const TcpReceiveBytesTransferred: NDIS_NET_BUFFER_LIST_INFO = 0x11;
/// Reserved; shares slot 17.
pub const NrtNameResolutionId: NDIS_NET_BUFFER_LIST_INFO = 0x11;
/// Virtual switch.
pub const SwitchForwardingReserved: NDIS_NET_BUFFER_LIST_INFO = 0x12;
/// Virtual switch.
pub const SwitchForwardingDetail: NDIS_NET_BUFFER_LIST_INFO = 0x13;
/// Virtual subnet.
pub const VirtualSubnetInfo: NDIS_NET_BUFFER_LIST_INFO = 0x14;
/// Intermediate drivers.
pub const IMReserved: NDIS_NET_BUFFER_LIST_INFO = 0x15;
/// Receive segment coalescing.
pub const TcpRecvSegCoalesceInfo: NDIS_NET_BUFFER_LIST_INFO = 0x16;
/// TCP time-stamp difference of a coalesced unit.
pub const RscTcpTimestampDelta: NDIS_NET_BUFFER_LIST_INFO = 0x17;
/// Tunnel offsets; shares slot 23.
pub const TcpSendOffloadsSupplementalNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 0x17;
/// Generic flow table.
pub const GftOffloadInformation: NDIS_NET_BUFFER_LIST_INFO = 0x18;
/// Generic flow table.
pub const GftFlowEntryId: NDIS_NET_BUFFER_LIST_INFO = 0x19;
/// Reserved.
pub const NetBufferListInfoReserved3: NDIS_NET_BUFFER_LIST_INFO = 0x1A;
/// Number of slots.
pub const MaxNetBufferListInfo: NDIS_NET_BUFFER_LIST_INFO = 0x1B;

/// UDP segmentation; shares slot 22. NDIS 6.83.
pub const UdpSegmentationOffloadInfo: NDIS_NET_BUFFER_LIST_INFO = 22;
/// UDP coalescing; shares slot 17. NDIS 6.84.
pub const UdpRecvSegCoalesceOffloadInfo: NDIS_NET_BUFFER_LIST_INFO = 17;
