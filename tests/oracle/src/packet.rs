//! Where the headers of a frame are.

use crate::bytes::be16;

/// IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Ethernet type of an 802.1Q tag.
pub const TAG: u16 = 0x8100;

/// An IP packet in a frame. Offsets are from the frame's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Version.
    pub version: Version,
    /// The IP header.
    pub start: usize,
    /// First byte after the IP header and its extension headers.
    pub upper: usize,
    /// First byte after the packet, by the header's length. May be beyond a truncated frame's end.
    pub end: usize,
    /// Protocol of what is at `upper`.
    pub protocol: u8,
    /// A fragment of any kind, a lone ("atomic") IPv6 one too.
    pub fragment: bool,
    /// It is a fragment and not the first.
    pub later_fragment: bool,
    /// There are IPv4 options or IPv6 extension headers.
    pub options: bool,
    /// Offsets of the source and destination that the transport checksum is made over: the last address of a
    /// routing header with segments left stands for the destination.
    pub addresses: (usize, usize),
}

impl Ip {
    /// Bytes of an address.
    pub const fn address_len(&self) -> usize {
        match self.version {
            Version::V4 => 4,
            Version::V6 => 16,
        }
    }

    /// Source and destination address.
    pub fn addresses<'f>(&self, frame: &'f [u8]) -> (&'f [u8], &'f [u8]) {
        let len = self.address_len();
        let at = |from: usize| frame.get(from..from + len).unwrap_or_default();
        (at(self.addresses.0), at(self.addresses.1))
    }

    /// The transport header, if the frame has all of it and it is no later fragment.
    pub fn transport(&self, frame: &[u8]) -> Option<Transport> {
        if self.later_fragment {
            return None;
        }
        let inside = self.end.min(frame.len());
        let (header, checksum) = match self.protocol {
            TCP => {
                let words = frame.get(self.upper + 12)? >> 4;
                (usize::from(words) * 4, self.upper + 16)
            }
            UDP => (8, self.upper + 6),
            _ => return None,
        };
        let least = if self.protocol == TCP { 20 } else { 8 };
        if header < least || self.upper + header > inside {
            return None;
        }
        Some(Transport {
            protocol: self.protocol,
            start: self.upper,
            payload: self.upper + header,
            checksum,
        })
    }
}

/// A TCP or UDP header. Offsets are from the frame's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// [`TCP`] or [`UDP`].
    pub protocol: u8,
    /// The header.
    pub start: usize,
    /// First byte after it.
    pub payload: usize,
    /// The checksum field.
    pub checksum: usize,
}

/// Ethernet type behind the tags, and where what it announces begins. `None` in a frame of less than 14 bytes.
pub fn ethernet(frame: &[u8]) -> Option<(u16, usize)> {
    let kind = be16(frame, 12)?;
    if kind != TAG {
        return Some((kind, 14));
    }
    Some((be16(frame, 16)?, 18))
}

/// The tag control information of a tagged frame.
pub fn tag(frame: &[u8]) -> Option<u16> {
    (be16(frame, 12)? == TAG).then(|| be16(frame, 14))?
}

/// The IP packet of a frame; `None` if it has none whose headers are whole.
pub fn ip(frame: &[u8]) -> Option<Ip> {
    match ethernet(frame)? {
        (0x0800, start) => v4(frame, start),
        (0x86DD, start) => v6(frame, start),
        _ => None,
    }
}

fn v4(frame: &[u8], start: usize) -> Option<Ip> {
    let first = *frame.get(start)?;
    let header = usize::from(first & 15) * 4;
    let total = usize::from(be16(frame, start + 2)?);
    let place = be16(frame, start + 6)?;
    if first >> 4 != 4 || header < 20 || total < header || frame.len() < start + header {
        return None;
    }
    Some(Ip {
        version: Version::V4,
        start,
        upper: start + header,
        end: start + total,
        protocol: frame[start + 9],
        fragment: place & 0x3FFF != 0,
        later_fragment: place & 0x1FFF != 0,
        options: header > 20,
        addresses: (start + 12, start + 16),
    })
}

/// Hop-by-hop options, routing, fragment, destination options.
const EXTENSIONS: [u8; 4] = [0, 43, 44, 60];

