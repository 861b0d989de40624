//! Where the headers of a frame are.

use crate::sum::Sum;
use crate::{IpVersion, set_word, word};

const ETHERTYPE_AT: usize = 12;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;
const ETHERTYPE_VLAN: [u16; 2] = [0x8100, 0x88A8];
/// Tags passed over: a service and a customer tag.
const MAX_TAGS: usize = 2;
/// Extension headers passed over.
const MAX_EXTENSIONS: usize = 8;
/// TCP's protocol number.
pub const TCP: u8 = 6;
/// UDP's protocol number.
pub const UDP: u8 = 17;

/// What part of a datagram a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// All of it.
    Whole,
    /// All of it, behind an IPv6 fragment header (RFC 6946).
    Atomic,
    /// Its first part, with the transport header.
    First,
    /// A later part.
    Later,
}

/// Places of the headers in a frame; offsets from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// IP version.
    pub version: IpVersion,
    /// A VLAN tag stands in the frame.
    pub tagged: bool,
    /// IP header.
    pub ip: usize,
    /// Transport header.
    pub transport: usize,
    /// Its protocol number.
    pub protocol: u8,
    /// End of the datagram, as the IP header says.
    pub end: usize,
    /// Part of the datagram.
    pub fragment: Fragment,
    /// There are IPv4 options or IPv6 extension headers.
    pub options: bool,
}

/// Finds the headers of an IP frame whose first bytes are in `head`. None when it is no IP frame,
/// or its IP header is malformed or reaches out of `head`.
pub fn parse(head: &[u8]) -> Option<Headers> {
    let mut at = ETHERTYPE_AT;
    let mut kind = word(head, at)?;
    let mut tagged = false;
    for _ in 0..MAX_TAGS {
        if ETHERTYPE_VLAN.contains(&kind) {
            tagged = true;
            at = at.checked_add(4)?;
            kind = word(head, at)?;
        }
    }
    let ip = at.checked_add(2)?;
    match kind {
        ETHERTYPE_IPV4 => parse_v4(head, ip, tagged),
        ETHERTYPE_IPV6 => parse_v6(head, ip, tagged),
        _ => None,
    }
}

fn parse_v4(head: &[u8], ip: usize, tagged: bool) -> Option<Headers> {
    let header = head.get(ip..)?.first_chunk::<20>()?;
    let [
        first,
        _,
        total_high,
        total_low,
        _,
        _,
        fragment_high,
        fragment_low,
        _,
        protocol,
        ..,
    ] = *header;
    let length = usize::from(first & 15).checked_mul(4)?;
    let total = usize::from(u16::from_be_bytes([total_high, total_low]));
    if first >> 4 != 4 || length < 20 {
        return None;
    }
    let transport = ip.checked_add(length)?;
    let place = u16::from_be_bytes([fragment_high, fragment_low]);
    let fragment = match (place & 0x1FFF, place & 0x2000) {
        (0, 0) => Fragment::Whole,
        (0, _) => Fragment::First,
        _ => Fragment::Later,
    };
    (transport <= head.len()).then_some(Headers {
        version: IpVersion::V4,
        tagged,
        ip,
        transport,
        protocol,
        end: ip.checked_add(total)?,
        fragment,
        options: length > 20,
    })
}

fn parse_v6(head: &[u8], ip: usize, tagged: bool) -> Option<Headers> {
    let header = head.get(ip..)?.first_chunk::<40>()?;
    let [first, _, _, _, high, low, mut next, ..] = *header;
    if first >> 4 != 6 {
        return None;
    }
    let mut at = ip.checked_add(40)?;
    let end = at.checked_add(u16::from_be_bytes([high, low]).into())?;
    let mut fragment = Fragment::Whole;
    let mut options = false;
    for _ in 0..MAX_EXTENSIONS {
        let known = matches!(next, 0 | 43 | 44 | 51 | 60);
        if !known || fragment == Fragment::Later {
            break;
        }
        options = true;
        let two = head.get(at..)?.first_chunk::<2>()?;
        let [following, size] = *two;
        let length = match next {
            44 => {
                let place = word(head, at.checked_add(2)?)?;
                fragment = match (place & 0xFFF8, place & 1) {
                    (0, 0) => Fragment::Atomic,
                    (0, _) => Fragment::First,
                    _ => Fragment::Later,
                };
                8
            }
            51 => usize::from(size).checked_add(2)?.checked_mul(4)?,
            _ => usize::from(size).checked_add(1)?.checked_mul(8)?,
        };
        next = following;
        at = at.checked_add(length)?;
    }
    (at <= head.len()).then_some(Headers {
        version: IpVersion::V6,
        tagged,
        ip,
        transport: at,
        protocol: next,
        end,
        fragment,
        options,
    })
}

impl Headers {
    /// Place of the transport checksum, of TCP and UDP.
    pub fn checksum_field(&self) -> Option<usize> {
        let offset = match self.protocol {
            TCP => 16,
            UDP => 6,
            _ => return None,
        };
        self.transport.checked_add(offset)
    }

    /// Bytes of transport header and payload.
    pub fn transport_length(&self) -> usize {
        self.end.saturating_sub(self.transport)
    }

    /// Bytes of the TCP header; None when there is none, or not all of it in `head`.
    pub fn tcp_length(&self, head: &[u8]) -> Option<usize> {
        if self.protocol != TCP {
            return None;
        }
        let high = head.get(self.transport.checked_add(12)?)?;
        let length = usize::from(high >> 4).checked_mul(4)?;
        let end = self.transport.checked_add(length)?;
        (length >= 20 && end <= head.len()).then_some(length)
    }

    /// Sum over the pseudo-header for `length` bytes of transport header and payload.
    pub fn pseudo_sum(&self, head: &[u8], length: usize) -> Sum {
        let (from, to) = match self.version {
            IpVersion::V4 => (12, 20),
            IpVersion::V6 => (8, 40),
        };
        let (from, to) = (self.ip.saturating_add(from), self.ip.saturating_add(to));
        let mut sum = Sum::default();
        sum.add(head.get(from..to).unwrap_or_default());
        sum.add(&[0, self.protocol]);
        let length = u32::try_from(length).unwrap_or(0);
        sum.add(&length.to_be_bytes());
        sum
    }

    /// Whether the checksum of the IPv4 header is right; of IPv6 there is none.
    pub fn is_ip_checksum_right(&self, head: &[u8]) -> bool {
        let mut sum = Sum::default();
        sum.add(head.get(self.ip..self.transport).unwrap_or_default());
        self.version == IpVersion::V6 || sum.folded() == 0xFFFF
    }

    /// Writes the checksum of the IPv4 header.
    pub fn write_ip_checksum(&self, head: &mut [u8]) {
        if self.version == IpVersion::V6 {
            return;
        }
        let field = self.ip.saturating_add(10);
        set_word(head, field, 0);
        let mut sum = Sum::default();
        sum.add(head.get(self.ip..self.transport).unwrap_or_default());
        set_word(head, field, sum.checksum());
    }

    /// Makes the IP header say that the datagram ends at byte `end` of the frame; false when no
    /// datagram is that long.
    #[must_use]
    pub fn set_end(&mut self, head: &mut [u8], end: usize) -> bool {
        let (field, counted_from) = match self.version {
            IpVersion::V4 => (2, self.ip),
            IpVersion::V6 => (4, self.ip.saturating_add(40)),
        };
        let length = end.checked_sub(counted_from);
        let Some(length) = length.and_then(|length| u16::try_from(length).ok()) else {
            return false;
        };
        set_word(head, self.ip.saturating_add(field), length);
        self.end = end;
        true
    }
}
