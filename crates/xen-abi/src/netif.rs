//! The network protocol: what stands in the slots of the TX, RX and control rings.
//!
//! These are private copies: shared slots are read and written as words of [`crate::ring::RingPage`].
//!
//! From Xen's public headers: `xen/io/netif.h`.

use crate::grant_table::GrantRef;

/// TX: checksum field holds the pseudo-header sum only.
pub const NETTXF_CSUM_BLANK: u16 = 1;
/// TX: data is known good.
pub const NETTXF_DATA_VALIDATED: u16 = 2;
/// TX: packet continues in the next data slot.
pub const NETTXF_MORE_DATA: u16 = 4;
/// TX: extra slots follow (first slot only).
pub const NETTXF_EXTRA_INFO: u16 = 8;
/// RX: data is known good.
pub const NETRXF_DATA_VALIDATED: u16 = 1;
/// RX: checksum field holds the pseudo-header sum only.
pub const NETRXF_CSUM_BLANK: u16 = 2;
/// RX: packet continues in the next data slot.
pub const NETRXF_MORE_DATA: u16 = 4;
/// RX: extra slots follow.
pub const NETRXF_EXTRA_INFO: u16 = 8;
/// RX: obsolete GSO form.
pub const NETRXF_GSO_PREFIX: u16 = 16;
/// [`Gref::flags`]: map read-only.
pub const XEN_NETIF_CTRLF_GREF_READONLY: u16 = 1;

/// Packet dropped.
pub const NETIF_RSP_DROPPED: i16 = -2;
/// Packet refused.
pub const NETIF_RSP_ERROR: i16 = -1;
/// Packet taken.
pub const NETIF_RSP_OKAY: i16 = 0;
/// No response: answers an extra slot; the other fields mean nothing.
pub const NETIF_RSP_NULL: i16 = 1;

/// Data slots every backend accepts in one packet.
pub const XEN_NETIF_NR_SLOTS_MIN: usize = 18;
/// Largest packet, bytes.
pub const XEN_NETIF_MAX_TX_SIZE: usize = 0xFFFF;

/// Kind of an extra slot.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtraType(pub u8);

impl ExtraType {
    /// Invalid.
    pub const NONE: Self = Self(0);
    /// Segmentation.
    pub const GSO: Self = Self(1);
    /// Add a multicast address (TX).
    pub const MCAST_ADD: Self = Self(2);
    /// Remove a multicast address (TX).
    pub const MCAST_DEL: Self = Self(3);
    /// Hash value.
    pub const HASH: Self = Self(4);
    /// First number the header does not define.
    pub const MAX: Self = Self(5);
    /// Linux: XDP headroom (RX).
    pub const XDP: Self = Self(5);
}

/// `flags` of an extra slot: another extra follows.
pub const XEN_NETIF_EXTRA_FLAG_MORE: u8 = 1;

/// Protocol to segment.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GsoType(pub u8);

impl GsoType {
    /// None.
    pub const NONE: Self = Self(0);
    /// TCP over IPv4.
    pub const TCPV4: Self = Self(1);
    /// TCP over IPv6.
    pub const TCPV6: Self = Self(2);
}

/// TX slot, frontend to backend.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TxRequest {
    /// Page.
    pub gref: GrantRef,
    /// First byte in the page.
    pub offset: u16,
    /// `NETTXF_*`.
    pub flags: u16,
    /// Echoed in the response.
    pub id: u16,
    /// First slot: bytes of the whole packet. Others: bytes of this slot.
    pub size: u16,
}

/// TX slot, backend to frontend.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TxResponse {
    /// From the request; meaningless with [`NETIF_RSP_NULL`].
    pub id: u16,
    /// `NETIF_RSP_*`.
    pub status: i16,
}

/// RX slot, frontend to backend: one page to fill.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RxRequest {
    /// Echoed in the response.
    pub id: u16,
    /// Zero.
    pub pad: u16,
    /// Page.
    pub gref: GrantRef,
}

/// RX slot, backend to frontend, at its request's index.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RxResponse {
    /// From the request.
    pub id: u16,
    /// First byte in the page.
    pub offset: u16,
    /// `NETRXF_*`.
    pub flags: u16,
    /// Bytes of this slot (not negative), or an error.
    pub status: i16,
}

/// Extra slot: segmentation.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtraGso {
    /// [`ExtraType::GSO`].
    pub extra_type: ExtraType,
    /// `XEN_NETIF_EXTRA_FLAG_MORE` or 0.
    pub flags: u8,
    /// Payload bytes of a segment (MSS).
    pub size: u16,
    /// Protocol.
    pub gso_type: GsoType,
    /// Zero.
    pub pad: u8,
    /// Zero.
    pub features: u16,
}

