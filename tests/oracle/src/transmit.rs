//! Sent frames: from what NDIS asked for to what must be on the wire.

use core::fmt;

use crate::bytes::{be16, be32, put16};
use crate::packet::{self, Version};
use crate::slots::{self, ChecksumRequest, LargeSend};
use crate::{checksum, segment};

/// Shortest frame on the wire, without its check sequence.
pub const SHORTEST: usize = 60;

/// One frame as NDIS handed it over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// From the destination address on.
    pub bytes: Vec<u8>,
    /// Slot [`slots::CHECKSUM`].
    pub checksum: u64,
    /// Slot [`slots::LARGE_SEND`].
    pub large_send: u64,
    /// Slot [`slots::TAG`].
    pub tag: u64,
}

/// How tags are treated (`*PriorityVLANTag`, `VlanID`; ndis-contract.md 3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tagging {
    /// Priorities pass between Windows and the wire.
    pub priority: bool,
    /// VLAN numbers do.
    pub vlan: bool,
    /// All frames are in this VLAN; 0 for none.
    pub id: u16,
}

impl Default for Tagging {
    fn default() -> Self {
        Self {
            priority: true,
            vlan: true,
            id: 0,
        }
    }
}

impl Tagging {
    /// The part of tag control information that passes.
    pub fn pass(self, control: u16) -> u16 {
        let priority = if self.priority { control & 0xF000 } else { 0 };
        priority | if self.vlan { control & 0xFFF } else { 0 }
    }

    /// The tag of a sent frame with this slot.
    fn outgoing(self, slot: u64) -> Option<u16> {
        let mut control = self.pass(slots::tag_control(slot));
        if self.id != 0 {
            control = control & 0xF000 | self.id;
        }
        (control != 0).then_some(control)
    }
}

/// The frames that must be on the wire for a frame that NDIS handed over, in order. `None` if the request makes no
/// sense, so that the driver has to fail it.
pub fn expected(asked: &Asked, tagging: Tagging) -> Option<Vec<Vec<u8>>> {
    let mut frames = match LargeSend::read(asked.large_send) {
        Some(send) => segment::segments(&asked.bytes, send.mss as usize).ok()?,
        None => vec![checksums(asked)?],
    };
    let tag = tagging.outgoing(asked.tag);
    for frame in &mut frames {
        if let Some(control) = tag {
            let [high, low] = control.to_be_bytes();
            frame.splice(12..12, [0x81, 0, high, low]);
        }
        if frame.len() < SHORTEST {
            frame.resize(SHORTEST, 0);
        }
    }
    Some(frames)
}

/// The frame with the checksums that were asked for.
fn checksums(asked: &Asked) -> Option<Vec<u8>> {
    let mut frame = asked.bytes.clone();
    let Some(request) = ChecksumRequest::read(asked.checksum) else {
        return Some(frame);
    };
    if !request.header && request.tcp.is_none() && !request.udp {
        return Some(frame);
    }
    let found = packet::ip(&frame).filter(|found| found.version == request.version)?;
    if request.header {
        checksum::fill_header(&mut frame, &found);
    }
    let protocol = match (request.tcp, request.udp) {
        (Some(_), false) => packet::TCP,
        (None, true) => packet::UDP,
        (None, false) => return Some(frame),
        (Some(_), true) => return None,
    };
    let transport = found
        .transport(&frame)
        .filter(|transport| transport.protocol == protocol)?;
    checksum::fill_transport(&mut frame, &found, &transport).then_some(frame)
}

/// A frame as it came out of the driver, with what it left to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnWire {
    /// The frame.
    pub bytes: Vec<u8>,
    /// The transport checksum is to be completed.
    pub csum_blank: bool,
    /// It is to be cut: payload of a segment, and IP version.
    pub gso: Option<(u16, Version)>,
}

/// What the peer on the wire said it would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one switch per feature, as the peer has them"
)]
pub struct Offered {
    /// Complete IPv4 checksums.
    pub csum_v4: bool,
    /// Complete IPv6 checksums.
    pub csum_v6: bool,
    /// Cut TCP over IPv4.
    pub gso_v4: bool,
    /// Cut TCP over IPv6.
    pub gso_v6: bool,
}

