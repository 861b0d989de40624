//! Interface and RSC counters. All are 64 bits wide and only grow.

use crate::object::NDIS_OBJECT_HEADER;

/// Answer to `OID_GEN_STATISTICS`. NDIS 6.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_STATISTICS_INFO {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// `NDIS_STATISTICS_FLAGS_VALID_*`: which counters are valid.
    pub SupportedStatistics: u32,
    /// Good frames received and dropped.
    pub ifInDiscards: u64,
    /// Bad frames received.
    pub ifInErrors: u64,
    /// Bytes received.
    pub ifHCInOctets: u64,
    /// Unicast frames received.
    pub ifHCInUcastPkts: u64,
    /// Multicast frames received.
    pub ifHCInMulticastPkts: u64,
    /// Broadcast frames received.
    pub ifHCInBroadcastPkts: u64,
    /// Bytes sent.
    pub ifHCOutOctets: u64,
    /// Unicast frames sent.
    pub ifHCOutUcastPkts: u64,
    /// Multicast frames sent.
    pub ifHCOutMulticastPkts: u64,
    /// Broadcast frames sent.
    pub ifHCOutBroadcastPkts: u64,
    /// Frames that failed.
    pub ifOutErrors: u64,
    /// Frames dropped before sending.
    pub ifOutDiscards: u64,
    /// Bytes of unicast frames received.
    pub ifHCInUcastOctets: u64,
    /// Bytes of multicast frames received.
    pub ifHCInMulticastOctets: u64,
    /// Bytes of broadcast frames received.
    pub ifHCInBroadcastOctets: u64,
    /// Bytes of unicast frames sent.
    pub ifHCOutUcastOctets: u64,
    /// Bytes of multicast frames sent.
    pub ifHCOutMulticastOctets: u64,
    /// Bytes of broadcast frames sent.
    pub ifHCOutBroadcastOctets: u64,
}

/// Answer to `OID_TCP_RSC_STATISTICS`. NDIS 6.30.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RSC_STATISTICS_INFO {
    /// Type `NDIS_OBJECT_TYPE_DEFAULT`.
    pub Header: NDIS_OBJECT_HEADER,
    /// Segments that were coalesced.
    pub CoalescedPkts: u64,
    /// Payload bytes of them.
    pub CoalescedOctets: u64,
    /// Coalesced units made.
    pub CoalesceEvents: u64,
    /// Coalescing ended by an exception other than full length.
    pub Aborts: u64,
}

/// The only revision. NDIS 6.0.
pub const NDIS_STATISTICS_INFO_REVISION_1: u8 = 1;
/// The only revision. NDIS 6.30.
pub const NDIS_RSC_STATISTICS_REVISION_1: u8 = 1;

/// Bytes of `NDIS_STATISTICS_INFO`. NDIS 6.0.
pub const NDIS_SIZEOF_STATISTICS_INFO_REVISION_1: usize = 0x98;
/// Bytes of `NDIS_RSC_STATISTICS_INFO`. NDIS 6.30.
pub const NDIS_SIZEOF_RSC_STATISTICS_REVISION_1: usize = 0x28;

