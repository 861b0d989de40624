//! Out-of-band data of a list, slot by slot, as plain values. [`crate::chain::Nbl`] reads and writes
//! the slots; here are their meanings.

use ndis_sys as sys;

type Checksum = sys::NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO;
type Lso = sys::NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO;
type Vlan = sys::NDIS_NET_BUFFER_LIST_8021Q_INFO;
type Rsc = sys::NDIS_RSC_NBL_INFO;

/// IP version of an offload request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Checksums a sent frame asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxChecksum {
    /// IP version; without one nothing is asked for.
    pub ip: IpVersion,
    /// Compute the TCP checksum.
    pub tcp: bool,
    /// Compute the UDP checksum.
    pub udp: bool,
    /// Compute the IPv4 header checksum.
    pub ip_header: bool,
    /// Bytes from the frame's start to the TCP header; valid with `tcp` only.
    pub tcp_header_offset: u16,
}

/// Reads the checksum slot of a sent frame. `None` if neither IP version is set, or both.
pub fn tx_checksum(slot: u64) -> Option<TxChecksum> {
    let ip = match (
        slot & Checksum::TRANSMIT_IS_IPV4 != 0,
        slot & Checksum::TRANSMIT_IS_IPV6 != 0,
    ) {
        (true, false) => IpVersion::V4,
        (false, true) => IpVersion::V6,
        _ => return None,
    };
    Some(TxChecksum {
        ip,
        tcp: slot & Checksum::TRANSMIT_TCP_CHECKSUM != 0,
        udp: slot & Checksum::TRANSMIT_UDP_CHECKSUM != 0,
        ip_header: ip == IpVersion::V4 && slot & Checksum::TRANSMIT_IP_HEADER_CHECKSUM != 0,
        tcp_header_offset: field(
            slot,
            Checksum::TRANSMIT_TCP_HEADER_OFFSET_SHIFT,
            Checksum::TRANSMIT_TCP_HEADER_OFFSET_MASK,
        ),
    })
}

/// Result of one checksum of a received frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Not checked: the system checks it.
    #[default]
    Unchecked,
    /// Right.
    Good,
    /// Wrong.
    Bad,
}

/// Checksum results of a received frame. A verdict is one value, so that "right" and "wrong" cannot
/// both be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxChecksum {
    /// IPv4 header.
    pub ip: Verdict,
    /// TCP.
    pub tcp: Verdict,
    /// UDP.
    pub udp: Verdict,
    /// The checksum fields of a coalesced unit were not recomputed.
    pub stale: bool,
}

impl RxChecksum {
    /// The slot's value.
    pub fn slot(self) -> u64 {
        let bit = |verdict, good, bad| match verdict {
            Verdict::Unchecked => 0,
            Verdict::Good => good,
            Verdict::Bad => bad,
        };
        let stale = if self.stale {
            Checksum::RECEIVE_TCP_CHECKSUM_VALUE_INVALID
                | Checksum::RECEIVE_IP_CHECKSUM_VALUE_INVALID
        } else {
            0
        };
        stale
            | bit(
                self.ip,
                Checksum::RECEIVE_IP_CHECKSUM_SUCCEEDED,
                Checksum::RECEIVE_IP_CHECKSUM_FAILED,
            )
            | bit(
                self.tcp,
                Checksum::RECEIVE_TCP_CHECKSUM_SUCCEEDED,
                Checksum::RECEIVE_TCP_CHECKSUM_FAILED,
            )
            | bit(
                self.udp,
                Checksum::RECEIVE_UDP_CHECKSUM_SUCCEEDED,
                Checksum::RECEIVE_UDP_CHECKSUM_FAILED,
            )
    }
}

/// A large send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeSend {
    /// Version 2, else version 1.
    pub v2: bool,
    /// IP version; always IPv4 in version 1.
    pub ip: IpVersion,
    /// Segment size in bytes; 0 is possible and must fail the list.
    pub mss: u32,
    /// Bytes from the frame's start to the TCP header.
    pub tcp_header_offset: u16,
}

/// Reads the large-send slot. `None` if it is 0: no large send.
pub fn large_send(slot: u64) -> Option<LargeSend> {
    if slot == 0 {
        return None;
    }
    let v2 = slot >> Lso::TYPE_SHIFT & 1 == sys::NDIS_TCP_LARGE_SEND_OFFLOAD_V2_TYPE;
    let six = slot >> Lso::IP_VERSION_SHIFT & 1 == sys::NDIS_TCP_LARGE_SEND_OFFLOAD_IPv6;
    let mss = (slot & Lso::MSS_MASK) as u32;
    Some(LargeSend {
        v2,
        ip: if v2 && six {
            IpVersion::V6
        } else {
            IpVersion::V4
        },
        mss,
        tcp_header_offset: field(
            slot,
            Lso::TCP_HEADER_OFFSET_SHIFT,
            Lso::TCP_HEADER_OFFSET_MASK,
        ),
    })
}