/// Why what came out cannot be finished by an honest peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// More was left to the peer than it offered.
    NotOffered,
    /// A blank checksum in what is no whole, unfragmented TCP or UDP packet.
    NoChecksumPlace,
    /// The field of a blank checksum does not hold the sum of the pseudo-header with the right length.
    PseudoHeader,
    /// A frame to be cut without a blank checksum.
    GsoWithoutBlank,
    /// A frame to be cut that is no TCP packet of the IP version told, or with segments of no bytes.
    GsoKind,
    /// The IP length of a frame to be cut is not the frame's.
    GsoLength,
    /// The IPv4 header checksum of a frame to be cut is wrong.
    GsoHeaderChecksum,
}

/// The frames on the wire after the peer has done what was left to it.
pub fn finish(mut wire: OnWire, offered: Offered) -> Result<Vec<Vec<u8>>, Unfinished> {
    if !wire.csum_blank && wire.gso.is_none() {
        return Ok(vec![wire.bytes]);
    }
    let found = packet::ip(&wire.bytes);
    if let Some((mss, version)) = wire.gso {
        let agreed = match version {
            Version::V4 => offered.gso_v4,
            Version::V6 => offered.gso_v6,
        };
        if !agreed {
            return Err(Unfinished::NotOffered);
        }
        let found = found
            .filter(|found| found.version == version && found.protocol == packet::TCP)
            .ok_or(Unfinished::GsoKind)?;
        if !wire.csum_blank {
            return Err(Unfinished::GsoWithoutBlank);
        }
        if found.end != wire.bytes.len() {
            return Err(Unfinished::GsoLength);
        }
        if !checksum::header_is_right(&wire.bytes, &found) {
            return Err(Unfinished::GsoHeaderChecksum);
        }
        let transport = found.transport(&wire.bytes).ok_or(Unfinished::GsoKind)?;
        let length = found.end - transport.start;
        if !checksum::is_blank(&wire.bytes, &found, &transport, length) {
            return Err(Unfinished::PseudoHeader);
        }
        let mut all =
            segment::segments(&wire.bytes, mss.into()).map_err(|_| Unfinished::GsoKind)?;
        for short in all.iter_mut().filter(|frame| frame.len() < SHORTEST) {
            // Whoever cuts also pads.
            short.resize(SHORTEST, 0);
        }
        return Ok(all);
    }
    let found = found
        .filter(|found| !found.fragment)
        .ok_or(Unfinished::NoChecksumPlace)?;
    let agreed = match found.version {
        Version::V4 => offered.csum_v4,
        Version::V6 => offered.csum_v6,
    };
    if !agreed {
        return Err(Unfinished::NotOffered);
    }
    let transport = found
        .transport(&wire.bytes)
        .filter(|_| found.end <= wire.bytes.len())
        .ok_or(Unfinished::NoChecksumPlace)?;
    let length = found.end - transport.start;
    if !checksum::is_blank(&wire.bytes, &found, &transport, length) {
        return Err(Unfinished::PseudoHeader);
    }
    if checksum::complete(&mut wire.bytes) {
        Ok(vec![wire.bytes])
    } else {
        Err(Unfinished::NoChecksumPlace)
    }
}

/// In what a frame differs from the one that was expected: the first that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Length: expected and found.
    Length(usize, usize),
    /// Ethernet addresses.
    Addresses,
    /// Tag expected and found.
    Tag(Option<u16>, Option<u16>),
    /// Ethernet type.
    Kind,
    /// IP length field.
    IpLength,
    /// IPv4 identification: expected and found.
    Identification(u16, u16),
    /// IPv4 header checksum.
    HeaderChecksum,
    /// Another byte of the IP header or its extensions.
    IpHeader(usize),
    /// TCP sequence number: expected and found.
    Sequence(u32, u32),
    /// TCP flags: expected and found.
    Flags(u8, u8),
    /// TCP or UDP checksum.
    TransportChecksum,
    /// Another byte of the TCP or UDP header.
    TransportHeader(usize),
    /// A byte of the payload.
    Payload(usize),
    /// A byte behind the packet's end that is not the sender's, or not zero.
    Padding(usize),
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self:?}")
    }
}