/// Extra slot: multicast address.
#[repr(C, align(2))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtraMcast {
    /// [`ExtraType::MCAST_ADD`] or [`ExtraType::MCAST_DEL`].
    pub extra_type: ExtraType,
    /// `XEN_NETIF_EXTRA_FLAG_MORE` or 0.
    pub flags: u8,
    /// Ethernet address.
    pub addr: [u8; 6],
}

/// Extra slot: hash value.
#[repr(C, align(2))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtraHash {
    /// [`ExtraType::HASH`].
    pub extra_type: ExtraType,
    /// `XEN_NETIF_EXTRA_FLAG_MORE` or 0.
    pub flags: u8,
    /// `XEN_NETIF_CTRL_HASH_TYPE_*_BIT` (a bit number).
    pub hash_type: u8,
    /// `XEN_NETIF_CTRL_HASH_ALGORITHM_*`.
    pub algorithm: u8,
    /// The hash, least significant byte first.
    pub value: [u8; 4],
}

/// Kind of a control message.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CtrlType(pub u16);

impl CtrlType {
    /// Never valid.
    pub const INVALID: Self = Self(0);
    /// Which hash types are supported.
    pub const GET_HASH_FLAGS: Self = Self(1);
    /// `data[0]`: hash types to use.
    pub const SET_HASH_FLAGS: Self = Self(2);
    /// `data[0]`: grant of the key; `data[1]`: its bytes.
    pub const SET_HASH_KEY: Self = Self(3);
    /// Largest mapping, entries.
    pub const GET_HASH_MAPPING_SIZE: Self = Self(4);
    /// `data[0]`: entries, 0 for modulo.
    pub const SET_HASH_MAPPING_SIZE: Self = Self(5);
    /// `data[0]`: grant of the entries; `data[1]`: their number; `data[2]`: index of the first.
    pub const SET_HASH_MAPPING: Self = Self(6);
    /// `data[0]`: algorithm.
    pub const SET_HASH_ALGORITHM: Self = Self(7);
    /// `data[0]`: queue. Answers how many grants may stay mapped.
    pub const GET_GREF_MAPPING_SIZE: Self = Self(8);
    /// `data[0]`: queue; `data[1]`: grant of the list; `data[2]`: its entries.
    pub const ADD_GREF_MAPPING: Self = Self(9);
    /// As for adding.
    pub const DEL_GREF_MAPPING: Self = Self(10);
}

/// Result of a control message.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CtrlStatus(pub u32);

impl CtrlStatus {
    /// Done.
    pub const SUCCESS: Self = Self(0);
    /// Backend cannot.
    pub const NOT_SUPPORTED: Self = Self(1);
    /// Wrong parameter.
    pub const INVALID_PARAMETER: Self = Self(2);
    /// Too long for the backend.
    pub const BUFFER_OVERFLOW: Self = Self(3);
}

/// Mask: IPv4 addresses.
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV4: u32 = 1;
/// Mask: IPv4 addresses and TCP ports.
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP: u32 = 2;
/// Mask: IPv6 addresses.
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV6: u32 = 4;
/// Mask: IPv6 addresses and TCP ports.
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP: u32 = 8;
/// No hashing.
pub const XEN_NETIF_CTRL_HASH_ALGORITHM_NONE: u32 = 0;
/// Toeplitz.
pub const XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ: u32 = 1;

/// Bit number, in [`ExtraHash`].
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV4_BIT: u8 = 0;
/// Bit number, in [`ExtraHash`].
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP_BIT: u8 = 1;
/// Bit number, in [`ExtraHash`].
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV6_BIT: u8 = 2;
/// Bit number, in [`ExtraHash`].
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP_BIT: u8 = 3;

/// Control slot, frontend to backend.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CtrlRequest {
    /// Echoed in the response.
    pub id: u16,
    /// Kind.
    pub msg_type: CtrlType,
    /// By kind.
    pub data: [u32; 3],
}

/// Control slot, backend to frontend.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CtrlResponse {
    /// From the request.
    pub id: u16,
    /// From the request.
    pub msg_type: CtrlType,
    /// Result.
    pub status: CtrlStatus,
    /// By kind.
    pub data: u32,
}

/// Entry of a list of grants to keep mapped.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gref {
    /// Page.
    pub gref: GrantRef,
    /// [`XEN_NETIF_CTRLF_GREF_READONLY`] or 0.
    pub flags: u16,
    /// Written by the backend when removing: a [`CtrlStatus`], 16 bits.
    pub status: u16,
}