/// What the large-send slot must hold at completion: version 1 tells the payload bytes sent,
/// version 2 keeps its type and nothing else.
pub fn large_send_complete(request: LargeSend, payload: u32) -> u64 {
    if request.v2 {
        sys::NDIS_TCP_LARGE_SEND_OFFLOAD_V2_TYPE << Lso::TYPE_SHIFT
    } else {
        u64::from(payload) & Lso::TCP_PAYLOAD_MASK
    }
}

/// 802.1Q tag control information.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanTag {
    /// Priority, 0 to 7.
    pub priority: u8,
    /// Canonical format indicator.
    pub canonical: bool,
    /// VLAN identifier, 0 to 4095; 0 is a priority tag.
    pub vid: u16,
}

impl VlanTag {
    /// Reads the tag slot; `None` if it is 0: no tag.
    pub fn from_slot(slot: u64) -> Option<Self> {
        if slot.trailing_zeros() >= u16::BITS {
            return None;
        }
        let priority: u16 = field(slot, 0, Vlan::USER_PRIORITY_MASK);
        Some(Self {
            #[expect(clippy::cast_possible_truncation, reason = "3 bits")]
            priority: priority as u8,
            canonical: slot >> Vlan::CANONICAL_FORMAT_ID_SHIFT & 1 != 0,
            vid: field(slot, Vlan::VLAN_ID_SHIFT, Vlan::VLAN_ID_MASK),
        })
    }

    /// The slot's value.
    pub fn slot(self) -> u64 {
        u64::from(self.priority) & Vlan::USER_PRIORITY_MASK
            | u64::from(self.canonical) << Vlan::CANONICAL_FORMAT_ID_SHIFT
            | (u64::from(self.vid) & Vlan::VLAN_ID_MASK) << Vlan::VLAN_ID_SHIFT
    }
}

/// The coalescing slot of a received unit.
pub fn coalesced(segments: u16, duplicate_acks: u16) -> u64 {
    u64::from(segments) & Rsc::COALESCED_SEG_COUNT_MASK
        | u64::from(duplicate_acks) << Rsc::DUP_ACK_COUNT_SHIFT
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "every mask is at most 16 bits wide"
)]
fn field(slot: u64, shift: u64, mask: u64) -> u16 {
    debug_assert!(mask <= 0xFFFF && shift < 32);
    (slot >> shift & mask) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transmit_checksum_bits() {
        assert_eq!(tx_checksum(0), None);
        assert_eq!(tx_checksum(0b11), None);
        assert_eq!(
            tx_checksum(0b10101 | 34 << 16),
            Some(TxChecksum {
                ip: IpVersion::V4,
                tcp: true,
                udp: false,
                ip_header: true,
                tcp_header_offset: 34
            })
        );
        let six = tx_checksum(0b11010).map(|c| (c.ip, c.udp, c.ip_header));
        assert_eq!(six, Some((IpVersion::V6, true, false)));
    }

    #[test]
    fn receive_checksum_never_tells_both() {
        let all = RxChecksum {
            ip: Verdict::Good,
            tcp: Verdict::Bad,
            udp: Verdict::Unchecked,
            stale: false,
        };
        assert_eq!(all.slot(), 0b10_0001);
        assert_eq!(RxChecksum::default().slot(), 0);
        assert_eq!(
            RxChecksum {
                stale: true,
                ..RxChecksum::default()
            }
            .slot(),
            0x180
        );
    }

    #[test]
    fn large_send_versions() {
        assert_eq!(large_send(0), None);
        let v2 = large_send(0x5A0 | 74 << 20 | 1 << 30 | 1 << 31);
        let want = LargeSend {
            v2: true,
            ip: IpVersion::V6,
            mss: 1440,
            tcp_header_offset: 74,
        };
        assert_eq!(v2, Some(want));
        assert_eq!(large_send_complete(want, 9000), 1 << 30);
        let v1 = LargeSend {
            v2: false,
            ip: IpVersion::V4,
            mss: 1460,
            tcp_header_offset: 34,
        };
        assert_eq!(large_send(0x5B4 | 34 << 20), Some(v1));
        assert_eq!(large_send_complete(v1, 9000), 9000);
        // A version 2 request with a segment size of 0 is still a request, to be failed.
        assert_eq!(large_send(1 << 30).map(|l| l.mss), Some(0));
    }

    #[test]
    fn vlan_tag_round_trips() {
        let tag = VlanTag {
            priority: 5,
            canonical: true,
            vid: 4094,
        };
        assert_eq!(tag.slot(), 5 | 1 << 3 | 4094 << 4);
        assert_eq!(VlanTag::from_slot(tag.slot()), Some(tag));
        assert_eq!(VlanTag::from_slot(0), None);
    }

    #[test]
    fn coalescing_slot() {
        assert_eq!(coalesced(44, 1), 0x2C | 1 << 16);
    }
}