/// Compares a frame with what it must be; `None` if they are equal.
pub fn difference(expected: &[u8], found: &[u8]) -> Option<Difference> {
    if expected == found {
        return None;
    }
    if expected.len() != found.len() {
        return Some(Difference::Length(expected.len(), found.len()));
    }
    if expected.get(..12) != found.get(..12) {
        return Some(Difference::Addresses);
    }
    let tags = (packet::tag(expected), packet::tag(found));
    if tags.0 != tags.1 {
        return Some(Difference::Tag(tags.0, tags.1));
    }
    let (_, start) = packet::ethernet(expected)?;
    let at = (0..expected.len()).find(|at| expected[*at] != found[*at])?;
    if at < start {
        return Some(Difference::Kind);
    }
    let Some(ip) = packet::ip(expected) else {
        return Some(Difference::Payload(at));
    };
    Some(in_packet(expected, found, &ip, at))
}

/// Names the field of byte `at`, the first that differs.
fn in_packet(expected: &[u8], found: &[u8], ip: &packet::Ip, at: usize) -> Difference {
    let both16 = |at| {
        (
            be16(expected, at).unwrap_or(0),
            be16(found, at).unwrap_or(0),
        )
    };
    let within = |field: usize, len: usize| (field..field + len).contains(&at);
    let length = match ip.version {
        Version::V4 => ip.start + 2,
        Version::V6 => ip.start + 4,
    };
    if at >= ip.end {
        return Difference::Padding(at);
    }
    if within(length, 2) {
        return Difference::IpLength;
    }
    if ip.version == Version::V4 && within(ip.start + 4, 2) {
        let (wanted, is) = both16(ip.start + 4);
        return Difference::Identification(wanted, is);
    }
    if ip.version == Version::V4 && within(ip.start + 10, 2) {
        return Difference::HeaderChecksum;
    }
    if at < ip.upper {
        return Difference::IpHeader(at);
    }
    let Some(transport) = ip.transport(expected) else {
        return Difference::Payload(at);
    };
    if transport.protocol == packet::TCP && within(transport.start + 4, 4) {
        let both = (
            be32(expected, transport.start + 4),
            be32(found, transport.start + 4),
        );
        return Difference::Sequence(both.0.unwrap_or(0), both.1.unwrap_or(0));
    }
    if transport.protocol == packet::TCP && at == transport.start + 13 {
        return Difference::Flags(expected[at], found[at]);
    }
    if within(transport.checksum, 2) {
        return Difference::TransportChecksum;
    }
    if at < transport.payload {
        return Difference::TransportHeader(at);
    }
    Difference::Payload(at)
}

/// Turns a whole frame into what NDIS hands over for a large send of version 2: no IP length, and the sum of the
/// pseudo-header without a length in the checksum field.
///
/// # Panics
/// When it is no TCP frame.
pub fn ask_large_send(frame: &mut [u8], mss: u32) -> u64 {
    let found = packet::ip(frame).expect("a TCP frame");
    let transport = found.transport(frame).expect("a TCP frame");
    let place = match found.version {
        Version::V4 => found.start + 2,
        Version::V6 => found.start + 4,
    };
    put16(frame, place, 0);
    if found.version == Version::V4 {
        put16(frame, found.start + 10, 0);
    }
    checksum::blank(frame, &found, &transport, 0);
    LargeSend {
        version: found.version,
        mss,
        tcp: transport.start,
    }
    .slot()
}

/// Takes the checksums out of a whole frame and asks for them: the sum of the pseudo-header stays in the transport
/// header's field.
///
/// # Panics
/// When it is no IP frame, or has no TCP or UDP header though `transport` is true.
pub fn ask_checksums(frame: &mut [u8], header: bool, transport: bool) -> u64 {
    let found = packet::ip(frame).expect("an IP frame");
    let mut request = ChecksumRequest {
        version: found.version,
        header: header && found.version == Version::V4,
        tcp: None,
        udp: false,
    };
    if request.header {
        put16(frame, found.start + 10, 0);
    }
    if transport {
        let place = found.transport(frame).expect("a TCP or UDP frame");
        checksum::blank(frame, &found, &place, found.end - place.start);
        match place.protocol {
            packet::TCP => request.tcp = Some(place.start),
            _ => request.udp = true,
        }
    }
    request.slot()
}

#[cfg(test)]
mod tests;