fn v6(frame: &[u8], start: usize) -> Option<Ip> {
    if frame.get(start)? >> 4 != 6 || frame.len() < start + 40 {
        return None;
    }
    let mut packet = Ip {
        version: Version::V6,
        start,
        upper: start + 40,
        end: start + 40 + usize::from(be16(frame, start + 4)?),
        protocol: frame[start + 6],
        fragment: false,
        later_fragment: false,
        options: false,
        addresses: (start + 8, start + 24),
    };
    while EXTENSIONS.contains(&packet.protocol) && !packet.later_fragment {
        let at = packet.upper;
        let next = *frame.get(at)?;
        let len = if packet.protocol == 44 {
            packet.fragment = true;
            packet.later_fragment = be16(frame, at + 2)? & 0xFFF8 != 0;
            8
        } else {
            8 + usize::from(*frame.get(at + 1)?) * 8
        };
        if packet.protocol == 43 && *frame.get(at + 3)? > 0 {
            // Segments left: the checksum is over the last address of the route (RFC 8200, 8.1).
            packet.addresses.1 = at + len - 16;
        }
        packet.options = true;
        packet.protocol = next;
        packet.upper = at + len;
        if packet.upper > frame.len() {
            return None;
        }
    }
    Some(packet)
}

/// What must stay in order: frames of one connection, or else of one pair of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow(Vec<u8>);

/// The flow of a frame, tag or not.
pub fn flow(frame: &[u8]) -> Flow {
    let mut key = frame.get(..12).unwrap_or(frame).to_vec();
    let Some(packet) = ip(frame) else {
        let (kind, _) = ethernet(frame).unwrap_or_default();
        key.extend(kind.to_be_bytes());
        return Flow(key);
    };
    let (from, to) = packet.addresses(frame);
    key.extend(from);
    key.extend(to);
    key.push(packet.protocol);
    if !packet.fragment && matches!(packet.protocol, TCP | UDP) {
        key.extend(
            frame
                .get(packet.upper..packet.upper + 4)
                .unwrap_or_default(),
        );
    }
    Flow(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn headers_of_both_versions_are_found_behind_tags_and_options() {
        let plain = samples::tcp4(b"payload");
        let packet = ip(&plain).expect("IPv4");
        assert_eq!((packet.start, packet.upper, packet.end), (14, 34, 61));
        let tcp = packet.transport(&plain).expect("TCP");
        assert_eq!((tcp.payload, tcp.checksum), (54, 50));

        let tagged = samples::tagged(&plain, 0x6005);
        assert_eq!(tag(&tagged), Some(0x6005));
        assert_eq!(tag(&plain), None);
        assert_eq!(ip(&tagged).expect("IPv4").start, 18);
        assert_eq!(flow(&tagged), flow(&plain));

        let six = samples::udp6(b"abc", &[(60, vec![0; 14]), (43, vec![0; 22])]);
        let packet = ip(&six).expect("IPv6");
        assert_eq!((packet.upper, packet.protocol), (14 + 40 + 16 + 24, UDP));
        assert!(packet.options && !packet.fragment);
    }

    #[test]
    fn fragments_are_told_apart() {
        let mut first = samples::tcp4(b"payload");
        first[20] = 0x20;
        let packet = ip(&first).expect("IPv4");
        assert!(packet.fragment && !packet.later_fragment);
        first[21] = 4;
        let packet = ip(&first).expect("IPv4");
        assert!(packet.later_fragment && packet.transport(&first).is_none());
        // A lone fragment: offset 0, no more to come.
        let atomic = samples::udp6(b"abc", &[(44, vec![0; 6])]);
        let packet = ip(&atomic).expect("IPv6");
        assert!(packet.fragment && !packet.later_fragment);
        assert!(packet.transport(&atomic).is_some());
    }

    #[test]
    fn cut_off_headers_are_no_packet() {
        let frame = samples::tcp4(b"payload");
        for len in 0..34 {
            assert_eq!(ip(&frame[..len]), None, "{len}");
        }
        for len in 34..54 {
            let packet = ip(&frame[..len]).expect("IPv4");
            assert_eq!(packet.transport(&frame[..len]), None, "{len}");
        }
    }
}
