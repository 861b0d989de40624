//! Out-of-band slots of a `NET_BUFFER_LIST`, by their documented numbers and bits (ndis-contract.md 3.3 to 3.7).

use crate::packet::Version;

/// Slot `TcpIpChecksumNetBufferListInfo`.
pub const CHECKSUM: usize = 0;
/// Slot `TcpLargeSendNetBufferListInfo`.
pub const LARGE_SEND: usize = 2;
/// Slot `Ieee8021QNetBufferListInfo`.
pub const TAG: usize = 4;
/// Slot `NetBufferListHashValue`.
pub const HASH_VALUE: usize = 8;
/// Slot `NetBufferListHashInfo`.
pub const HASH_INFO: usize = 9;
/// Slot `TcpRecvSegCoalesceInfo`.
pub const COALESCED: usize = 22;
/// Number of slots.
pub const COUNT: usize = 27;

/// Function number of Toeplitz in [`HASH_INFO`].
pub const TOEPLITZ: u64 = 1;

/// Checksums that a sent frame asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChecksumRequest {
    /// IP version of the frame.
    pub version: Version,
    /// IPv4 header checksum.
    pub header: bool,
    /// TCP checksum; the header is at this offset.
    pub tcp: Option<usize>,
    /// UDP checksum.
    pub udp: bool,
}

impl ChecksumRequest {
    /// Reads slot 0 of a sent list. Nothing is asked for unless exactly one IP version is named.
    pub fn read(slot: u64) -> Option<Self> {
        let version = match slot & 3 {
            1 => Version::V4,
            2 => Version::V6,
            _ => return None,
        };
        let offset = usize::try_from(slot >> 16 & 0x3FF).unwrap_or(0);
        Some(Self {
            version,
            tcp: (slot >> 2 & 1 == 1).then_some(offset),
            udp: slot >> 3 & 1 == 1,
            header: version == Version::V4 && slot >> 4 & 1 == 1,
        })
    }

    /// The slot.
    pub fn slot(self) -> u64 {
        let version = match self.version {
            Version::V4 => 1,
            Version::V6 => 2,
        };
        let offset = self.tcp.map_or(0, |at| at as u64) & 0x3FF;
        version
            | u64::from(self.tcp.is_some()) << 2
            | u64::from(self.udp) << 3
            | u64::from(self.header) << 4
            | offset << 16
    }
}

/// A large send of version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeSend {
    /// IP version.
    pub version: Version,
    /// Payload bytes of a segment.
    pub mss: u32,
    /// Where the TCP header is.
    pub tcp: usize,
}

impl LargeSend {
    /// Reads slot 2 of a sent list; `None` if it is 0 or of version 1.
    pub fn read(slot: u64) -> Option<Self> {
        if slot >> 30 & 1 == 0 {
            return None;
        }
        Some(Self {
            version: if slot >> 31 & 1 == 1 {
                Version::V6
            } else {
                Version::V4
            },
            mss: u32::try_from(slot & 0xF_FFFF).unwrap_or(0),
            tcp: usize::try_from(slot >> 20 & 0x3FF).unwrap_or(0),
        })
    }

    /// The slot.
    pub fn slot(self) -> u64 {
        u64::from(self.mss) & 0xF_FFFF
            | (self.tcp as u64 & 0x3FF) << 20
            | 1 << 30
            | u64::from(self.version == Version::V6) << 31
    }
}

/// Tag control information of the tag slot: priority, canonical format, VLAN, as in a frame.
pub fn tag_control(slot: u64) -> u16 {
    let priority = slot & 7;
    let canonical = slot >> 3 & 1;
    let vlan = slot >> 4 & 0xFFF;
    u16::try_from(priority << 13 | canonical << 12 | vlan).unwrap_or(0)
}

/// The tag slot of tag control information.
pub fn tag_slot(control: u16) -> u64 {
    let control = u64::from(control);
    control >> 13 | (control >> 12 & 1) << 3 | (control & 0xFFF) << 4
}

/// What a received list says of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the system looks itself.
    None,
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
    /// Both at once, which means nothing.
    Both,
}

/// Checksum results of a received list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChecksumResult {
    /// IPv4 header.
    pub header: Verdict,
    /// TCP.
    pub tcp: Verdict,
    /// UDP.
    pub udp: Verdict,
    /// The TCP checksum in the frame was not made anew.
    pub tcp_stale: bool,
    /// The IPv4 checksum in the frame was not made anew.
    pub header_stale: bool,
    /// Bits that are not the miniport's to set.
    pub foreign: bool,
}

impl ChecksumResult {
    /// Reads slot 0 of a received list.
    pub fn read(slot: u64) -> Self {
        let verdict = |bit: u64| match (slot >> bit & 1, slot >> (bit + 3) & 1) {
            (0, 0) => Verdict::None,
            (0, _) => Verdict::Right,
            (_, 0) => Verdict::Wrong,
            _ => Verdict::Both,
        };
        Self {
            tcp: verdict(0),
            udp: verdict(1),
            header: verdict(2),
            tcp_stale: slot >> 7 & 1 == 1,
            header_stale: slot >> 8 & 1 == 1,
            foreign: slot & !0x1BF != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_written() {
        let checksum = ChecksumRequest {
            version: Version::V4,
            header: true,
            tcp: Some(54),
            udp: false,
        };
        assert_eq!(checksum.slot(), 1 | 4 | 16 | 54 << 16);
        assert_eq!(ChecksumRequest::read(checksum.slot()), Some(checksum));
        assert_eq!(ChecksumRequest::read(0), None);
        assert_eq!(ChecksumRequest::read(3), None, "two versions");
        let send = LargeSend {
            version: Version::V6,
            mss: 1440,
            tcp: 74,
        };
        assert_eq!(send.slot(), 1440 + (74 << 20) + (3 << 30));
        assert_eq!(LargeSend::read(send.slot()), Some(send));
        assert_eq!(LargeSend::read(1460), None, "version 1");
    }

    #[test]
    fn tags_turn_round() {
        // Priority 5, canonical bit, VLAN 0x123.
        assert_eq!(tag_slot(0xB123), 5 | 1 << 3 | 0x123 << 4);
        for control in [0, 1, 0xB123, 0xEFFF, 0x1000] {
            assert_eq!(tag_control(tag_slot(control)), control);
        }
    }

    #[test]
    fn results_are_told_apart() {
        let result = ChecksumResult::read(0b10_1010);
        assert_eq!(
            (result.tcp, result.udp, result.header),
            (Verdict::Right, Verdict::Wrong, Verdict::Right)
        );
        assert_eq!(ChecksumResult::read(9).tcp, Verdict::Both);
        assert!(ChecksumResult::read(1 << 6).foreign && !ChecksumResult::read(0x1BF).foreign);
    }
}