/// `ifHCInUcastPkts` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_RCV: u32 = 1;
/// `ifHCInMulticastPkts` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_RCV: u32 = 2;
/// `ifHCInBroadcastPkts` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_RCV: u32 = 4;
/// `ifHCInOctets` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_BYTES_RCV: u32 = 8;
/// `ifInDiscards` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_RCV_DISCARDS: u32 = 0x10;
/// `ifInErrors` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_RCV_ERROR: u32 = 0x20;
/// `ifHCOutUcastPkts` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_XMIT: u32 = 0x40;
/// `ifHCOutMulticastPkts` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_XMIT: u32 = 0x80;
/// `ifHCOutBroadcastPkts` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_XMIT: u32 = 0x100;
/// `ifHCOutOctets` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_BYTES_XMIT: u32 = 0x200;
/// `ifOutErrors` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_XMIT_ERROR: u32 = 0x400;
/// `ifOutDiscards` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_XMIT_DISCARDS: u32 = 0x8000;
/// `ifHCInUcastOctets` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_RCV: u32 = 0x0001_0000;
/// `ifHCInMulticastOctets` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_RCV: u32 = 0x0002_0000;
/// `ifHCInBroadcastOctets` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_RCV: u32 = 0x0004_0000;
/// `ifHCOutUcastOctets` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_XMIT: u32 = 0x0008_0000;
/// `ifHCOutMulticastOctets` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_XMIT: u32 = 0x0010_0000;
/// `ifHCOutBroadcastOctets` is valid. NDIS 6.0.
pub const NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_XMIT: u32 = 0x0020_0000;
/// General attribute: frames sent. NDIS 6.0.
pub const NDIS_STATISTICS_XMIT_OK_SUPPORTED: u32 = 1;
/// General attribute: frames received. NDIS 6.0.
pub const NDIS_STATISTICS_RCV_OK_SUPPORTED: u32 = 2;
/// General attribute: send errors. NDIS 6.0.
pub const NDIS_STATISTICS_XMIT_ERROR_SUPPORTED: u32 = 4;
/// General attribute: receive errors. NDIS 6.0.
pub const NDIS_STATISTICS_RCV_ERROR_SUPPORTED: u32 = 8;
/// General attribute: frames lost for want of buffers. NDIS 6.0.
pub const NDIS_STATISTICS_RCV_NO_BUFFER_SUPPORTED: u32 = 0x10;
/// General attribute: unicast bytes sent. NDIS 6.0.
pub const NDIS_STATISTICS_DIRECTED_BYTES_XMIT_SUPPORTED: u32 = 0x20;
/// General attribute: unicast frames sent. NDIS 6.0.
pub const NDIS_STATISTICS_DIRECTED_FRAMES_XMIT_SUPPORTED: u32 = 0x40;
/// General attribute: multicast bytes sent. NDIS 6.0.
pub const NDIS_STATISTICS_MULTICAST_BYTES_XMIT_SUPPORTED: u32 = 0x80;
/// General attribute: multicast frames sent. NDIS 6.0.
pub const NDIS_STATISTICS_MULTICAST_FRAMES_XMIT_SUPPORTED: u32 = 0x100;
/// General attribute: broadcast bytes sent. NDIS 6.0.
pub const NDIS_STATISTICS_BROADCAST_BYTES_XMIT_SUPPORTED: u32 = 0x200;
/// General attribute: broadcast frames sent. NDIS 6.0.
pub const NDIS_STATISTICS_BROADCAST_FRAMES_XMIT_SUPPORTED: u32 = 0x400;
/// General attribute: unicast bytes received. NDIS 6.0.
pub const NDIS_STATISTICS_DIRECTED_BYTES_RCV_SUPPORTED: u32 = 0x800;
/// General attribute: unicast frames received. NDIS 6.0.
pub const NDIS_STATISTICS_DIRECTED_FRAMES_RCV_SUPPORTED: u32 = 0x1000;
/// General attribute: multicast bytes received. NDIS 6.0.
pub const NDIS_STATISTICS_MULTICAST_BYTES_RCV_SUPPORTED: u32 = 0x2000;
/// General attribute: multicast frames received. NDIS 6.0.
pub const NDIS_STATISTICS_MULTICAST_FRAMES_RCV_SUPPORTED: u32 = 0x4000;
/// General attribute: broadcast bytes received. NDIS 6.0.
pub const NDIS_STATISTICS_BROADCAST_BYTES_RCV_SUPPORTED: u32 = 0x8000;
/// General attribute: broadcast frames received. NDIS 6.0.
pub const NDIS_STATISTICS_BROADCAST_FRAMES_RCV_SUPPORTED: u32 = 0x0001_0000;
/// General attribute: CRC errors. NDIS 6.0.
pub const NDIS_STATISTICS_RCV_CRC_ERROR_SUPPORTED: u32 = 0x0002_0000;
/// General attribute: transmit queue length. NDIS 6.0.
pub const NDIS_STATISTICS_TRANSMIT_QUEUE_LENGTH_SUPPORTED: u32 = 0x0004_0000;
/// General attribute: bytes received. NDIS 6.0.
pub const NDIS_STATISTICS_BYTES_RCV_SUPPORTED: u32 = 0x0008_0000;
/// General attribute: bytes sent. NDIS 6.0.
pub const NDIS_STATISTICS_BYTES_XMIT_SUPPORTED: u32 = 0x0010_0000;
/// General attribute: receive discards. NDIS 6.0.
pub const NDIS_STATISTICS_RCV_DISCARDS_SUPPORTED: u32 = 0x0020_0000;
/// General attribute: `OID_GEN_STATISTICS`. NDIS 6.0.
pub const NDIS_STATISTICS_GEN_STATISTICS_SUPPORTED: u32 = 0x0040_0000;
/// General attribute: send discards. NDIS 6.0.
pub const NDIS_STATISTICS_XMIT_DISCARDS_SUPPORTED: u32 = 0x0800_0000;
